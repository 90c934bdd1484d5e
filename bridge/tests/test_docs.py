"""The page on behaviour names tests that exist, every test of a behaviour is on it, and the table of modules is complete."""

import ast
import re
from pathlib import Path

import dvcsnake

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/behaviour.md").read_text()


def functions(pattern: str = "test_*.py") -> set[str]:
    trees = (ast.parse(path.read_text()) for path in TESTS.glob(pattern))
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_page_names_tests_that_exist():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    assert named <= functions()
    for name in re.findall(r"`(test_\w+\.py)`", PAGE):
        assert (TESTS / name).is_file()


def test_every_test_of_a_behaviour_is_on_the_page():
    behaviours = {
        name for name in functions() if re.match(r"test_[a-k]\d?_", name) and not name.startswith("test_a_")
    }
    assert behaviours <= set(re.findall(r"`(test_\w+)`", PAGE))


def test_the_package_s_table_has_every_module():
    folder = Path(dvcsnake.__file__).parent
    packages = [path.parent.name for path in folder.glob("*/__init__.py")]
    modules = [path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")]
    rows = re.findall(r"^\| `(\w+)` \|", dvcsnake.__doc__, re.MULTILINE)
    assert sorted(rows) == sorted([*packages, *modules])
