"""The README's example, done to the letter, and the package installed by itself."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toys import Checkout

BRIDGE = Path(__file__).parents[1]
README = (BRIDGE / "README.md").read_text()


def blocks() -> list[tuple[str, str, str]]:
    """The code blocks of the example: what the line before says, the language, the code."""
    example = README.split("## In two minutes")[1].split("## What a stage may be")[0]
    return re.findall(r"([^\n]*)\n\n```(\w+)\n(.*?)```", example, re.DOTALL)


@pytest.mark.slow
def test_the_example_does_what_it_says(tmp_path):
    checkout = Checkout(tmp_path / "letters", tmp_path)
    (_, _, first), *middle, (_, _, last) = blocks()
    setup = first.replace("pip install ./bridge", "true")
    subprocess.run(setup, shell=True, cwd=tmp_path, env=checkout.env, check=True, stdout=subprocess.DEVNULL)
    for said, _, code in middle:
        (path,) = re.findall(r"Write `([^`]+)`", said)
        (checkout.path / path).write_text(code)
    texts = [checkout.run(line.replace("snakemake", "snakemake -j2")).text for line in last.splitlines()]
    runs = [text for text, line in zip(texts, last.splitlines(), strict=True) if line.startswith("snakemake")]
    assert "2 count, 1 draw" in runs[0]
    assert "Nothing to be done" in runs[1]
    assert "unless inputs turn out the same: 1 draw" in runs[2]
    assert "Nothing to be done" in runs[3] and "restored 1 output of draw from the cache" in runs[3]
    assert "up to date" in texts[-1]
    assert (checkout.path / "figures/letters.txt").read_text().count("\n") == 5


def test_init_leaves_alone_what_is_there(tmp_path):
    checkout = Checkout(tmp_path / "mine", tmp_path)
    checkout.path.mkdir()
    assert "is no DVC repository" in checkout.run("python -m dvcsnake init", check=False).text
    checkout.run("git init -q && dvc init -q")
    (checkout.path / "Snakefile").write_text("mine")
    (checkout.path / "pyproject.toml").write_text("[project]\nname = 'mine'")
    for _ in range(2):
        checkout.run("python -m dvcsnake init --package mine")
    assert (checkout.path / "Snakefile").read_text() == "mine"
    text = (checkout.path / "pyproject.toml").read_text()
    assert text == '[project]\nname = \'mine\'\n[tool.dvcsnake]\npackage = "mine"\ntargets = ["figures/*"]\n'
    assert (checkout.path / ".dvcignore").read_text().count("/logs") == 1


@pytest.mark.slow
def test_the_package_is_whole_when_it_is_installed(tmp_path):
    pytest.importorskip("hatchling")
    shutil.copytree(
        BRIDGE, tmp_path / "bridge", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "tests")
    )
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*command, "--target", tmp_path / "site", tmp_path / "bridge"], check=True)
    packed = {
        path.relative_to(tmp_path / "site/dvcsnake") for path in (tmp_path / "site/dvcsnake").rglob("*")
    }
    source = BRIDGE / "src/dvcsnake"
    own = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert own <= packed
    assert (tmp_path / "site/dvcsnake.pth").read_text() == (BRIDGE / "dvcsnake.pth").read_text()
