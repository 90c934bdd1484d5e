"""The page on edges names tests that exist, and each of its lines has one or says that it does not hold yet."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = [line for line in (ROOT / "docs/edges.md").read_text().splitlines() if line.startswith("| ")]
NAMED = sorted(set(re.findall(r"`((?:bridge/)?tests/[\w/]+\.py)::(\w+)`", "\n".join(LINES))))


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_the_tests_that_the_page_names_exist(file):
    tree = ast.parse((ROOT / file).read_text())
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {name for other, name in NAMED if other == file} <= there


def test_every_line_has_a_test_or_does_not_hold_yet():
    lines = [line for line in LINES if not line.startswith("| what can go wrong")]
    assert len(lines) > 40
    for line in lines:
        tests = line.removesuffix(" |").split(" | ")[-1]
        assert ("::" in tests) != ("**Does not hold yet.**" in line), line
