"""What is declared is what is used: dependencies, pinned versions, layers, and the commands of the Makefile."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from pgprim.kernels import CHOICES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIBRARY, EXTRAS = PROJECT["dependencies"], PROJECT["optional-dependencies"]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normalised(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {normalised(name): version for name, version in (line.split("==") for line in lines)}


def imported(folder: str) -> dict[str, set[str]]:
    """Distributions that the modules of a folder import, each with the modules that do."""
    distributions = packages_distributions()
    found: dict[str, set[str]] = {}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            for module in modules:
                top = module.split(".")[0]
                if top in sys.stdlib_module_names or top in ("pgprim", "bench", "tests", "toys", "services"):
                    continue
                # Namespace packages such as `ruamel` belong to several distributions; one of them is enough.
                owners = {normalised(name) for name in distributions.get(top, [top])}
                declared = owners & names([*LIBRARY, *EXTRAS["study"], *EXTRAS["test"]])
                found.setdefault(min(declared or owners), set()).add(str(path.relative_to(ROOT)))
    return found


def test_the_package_declares_what_it_imports():
    undeclared = {
        name: paths
        for name, paths in imported("pgprim").items()
        if name not in names([*LIBRARY, *EXTRAS["study"]])
    }
    # The callback runs inside stable-baselines3, so whoever imports it has that library.
    assert undeclared == {"stable-baselines3": {"pgprim/adopt/callback.py"}}


def test_the_tests_declare_what_they_import():
    declared = names([*LIBRARY, *EXTRAS["study"], *EXTRAS["test"]])
    assert not {name: paths for name, paths in imported("tests").items() if name not in declared}


def test_every_requirement_is_pinned_to_one_version():
    optional = [requirement for group in EXTRAS.values() for requirement in group]
    own = {"dvcsnake"}  # the folder bridge/
    bridge = tomllib.loads((ROOT / "bridge/pyproject.toml").read_text())["project"]
    required = names([*LIBRARY, *optional, *bridge["dependencies"]])
    assert required - own <= pins().keys()
    assert pins()["torch"] == "2.13.0"
    for version in pins().values():
        assert re.fullmatch(r"[0-9][0-9a-zA-Z.]*", version), "a version, no local build, no address"


def test_every_pinned_version_runs_on_the_oldest_python():
    """A pin for 3.11.5 and later refuses to install on the 3.11 of a stable Linux distribution."""
    oldest = re.search(r"3\.\d+", PROJECT["requires-python"])[0] + ".0"
    installed = {normalised(dist.metadata["Name"]): dist for dist in distributions()}
    needs = {name: installed[name].metadata["Requires-Python"] for name in pins() if name in installed}
    assert len(needs) > 100
    assert not {name: need for name, need in needs.items() if need and oldest not in SpecifierSet(need)}


def test_the_library_s_ranges_have_the_study_s_versions_and_no_upper_ends():
    for requirement in LIBRARY:
        name, lowest = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups()
        parts = [tuple(map(int, version.split("."))) for version in (lowest, pins()[name])]
        assert parts[0] <= parts[1]


USE = """
import doctest, sys
import pgprim, pgprim.library
done = [doctest.testmod(module) for module in (pgprim, pgprim.library)]
assert sum(one.attempted for one in done) > 25 and not sum(one.failed for one in done)
"""


@pytest.mark.slow
@pytest.mark.parametrize("versions", ["oldest", "newest"])
def test_the_library_is_installed_alone_and_works(tmp_path, versions):
    """From the registry of this machine, into an environment that has nothing."""
    if versions == "oldest" and sys.version_info >= (3, 13):
        pytest.skip("the oldest numpy has no build for this Python")
    source = tmp_path / "source"
    shutil.copytree(ROOT / "pgprim", source / "pgprim", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    oldest = [requirement.replace(">=", "==") for requirement in LIBRARY] if versions == "oldest" else []
    python = tmp_path / "venv/bin/python"
    # This process has the study's kernels chosen, a user's has not.
    environment = {name: value for name, value in os.environ.items() if name not in CHOICES}

    def run(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)

    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    done = run(str(python), "-m", "pip", "install", "--quiet", str(source), *oldest)
    assert done.returncode == 0, done.stderr
    frozen = run(str(python), "-m", "pip", "list", "--format=freeze").stdout
    installed = names(frozen.splitlines()) - {"pip", "setuptools"}
    assert installed == {"pgprim", "numpy", "scipy", "jaxtyping", "wadler-lindig"}  # the last is jaxtyping's
    assert all(requirement in frozen for requirement in oldest)
    used = run(str(python), "-W", "error", "-c", USE)
    assert used.returncode == 0, used.stdout + used.stderr
    told = run(str(python), "-m", "pgprim", "train")
    assert told.returncode == 1 and told.stderr.count("\n") == 1
    assert "is not installed; `pip install -e bridge -e '.[study]'` in a clone brings" in told.stderr


@pytest.mark.slow
def test_layers_hold():
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("figures/fig2.pdf", r"^snakemake --cores 2 figures/fig2\.pdf$"),
        ("test", r"^OMP_NUM_THREADS=1 python -m pytest -n 2 "),
        ("smoke", r"^CORES=2 workflow/smoke\.sh"),
        ("all", r"^snakemake --cores 2$"),
    ],
)
@pytest.mark.parametrize("fresh", [True, False])
def test_make_sets_up_the_environment_if_need_be(tmp_path, target, command, fresh):
    venv = tmp_path / "venv"
    if not fresh:
        venv.mkdir()
        (venv / ".installed").touch()
    run = subprocess.run(
        ["make", "-n", target, f"VENV={venv}", "CORES=2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(command, run.stdout, re.MULTILINE)
    assert ("pip install" in run.stdout) == fresh
