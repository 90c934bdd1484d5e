"""Docstrings begin with the thing or the action, so that a list of first lines can be read."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    file for folder in ("pgprim", "bench", "bridge/src") for file in sorted((ROOT / folder).rglob("*.py"))
]
HARD = re.compile(r"(What|That|Who|Where)\b")


def docstrings(source: str) -> dict[str, str]:
    """Docstrings of a module and of all that it defines, by name."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return {getattr(node, "name", "module"): ast.get_docstring(node) or "" for node in nodes}


def test_a_module_that_begins_so_is_noticed():
    found = docstrings('"""What it does."""\n\n\ndef mean(x):\n    """Mean of x."""\n')
    assert [name for name, text in found.items() if HARD.match(text)] == ["module"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_docstring_begins_with_a_question_word(file):
    assert not {name: text for name, text in docstrings(file.read_text()).items() if HARD.match(text)}
