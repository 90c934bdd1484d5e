"""The pipeline's hooks, which connect pgprim to `dvcsnake`.

`[tool.dvcsnake]` in pyproject.toml names them. Every job imports this module, so it imports other modules only when
needed.
"""

import ast
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from dvcsnake import errors
from dvcsnake.digests import closure, imports
from dvcsnake.hooks import Hooks
from dvcsnake.pipeline import Stage

from pgprim.types.errors import UserError

PACKAGE = "pgprim"
CAPTIONS = "workflow/report/figures.rst"
ALGORITHMS = Path("pgprim/rl/algorithms")

Work = tuple[str, str, str, str]
"""Kind, task, algorithm and case; without a task if the cost does not depend on it."""


def check() -> None:
    """Check `params.yaml`.

    Raises:
        errors.UserError: A sentence for everything that is wrong.
    """
    from pgprim.commands.params import load

    try:
        load()
    except UserError as error:
        raise errors.UserError(str(error)) from None


def seconds(stages: Sequence[Stage]) -> list[float | None]:
    """CPU time of each stage on one core at the measured rates [s]; None without a measured rate."""
    from pgprim.commands.cost import RATES, jobs, taking
    from pgprim.commands.params import load
    from pgprim.types.params import read

    params, rates = load(), read(RATES)
    sums: dict[Work, list[tuple[int, float] | None]] = {}
    for job in jobs(params, rates):
        taken = taking(job, params, rates)
        place = sums.setdefault((job.kind.split(" of ")[0], job.task, job.algo, job.case), [])
        place.append(taken and (job.stages, taken[0]))
    times = {
        work: None if None in parts else sum(time for _, time in parts) / max(1, sum(num for num, _ in parts))
        for work, parts in sums.items()
    }
    drawn = float(rates["start"].get("plot", 0))
    return [times.get(_work(stage)) if _work(stage)[1] else drawn for stage in stages]


def labels(path: str) -> dict[str, str]:
    """Labels of a figure in the list of `snakemake --report`, which sort it: number or name, and title."""
    from pgprim.commands.params import load
    from pgprim.report.site.captions import caption

    name = Path(path).stem
    title = caption(Path(CAPTIONS).read_text(encoding="utf-8"), name, load()).title
    number = name.removeprefix("fig")
    if number.isdigit():
        return {"figure": f"Figure {int(number):02d}", "title": title.partition(". ")[2]}
    return {"figure": name.replace("_", " "), "title": title}


def extra_digests(params: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Digest files beyond one per module of the package: of each algorithm's code, and of each task's own code.

    A task's code is in the project's modules that its id (`module:Name-v0`) and its wrappers (`module:Class`) name, and in
    files that their arguments name (`xml_file: ./my.xml`); Gymnasium's own tasks have none.
    """
    digests = {}
    named = {algo: agent["all"]["algorithm"] for algo, agent in params["agents"].items()}
    named |= {name: agent["algorithm"] for name, agent in params["adopted"].items()}
    for algo, name in named.items():
        folder = ALGORITHMS / name
        digests[f"agents/{algo}.txt"] = sorted(folder.glob("*.py")) or [folder.with_suffix(".py")]
    for task, environment in params["env"].items():
        parts = [environment["id"], *environment.get("wrappers", ())]
        classes = [part if isinstance(part, str) else part["class"] for part in parts]
        modules = [name.rpartition(":")[0] for name in classes]
        files = _files_named(
            [environment.get("kwargs"), [part for part in parts if not isinstance(part, str)]]
        )
        digests[f"environments/{task}.txt"] = sorted({*_files_of(modules), *files})
    return digests


def _files_of(modules: Iterable[str]) -> set[Path]:
    """Python files of the project whose import closures hold the code of some modules, without importing them.

    Of a module in a package they are all files of that package: Gymnasium's registry names its classes in strings
    (`register("Own-v0", "mine.envs:Own")`), so that imports alone do not show them. Modules that strings of this form
    name outside the package are added. Of pgprim itself imports are enough.
    """
    files: set[Path] = set()
    todo, seen = [name for name in modules if name], set()
    while todo:
        name = todo.pop()
        file = _file_of(name)
        if file is None or name in seen:
            continue
        seen.add(name)
        packages = [folder for folder in file.parents if (folder / "__init__.py").is_file() and folder.name]
        if packages and packages[-1] != Path(PACKAGE):
            roots = read = sorted(packages[-1].rglob("*.py"))
        else:
            find = partial(imports, package=Path(PACKAGE), home=file.parent)
            roots, read = [file], closure(file, Path(PACKAGE), find)
        files.update(roots)
        todo += [name for path in read if path.parts[0] != PACKAGE for name in _registered(path)]
    return files


def _registered(file: Path) -> list[str]:
    """Modules that a file names in strings of the form `module:Class`; none if it is not valid Python."""
    texts = []
    with suppress(SyntaxError):  # the digest, which needs the syntax tree, reports it
        nodes = ast.walk(ast.parse(file.read_bytes()))
        texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return [
        text.partition(":")[0]
        for text in texts
        if isinstance(text, str) and re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text)
    ]


def _files_named(value: Any) -> set[Path]:
    """Files of the project that some arguments name."""
    match value:
        case str() if os.path.isfile(value) and Path(value).resolve().is_relative_to(Path.cwd()):
            return {Path(os.path.relpath(value))}
        case Mapping():
            return _files_named(list(value.values()))
        case list() | tuple():
            return set().union(*map(_files_named, value))
    return set()


def _file_of(module: str) -> Path | None:
    """The file of a module, without importing it; None if it is not in the project."""
    path = Path(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _work(stage: Stage) -> Work:
    """Kind, task, algorithm and case of a stage, which determine its cost."""
    words, parts = stage.cmd.split(), stage.outs[0].path.split("/")
    command = words[2].removeprefix("pgprim.commands.")
    if command == "vary":
        place = parts.index(words[words.index("--task") + 1])
        return (
            f"{words[3]} training",
            parts[place],
            parts[place + 1] if words[3] in ("semantics", "reliability") else "ppo",
            "",
        )
    if command == "probe":
        case = words[words.index("--case") + 1] if "--case" in words else ""
        kind, start = words[3], 2 if parts[1] == "fits" else 3
        return kind, parts[start], parts[start + 1], case
    if command in ("train", "rerun", "checkpoint", "sample"):
        return command, parts[2], parts[3], ""
    return command, "", "", ""


HOOKS = Hooks(
    package=PACKAGE,
    code="data/code",
    targets=(
        *("figures/*", "!figures/mine/*", "data/figures/*", "!data/figures/mine/*"),
        *("data/metrics/*", "data/claims/*", "site/*"),
    ),
    captions=CAPTIONS,
    reported=("figures/*.pdf",),
    labels=labels,
    check=check,
    seconds=seconds,
    extra_digests=extra_digests,
)
