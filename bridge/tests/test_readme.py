"""The README's example, done to the letter, and the package installed by itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toys import Checkout, make_letters, readme_blocks

BRIDGE = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_example_does_what_it_says(tmp_path):
    checkout = make_letters(tmp_path)
    *_, example, share = (code.replace("snakemake", "snakemake -j2") for _, _, code in readme_blocks())
    lines = example.splitlines()
    texts = [checkout.run(line).text for line in lines]
    runs = [text for text, line in zip(texts, lines, strict=True) if line.startswith("snakemake")]
    assert "1 of 4 stages up to date" in runs[0] and "2 count, 1 draw" in runs[0]
    assert "Nothing to be done" in runs[1]
    assert "unless inputs turn out the same: 1 draw" in runs[2]
    assert "Nothing to be done" in runs[3] and "restored 1 output of draw from the cache" in runs[3]
    assert "up to date" in texts[-1]
    assert (checkout.path / "figures/letters.txt").read_text().count("\n") == 5
    assert checkout.run("git status --short").text == "", "outputs are ignored, all else is committed"
    shared = checkout.run(f"set -e\n{share}").text
    assert "fetched 1 output of draw from the remote store" in shared and "Nothing to be done" in shared
    checkout.edit("params.yaml", "letters: 5", "letters: 4")
    checkout.run("git add --all && dvc repro")
    assert (checkout.path / "figures/letters.txt").read_text().count("\n") == 4


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
