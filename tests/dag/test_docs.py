"""The page on the pipeline names tests that exist, and none of DVC is used where it does not say so."""

import ast
import re
from pathlib import Path

from tests.dag.checkouts import PROJECT

PAGE = (PROJECT / "docs/pipeline.md").read_text()


def functions(folder: Path, pattern: str = "test_*.py") -> set[str]:
    trees = (ast.parse(path.read_text()) for path in folder.glob(pattern))
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_page_names_tests_that_exist():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    assert named <= functions(PROJECT / "tests/dag")
    for path in re.findall(r"`(tests/\w+/\w+\.py)`", PAGE):
        assert (PROJECT / path).is_file()


def test_every_test_of_a_behaviour_is_on_the_page():
    wholes = [
        functions(PROJECT / "tests/dag", f"test_{name}.py")
        for name in ("clones", "rebuilding", "faults", "cluster", "remotes")
    ]
    behaviours = {name for name in set().union(*wholes) if re.match(r"test_[a-k]\d?_", name)}
    assert behaviours <= set(re.findall(r"`(test_\w+)`", PAGE))


def test_dvc_is_imported_by_one_module():
    importing = {
        path.name
        for path in (PROJECT / "pgprim").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if re.match(r"dvc(_data|_objects)?(\.|$)", name)
    }
    assert importing == {"dvcapi.py"}
