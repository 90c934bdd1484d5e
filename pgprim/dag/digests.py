"""Code as an input: one digest file per module, over everything the module imports from this package.

Stages depend on these files instead of on the modules themselves. A digest says what the code means, not how it is
written: comments, docstrings, blank lines and line breaks leave it as it is, and no import can be forgotten, because
the whole import closure inside the package is part of it.

A change that is declared to change no result (`pgprim.dag.equal`) leaves it as it is, too.

`data/code/commands/train.txt`, for instance, has one line `<md5>  <module>` for `stages/train.py` and for each module
that it imports, directly or not.
"""

import ast
import hashlib
import os
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from pgprim.dag.equal import counts_as, declarations, write
from pgprim.types.errors import UserError

PACKAGE = Path(__file__).parents[1]

# The bridge decides when a stage runs, never what it computes.
LEFT_OUT = "dag"

# What a module of a package imports from it.
Find = Callable[[Path, Path], list[Path]]


def write_digests(folder: str | Path, texts: Mapping[str, str]) -> None:
    """Write one digest file per module of a package, remove those of modules that are gone.

    Files that already say the right thing are left alone, so that their modification times stay.

    Args:
        folder: where the digest files go; `a/b.py` gives `folder/a/b.txt`.
        texts: what `digests` finds.
    """
    folder = Path(folder)
    wanted = {folder / name: text for name, text in texts.items()}
    for path, text in wanted.items():
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.{os.getpid()}")
            unfinished.write_text(text)
            unfinished.replace(path)
    for path in sorted(folder.rglob("*.txt")):
        if path not in wanted:
            path.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def digests(package: Path = PACKAGE) -> dict[str, str]:
    """The text of every digest file, by its path relative to the digests' folder."""
    found = {}
    find = cache(imports)  # a module is in many closures
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        if relative.parts[0] != LEFT_OUT and path.name != "__init__.py":
            found[relative.with_suffix(".txt").as_posix()] = digest(path, package, find)
    return found


def digest(module: Path, package: Path = PACKAGE, find: Find | None = None) -> str:
    """One line `<md5>  <path>` for each file of the module's import closure, in the order of the paths."""
    return "".join(
        f"{_counted(path, package)}  {path.relative_to(package).as_posix()}\n"
        for path in closure(module, package, find)
    )


def declare_equal(name: str, why: str, package: Path = PACKAGE) -> str:
    """Let a module count as what the last commit has in its place; returns the digest that it counts as.

    Args:
        name: The module's path in the package.
        why: Why the change changes no result.
        package: The package's folder, in a Git repository.

    Raises:
        UserError: There is no such module, here or in the last commit.
    """
    path = package / name
    show = ["git", "show", f"HEAD:./{name}"]
    committed = subprocess.run(show, cwd=package, capture_output=True, check=False)
    if committed.returncode or not path.is_file():
        raise UserError(f"{name} is no module of {package.name} that the last commit has as well")
    before = counts_as(package, name, _md5(meaning(committed.stdout)))
    today = _md5(meaning(path.read_bytes()))
    found = {other: entry for other, entry in declarations(package).items() if other != name}
    write(package, found if today == before else found | {name: {"digest": today, "as": before, "why": why}})
    return before


def closure(module: Path, package: Path = PACKAGE, find: Find | None = None) -> list[Path]:
    """The module and all files of the package that importing it would read; empty `__init__.py` say nothing.

    Args:
        module: the module's file.
        package: the package's folder.
        find: `imports`, or a form of it that remembers.
    """
    seen: set[Path] = set()
    todo = [module]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += (find or imports)(path, package)
    return sorted(path for path in seen if path.name != "__init__.py" or _says_something(path))


def imports(module: Path, package: Path) -> list[Path]:
    """The files of the package that one module names in its import statements, and those of the packages it is in."""
    inside = module.relative_to(package.parent).parents
    found = [package.parent / folder / "__init__.py" for folder in inside if folder.name]
    for node in ast.walk(ast.parse(module.read_bytes()) if module.exists() else ast.Module([], [])):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = module.relative_to(package.parent).with_suffix("").parts[: -node.level]
                base = ".".join((*anchor, base)) if base else ".".join(anchor)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] == package.name:
                stem = package.parent.joinpath(*name.split("."))
                found += [p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()]
    return found


def meaning(source: str | bytes) -> str:
    """What a module says to Python, as text: its syntax tree without docstrings and positions.

    Unlike `ast.dump` this leaves out fields that are empty, so that the text does not change with the Python version
    that adds or drops one.
    """
    return _text(ast.parse(source))


def _counted(path: Path, package: Path) -> str:
    return counts_as(package, path.relative_to(package).as_posix(), _meaning(path, path.stat().st_mtime_ns))


@cache
def _meaning(path: Path, _mtime_ns: int) -> str:
    return _md5(meaning(path.read_bytes()))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _says_something(path: Path) -> bool:
    return path.exists() and meaning(path.read_bytes()) != meaning("")


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _text(node: object) -> str:
    if isinstance(node, list):
        return "[" + ",".join(map(_text, node)) + "]"
    if not isinstance(node, ast.AST):
        return f"{type(node).__name__}:{node!r}"
    fields = []
    for name in node._fields:
        value = getattr(node, name, None)
        if (
            isinstance(node, _DOCUMENTED)
            and name == "body"
            and ast.get_docstring(node, clean=False) is not None
        ):
            value = value[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
        # `ctx` follows from the place, `kind` is the spelling u"", type comments are comments
        if value is not None and value != [] and name not in ("ctx", "kind", "type_comment", "type_ignores"):
            fields.append(f"{name}={_text(value)}")
    return f"{type(node).__name__}({','.join(fields)})"
