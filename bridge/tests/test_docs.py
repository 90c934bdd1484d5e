"""The page on behaviour names tests that exist, and every test of a behaviour is on it."""

import ast
import re
from pathlib import Path

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
