"""Declared changes: a module counts as what it was, until it changes again."""

import subprocess
import sys
from pathlib import Path

import pytest
from dvcsnake.declared import DECLARED, declarations
from dvcsnake.digests import declare_equal, digest
from dvcsnake.errors import UserError

BEFORE, FASTER, OTHER = (
    "def twice(x):\n    return x + x\n",
    "def twice(x):\n    return 2 * x\n",
    "twice = None\n",
)


@pytest.fixture
def package(tmp_path) -> Path:
    """A package of two modules, committed."""
    package = tmp_path / "made"
    (package / "core").mkdir(parents=True)
    (package / "core" / "sums.py").write_text(BEFORE)
    (package / "use.py").write_text("from made.core.sums import twice\n")
    commit(tmp_path)
    return package


def commit(folder: Path) -> None:
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    subprocess.run([*git, "commit", "-qm", "made"], cwd=folder, check=True)


def test_a_declared_change_leaves_the_digests_of_all_that_import_it(package):
    users = [package / "use.py", package / "core" / "sums.py"]
    before = [digest(user, package) for user in users]
    users[1].write_text(FASTER)
    assert all(digest(user, package) != old for user, old in zip(users, before, strict=True))
    declare_equal("core/sums.py", "x + x and 2 * x are one number", package)
    assert [digest(user, package) for user in users] == before
    assert declarations(package)["core/sums.py"]["why"] == "x + x and 2 * x are one number"
    users[1].write_text(OTHER)
    assert all(digest(user, package) != old for user, old in zip(users, before, strict=True))


def test_a_package_that_counts_as_empty_says_nothing(package):
    """An empty `__init__.py` is in no digest, so one that is declared to be like it must not be either."""
    start = package / "core" / "__init__.py"
    start.write_text('"""Sums."""\n')
    commit(package.parent)
    before = digest(package / "use.py", package)
    assert "__init__" not in before
    start.write_text('"""Sums."""\n\nimport sys\n')
    assert "core/__init__.py" in digest(package / "use.py", package)
    declare_equal("core/__init__.py", "nothing is done with it", package)
    assert digest(package / "use.py", package) == before
    start.write_text("import os\n")
    assert "core/__init__.py" in digest(package / "use.py", package)


@pytest.mark.parametrize(
    "name",
    ["core/sums.py", "core/sums", "core.sums", "made/core/sums.py", "made/core/sums", "made.core.sums"],
)
def test_a_module_is_named_by_its_path_or_as_in_an_import(package, name):
    (package / "core" / "sums.py").write_text(FASTER)
    declare_equal(name, "one number", package)
    assert list(declarations(package)) == ["core/sums.py"]


def test_a_name_that_is_no_module_is_told_the_form(package):
    with pytest.raises(
        UserError, match=r"^sum is no module of made; it takes a path in made/, such as core/sums\.py$"
    ):
        declare_equal("sum", "one number", package)
    with pytest.raises(UserError, match="is no module of made"):
        declare_equal("../outside.py", "one number", package)


def test_a_second_change_counts_as_the_first_version(package):
    module = package / "core" / "sums.py"
    first = digest(module, package)
    for source in (FASTER, "def twice(x):\n    return x * 2\n"):
        module.write_text(source)
        declare_equal("core/sums.py", "one number", package)
        commit(package.parent)
    assert digest(module, package) == first
    module.write_text(BEFORE)
    declare_equal("core/sums.py", "as it was", package)
    assert declarations(package) == {} and digest(module, package) == first


def test_a_module_that_is_not_in_the_last_commit_is_one_sentence(package):
    (package / "new.py").write_text(BEFORE)
    with pytest.raises(UserError, match=r"new\.py is no module of made that the last commit has as well"):
        declare_equal("new.py", "it is new", package)
    with pytest.raises(UserError, match=r"gone\.py is no module"):
        declare_equal("gone.py", "it is gone", package)
    assert not (package / DECLARED).exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "core/sums.py: {digest: a, as: b}\n",
            r"core/sums\.py must be a mapping with the keys digest, as, why",
        ),
        ("core/sums.py: {digest: a, as: b, why: }\n", r"core/sums\.py must be a mapping .* each a text"),
        ("- core/sums.py\n", "the file must be a mapping"),
        ("core/sums.py: [\n", "not valid YAML"),
    ],
)
def test_malformed_declarations_are_one_sentence(package, text, told):
    (package / DECLARED).write_text(text)
    with pytest.raises(UserError, match=told):
        digest(package / "use.py", package)


def test_the_command_needs_a_reason():
    command = [sys.executable, "-m", "dvcsnake", "same", "core/sums.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "--why" in done.stderr
