"""Code as an input: what a module means counts, how it is written does not, and no import is forgotten."""

import os
from pathlib import Path

import pytest
from dvcsnake.digests import (
    closure,
    current_digest,
    digest,
    digest_of,
    digests,
    meaning,
    project_digests,
    write_digests,
)
from dvcsnake.errors import UserError
from dvcsnake.hooks import Hooks

PLAIN = """\
import math

def area(radius: float, scale=2) -> float:
    if radius < 0:
        raise ValueError("negative")
    return scale * math.pi * radius**2
"""


@pytest.mark.parametrize(
    "other",
    [
        '"""A module."""\n' + PLAIN,
        "# a reason\n\n\n" + PLAIN,
        PLAIN.replace("    if", '    """An area."""\n    if'),
        PLAIN.replace("(radius: float, scale=2)", "(\n    radius: float,\n    scale=2,\n)"),
        PLAIN.replace('"negative"', "'negative'"),
        PLAIN.replace(
            "return scale * math.pi * radius**2", "return (scale * math.pi) * (radius ** 2)  # area"
        ),
        PLAIN.replace("\n", "\r\n"),
    ],
)
def test_comments_docstrings_position_and_format_say_nothing(other):
    assert other != PLAIN
    assert meaning(other) == meaning(PLAIN)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scale=2", "scale=2.0"),
        ("scale=2", "scale=True"),
        ("< 0", "<= 0"),
        ('"negative"', '"negative "'),
        ("scale * math.pi * radius**2", "scale * (math.pi * radius**2)"),
        ("radius: float", "radius"),
        ("import math", "import math as math"),
        ("    if radius", "    'not first'; '''nor this'''\n    if radius"),
        ("def area", "async def area"),
    ],
)
def test_everything_else_counts(old, new):
    assert old in PLAIN
    assert meaning(PLAIN.replace(old, new, 1)) != meaning(PLAIN)


def test_a_body_of_a_docstring_alone_is_an_empty_body():
    assert meaning('class A:\n    """Doc."""\n') == meaning("class A:\n    pass\n")
    assert meaning('"""Doc."""\n') == meaning("")


@pytest.fixture
def package(tmp_path) -> Path:
    """A package whose modules import each other in every way there is."""
    files = {
        "__init__.py": "",
        "base.py": "X = 1\n",
        "deep/__init__.py": '"""Only words."""\n',
        "deep/leaf.py": "from . import sibling\n",
        "deep/sibling.py": "from ..base import X\n",
        "deep/relative.py": "from .sibling import X as Y\n",
        "speaking/__init__.py": "from pack.base import X\n",
        "speaking/module.py": "Z = 2\n",
        "absolute.py": "import pack.deep.leaf\n",
        "named.py": "from pack.deep import leaf\n",
        "member.py": "from pack.base import X\n",
        "late.py": "def f():\n    if f:\n        from pack import base\n",
        "of_package.py": "from pack.speaking import X\n",
        "below_package.py": "import pack.speaking.module\n",
        "one.py": "from pack import two\n",
        "two.py": "from pack import one\n",
        "alone.py": "import os.path\nimport packet\n",
    }
    for name, text in files.items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "pack"


@pytest.mark.parametrize(
    ("module", "read"),
    [
        ("base", []),
        ("deep/leaf", ["base", "deep/sibling"]),
        ("deep/relative", ["base", "deep/sibling"]),
        ("absolute", ["base", "deep/leaf", "deep/sibling"]),
        ("named", ["base", "deep/leaf", "deep/sibling"]),
        ("member", ["base"]),
        ("late", ["base"]),
        ("of_package", ["base", "speaking/__init__"]),
        ("below_package", ["base", "speaking/__init__", "speaking/module"]),
        ("one", ["two"]),
        ("alone", []),
    ],
)
def test_the_closure_has_what_importing_reads(package, module, read):
    found = {
        path.relative_to(package).with_suffix("").as_posix()
        for path in closure(package / f"{module}.py", package)
    }
    assert found == {module, *read}


def test_a_digest_follows_what_it_imports_and_nothing_else(package):
    before = digests(package)
    (package / "base.py").write_text("X = 3\n")
    after = digests(package)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == before.keys() - {"speaking/module.txt", "one.txt", "two.txt", "alone.txt"} | {
        "speaking/module.txt"
    }
    assert not any("__init__" in name for name in before)


def test_a_digest_names_each_file_once(package):
    lines = digest(package / "one.py", package).splitlines()
    assert [line.split()[1] for line in lines] == ["one.py", "two.py"]
    assert all(len(line.split()[0]) == 32 for line in lines)


def test_written_digests_change_only_where_the_code_does(package, tmp_path):
    folder = tmp_path / "code"
    write_digests(folder, digests(package))
    for path in folder.rglob("*.txt"):
        os.utime(path, (1, 1))
    (package / "base.py").write_text("# words\nX = 1\n")
    (package / "alone.py").write_text("import os.path\n")
    (package / "late.py").unlink()
    write_digests(folder, digests(package))
    rewritten = {path.name for path in folder.rglob("*.txt") if path.stat().st_mtime > 1}
    assert rewritten == {"alone.txt"}
    assert not (folder / "late.txt").exists()
    assert (folder / "deep/leaf.txt").exists()


@pytest.fixture
def outside(package) -> Path:
    """Files outside the package: loose ones in a folder, and a package of their own."""
    files = {
        "plugins/cart.py": "import helper\nimport sub.part\nfrom pack.base import X\nimport os\n",
        "plugins/helper.py": "Y = 1\n",
        "plugins/sub/part.py": "Z = 1\n",
        "plugins/unread.py": "W = 1\n",
        "plugins/cart.xml": "<mujoco/>\n",
        "pack/table.csv": "0\n",
        "own/__init__.py": "",
        "own/env.py": "from . import parts\nimport stranger\n",
        "own/parts.py": "from own.deep.leaf import A\n",
        "own/deep/__init__.py": "",
        "own/deep/leaf.py": "A = 1\n",
        "stranger.py": "B = 1\n",
    }
    for name, text in files.items():
        path = package.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package.parent


@pytest.mark.parametrize(
    ("module", "read"),
    [
        ("plugins/cart.py", ["base.py", "cart.py", "helper.py", "sub/part.py"]),
        ("own/env.py", ["own/deep/leaf.py", "own/env.py", "own/parts.py"]),
        ("pack/late.py", ["base.py", "late.py"]),
        ("plugins/cart.xml", ["plugins/cart.xml"]),
    ],
)
def test_code_outside_the_package_is_followed_within_its_own_package_or_folder(
    package, outside, module, read
):
    text = digest_of("x.txt", [outside / module], package)
    assert [line.split()[1] for line in text.splitlines()] == read


def test_a_digest_that_the_hooks_ask_for_follows_what_its_roots_import(package, outside):
    hooks = Hooks(
        package="pack",
        extra_digests=lambda params: {
            f"plugins/{name}.txt": paths for name, paths in params["plugins"].items()
        },
    )
    params = {
        "plugins": {
            "cart": ["plugins/cart.py", "plugins/cart.xml"],
            "inside": ["pack/one.py"],
            "table": ["pack/table.csv"],
            "none": [],
        }
    }
    cached = {}

    def recall(name, key, compute):
        return cached.setdefault((name, str(key)), compute())

    def look():
        return project_digests(outside, hooks, params, recall)

    before = look()
    assert before["plugins/none.txt"] == ""
    assert before["plugins/inside.txt"] == before["one.txt"]
    for name in ("plugins/cart.txt", "plugins/inside.txt", "plugins/table.txt"):
        assert current_digest(outside, hooks, lambda: params, name) == before[name]
    for file, text, stale in (
        ("plugins/helper.py", "Y = 2\n", "plugins/cart.txt"),
        ("plugins/cart.xml", "<mujoco></mujoco>\n", "plugins/cart.txt"),
        ("pack/table.csv", "1\n", "plugins/table.txt"),
    ):
        (outside / file).write_text(text)
        after = look()
        assert {name for name, text in after.items() if text != before[name]} == {stale}
        before = after


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (
            {"x.txt": ["plugins/gone.py"]},
            r"gone\.py, whose code belongs in the digest x\.txt, does not exist",
        ),
        ({"base.txt": ["plugins/helper.py"]}, r"base\.txt, which is the digest of a module of pack"),
    ],
)
def test_wrong_digests_are_one_sentence(package, outside, extra, told):
    hooks = Hooks(package="pack", extra_digests=lambda params: extra)
    with pytest.raises(UserError, match=told):
        project_digests(outside, hooks, {}, lambda name, key, compute: compute())


def test_a_module_that_is_no_python_is_one_sentence(package):
    (package / "base.py").write_text("X = (\n")
    with pytest.raises(UserError, match=r"base\.py, line 1: not valid Python"):
        digests(package)
