"""Code as an input: one digest file per module, over everything the module imports from the project.

Stages depend on these files instead of on the modules themselves. A digest depends on the meaning of the code, not on
its layout: comments, docstrings, blank lines and line breaks do not change it. It covers the whole import closure
inside the package, so no import can be forgotten. A change that is declared to change no result (`dvcsnake.declared`)
does not change it either.

`data/code/stages/train.txt`, for instance, has one line `<md5>  <module>` for `stages/train.py` and for each module
that it imports, directly or not. A project's hooks may name more such files (`Hooks.extra_digests`), of files inside or
outside the package. A file that is not Python counts by its bytes.
"""

import ast
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from dvcsnake.declared import DECLARED, counts_as, declarations, write
from dvcsnake.errors import UserError, not_yaml
from dvcsnake.hooks import Hooks
from dvcsnake.whole_files import write_whole

# The files of the project that a module imports.
Find = Callable[[Path], list[Path]]


def write_digests(folder: str | Path, texts: Mapping[str, str]) -> None:
    """Write digest files, remove those of modules that are gone.

    Unchanged files are not rewritten, so their modification times stay.

    Args:
        folder: where the digest files go.
        texts: what each says, by its path in the folder.
    """
    folder = Path(folder)
    wanted = {folder / name: text for name, text in texts.items()}
    for path, text in wanted.items():
        if not path.exists() or path.read_text() != text:
            write_whole(path, text)
    for path in sorted(folder.rglob("*.txt")):
        if path not in wanted:
            path.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def project_digests(
    root: Path, hooks: Hooks, params: Mapping[str, Any], recall: Callable[[str, Any, Callable], Any]
) -> dict[str, str]:
    """The text of every digest file of a project, by its path in the folder `hooks.code`.

    Args:
        root: the project's folder.
        hooks: its hooks.
        params: its parameters.
        recall: takes a name, a key and a function, returns what the function returns, from a cache if the key is there.

    Raises:
        UserError: A file that the hooks name does not exist, or a digest file has two meanings.
    """
    package = root / hooks.package
    extra = {
        name: [Path(root, module) for module in modules]
        for name, modules in hooks.extra_digests(params).items()
    }
    inside = {
        name: modules
        for name, modules in extra.items()
        if all(path.is_relative_to(package) and path.suffix == ".py" for path in modules)
    }
    key = [_state(package), {name: [str(module) for module in modules] for name, modules in inside.items()}]
    texts = recall(
        "digests",
        key,
        lambda: (
            digests(package) | {name: digest_of(name, modules, package) for name, modules in inside.items()}
        ),
    )
    for name in extra:
        if (package / name).with_suffix(".py").is_file():
            raise UserError(
                f"the hooks' extra_digests name {name}, which is the digest of a module of {package.name}"
            )
    outside = extra.keys() - inside.keys()
    return texts | {name: digest_of(name, extra[name], package) for name in outside}


def read_params(root: Path) -> dict[str, Any]:
    """The parameter file as DVC reads it (YAML 1.2), without the second that importing DVC takes."""
    from ruamel.yaml import YAML, YAMLError

    path = root / "params.yaml"
    try:
        return (YAML(typ="safe").load(path.read_bytes()) if path.exists() else None) or {}
    except YAMLError as error:
        raise not_yaml(os.path.relpath(path), error) from None


def _state(package: Path) -> list[list]:
    """Names, sizes and modification times of all files of a package's digests."""
    files = [*sorted(package.rglob("*.py")), package / DECLARED]
    stats = ((path, path.stat()) for path in files if path.exists())
    return [
        [path.relative_to(package).as_posix(), stat.st_size, stat.st_mtime_ns, stat.st_ino]
        for path, stat in stats
    ]


def current_digest(
    root: Path, hooks: Hooks, params: Callable[[], Mapping[str, Any]], name: str
) -> str | None:
    """The text that one digest file must have now; None if it is of nothing that exists."""
    package = root / hooks.package
    module = package / Path(name).with_suffix(".py")
    if module.is_file():
        return digest(module, package)
    modules = hooks.extra_digests(params()).get(name)
    return None if modules is None else digest_of(name, [Path(root, module) for module in modules], package)


def digests(package: Path) -> dict[str, str]:
    """The digests of a package's modules; `a/b.py` has `a/b.txt`."""
    find = cache(partial(imports, package=package))  # a module is in many closures
    return {
        path.relative_to(package).with_suffix(".txt").as_posix(): digest(path, package, find)
        for path in sorted(package.rglob("*.py"))
        if path.name != "__init__.py"
    }


def digest_of(name: str, modules: Iterable[Path], package: Path) -> str:
    """The digest of several files together, which may lie outside the package.

    Of a Python file it covers the import closure, of any other file its bytes.
    """
    paths: dict[Path, str] = {}
    for module in modules:
        if not module.is_file():
            raise UserError(f"{module}, whose code belongs in the digest {name}, does not exist")
        if module.suffix != ".py":
            paths[module] = Path(os.path.relpath(module, package.parent)).as_posix()
            continue
        home = package.parent if module.is_relative_to(package) else import_root(module)
        for path in closure(module, package, partial(imports, package=package, home=home)):
            anchor = package if path.is_relative_to(package) else home
            paths[path] = path.relative_to(anchor).as_posix()
    return _lines(paths, package)


def digest(module: Path, package: Path, find: Find | None = None) -> str:
    """One line `<md5>  <path>` for each file of the module's import closure, in the order of the paths."""
    paths = {path: path.relative_to(package).as_posix() for path in closure(module, package, find)}
    return _lines(paths, package)


def _lines(paths: Mapping[Path, str], package: Path) -> str:
    named = sorted((name, path) for path, name in paths.items())
    return "".join(f"{_counted(path, name, package)}  {name}\n" for name, path in named)


def import_root(module: Path) -> Path:
    """The folder from which a module is imported: the one that its outermost package lies in."""
    folder = module.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def declare_equal(name: str, why: str, package: Path) -> str:
    """Declare a module equal to its version in the last commit; returns the digest of that version.

    Args:
        name: The module: its path in the package, or from here, or its name after `import`; `.py` may be left out.
        why: Why the change changes no result.
        package: The package's folder, in a Git repository.

    Raises:
        UserError: There is no such module, here or in the last commit.
    """
    path = _module(name, package)
    name = path.relative_to(package).as_posix()
    show = ["git", "show", f"HEAD:./{name}"]
    committed = subprocess.run(show, cwd=package, capture_output=True, check=False)
    if committed.returncode:
        raise UserError(f"{name} is no module of {package.name} that the last commit has as well")
    before = counts_as(package, name, digest_of_meaning(committed.stdout))
    today = digest_of_meaning(path.read_bytes())
    others = {other: entry for other, entry in declarations(package).items() if other != name}
    write(
        package, others if today == before else others | {name: {"digest": today, "as": before, "why": why}}
    )
    return before


def _module(name: str, package: Path) -> Path:
    """The file of a module that somebody names."""
    path = name if name.endswith(".py") else f"{name.replace('.', '/')}.py"
    for folder in (package, package.parent, Path.cwd()):
        place = Path(os.path.normpath(folder / path))
        if place.is_file() and place.is_relative_to(package):
            return place
    example = next(iter(sorted(path for path in package.rglob("*.py") if path.name != "__init__.py")), None)
    more = (
        f"; it takes a path in {package.name}/, such as {example.relative_to(package).as_posix()}"
        if example
        else ""
    )
    raise UserError(f"{name} is no module of {package.name}{more}")


def closure(module: Path, package: Path, find: Find | None = None) -> list[Path]:
    """The module and all files of the project that importing it reads, without empty `__init__.py`.

    An `__init__.py` that is declared equal to an empty one (`dvcsnake.declared`) is left out, too.

    Args:
        module: the module's file.
        package: the package's folder.
        find: `imports` of this package, or a form of it that remembers.
    """
    find = find or partial(imports, package=package)
    seen: set[Path] = set()
    todo = [module]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += find(path)
    return sorted(path for path in seen if path.name != "__init__.py" or _says_something(path, package))


def imports(module: Path, package: Path, home: Path | None = None) -> list[Path]:
    """The files of the project that a module names in its import statements, and those of the packages it is in.

    Args:
        module: the module's file.
        package: the project's package.
        home: for a module outside of it, the folder from which it is imported. Such a module imports from the project's
            package and from its own outermost package or, if it is in none, from `home`.
    """
    is_inside = home is None or module.is_relative_to(package)
    root = package.parent if is_inside else home
    inside = [root / folder / "__init__.py" for folder in module.relative_to(root).parents if folder.name]
    files = [path for path in inside if is_inside or path.is_file()]
    places = {(package.parent, package.name)}
    if not is_inside:
        places.add((root, module.relative_to(root).parts[0] if files else None))
    for node in ast.walk(_parse(module)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = module.relative_to(root).with_suffix("").parts[: -node.level]
                base = ".".join((*anchor, base)) if base else ".".join(anchor)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            for folder, top in places:
                if top is None or name.split(".")[0] == top:
                    stem = folder.joinpath(*name.split("."))
                    files += [p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()]
    return files


def _parse(module: Path) -> ast.Module:
    try:
        return ast.parse(module.read_bytes()) if module.exists() else ast.Module([], [])
    except SyntaxError as error:
        raise UserError(f"{module}, line {error.lineno}: not valid Python, {error.msg}") from None


def meaning(source: str | bytes) -> str:
    """The meaning of a module as text: its syntax tree without docstrings and positions.

    Unlike `ast.dump` this leaves out fields that are empty, so that the text does not change with the Python version
    that adds or drops one.
    """
    return _text(ast.parse(source))


def digest_of_meaning(source: str | bytes) -> str:
    """The MD5 of a module's meaning."""
    return _md5(meaning(source))


def parts(source: str | bytes) -> dict[str, str]:
    """Digests of a module's parts: functions, methods (`Class.method`), constants, `imports` and `statements`."""
    texts: dict[str, list[str]] = {}
    for name, node in _named_parts(ast.parse(source).body):
        texts.setdefault(name, []).append(_text(node))
    return {name: _md5("\n".join(those)) for name, those in texts.items()}


def _named_parts(body: Iterable[ast.stmt], within: str = "") -> Iterator[tuple[str, object]]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield f"{within}{node.name}", node
            case ast.ClassDef():
                yield f"{within}{node.name}", [node.bases, node.keywords, node.decorator_list]
                yield from _named_parts(node.body, f"{within}{node.name}.")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield f"{within}{name}", node
            case ast.Import() | ast.ImportFrom():
                yield f"{within}imports", node
            case ast.Expr(value=ast.Constant(value=str())):
                pass  # a docstring
            case _:
                yield f"{within}statements", node


def _counted(path: Path, name: str, package: Path) -> str:
    today = _meaning(path, path.stat().st_mtime_ns)
    return counts_as(package, name, today) if path.is_relative_to(package) else today


@cache
def _meaning(path: Path, _mtime_ns: int) -> str:
    content = path.read_bytes()
    return digest_of_meaning(content) if path.suffix == ".py" else _md5(content)


def _md5(text: str | bytes) -> str:
    content = text.encode() if isinstance(text, str) else text
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _says_something(path: Path, package: Path) -> bool:
    name = path.relative_to(package).as_posix() if path.is_relative_to(package) else path.name
    return path.exists() and _counted(path, name, package) != _md5(meaning(""))


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
