"""One Snakemake job: look up the stage, restore its outputs from the cache, or else run its command."""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dvcsnake import digests, placeholders, run_cache, together
from dvcsnake.dvc_api import Entry, Hash, Repository
from dvcsnake.pipeline import Pipeline, Stage, parse_stage
from dvcsnake.project import NEEDED


def run(repository: Repository, name: str, force: bool = False) -> int:
    """Make a stage's outputs available in the workspace, and its record in the run cache.

    Args:
        repository: the DVC repository.
        name: the stage; those that it leads (`together`) are had, too.
        force: run the command even if the result is known.

    Returns:
        The exit status for the job.
    """
    names = together.read(repository.root, name)
    with ExitStack() as locks:
        for one in sorted(names):
            locks.enter_context(_alone(repository, one))
        todo: dict[Stage, Entry] = {}
        for stage in (parse_stage(one, repository.definition(one)) for one in names):
            if changed := _changed_modules(repository, stage):
                print(
                    f"{stage.name}: {changed[0]} is not what its digest says, so it was edited after Snakemake had started"
                )
                return 1
            asked = _question(repository, stage)
            if force or not _is_known(repository, stage, asked):
                todo[stage] = asked
        return _compute(repository, todo) if todo else 0


def _is_known(repository: Repository, stage: Stage, asked: Entry) -> bool:
    """Whether a stage's outputs are recorded and, as far as needed, restored."""
    known = run_cache.best(repository, run_cache.answers(repository, asked, None))
    if not known:
        return False
    if all(run_cache.same(repository.hashes.of(out["path"]), out) for out in known["outs"]):
        print(f"{stage.name}: unchanged")
        return True
    lacking = _bring(repository, stage, known)
    if not lacking:
        print(f"{stage.name}: restored from the cache")
        return True
    if not _can_do_without(repository, stage, lacking):
        return False
    for out in lacking:
        placeholders.put(repository.root, out["path"], out)
    print(f"{stage.name}: on record; {', '.join(out['path'] for out in lacking)} is not here, and not needed")
    return True


def _compute(repository: Repository, todo: dict[Stage, Entry]) -> int:
    for stage in todo:
        for path in stage.deps:
            if placeholders.read(repository.root, path):
                print(
                    f"{stage.name} reads {path}, which is not here: run snakemake again, it will be made",
                    file=sys.stderr,
                )
                return 1
        for out in stage.outs:
            placeholders.clear(repository.root, out.path)
            (repository.root / out.path).parent.mkdir(parents=True, exist_ok=True)
    command = together.joined([stage.cmd for stage in todo])
    if status := subprocess.call(command, shell=True, cwd=repository.root):
        return status if 0 < status < 128 else 1
    return max(_record(repository, stage, asked) for stage, asked in todo.items())


def _record(repository: Repository, stage: Stage, asked: Entry) -> int:
    key = repository.runs.key
    if _changed_modules(repository, stage) or key(_question(repository, stage)) != key(asked):
        print(
            f"{stage.name}: an input changed while the stage ran, so the result is not recorded",
            file=sys.stderr,
        )
        return 1
    missing = [out.path for out in stage.outs if not (repository.root / out.path).exists()]
    if missing:
        print(f"{stage.name}: the command ended well but did not make {missing[0]}", file=sys.stderr)
        return 1
    outs = [{"path": out.path, **repository.objects.store(out.path, out.is_linked)} for out in stage.outs]
    repository.runs.record({**asked, "outs": outs}, journal=True)
    print(f"{stage.name}: computed")
    return 0


@contextmanager
def _alone(repository: Repository, name: str) -> Iterator[None]:
    """Wait for a job of the same stage that outlived a killed Snakemake."""
    place = repository.root / ".dvc" / "tmp" / "dvcsnake" / f"{hashlib.md5(name.encode()).hexdigest()}.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _hash(repository: Repository, path: str) -> Hash | None:
    known = placeholders.read(repository.root, path)
    return run_cache.bare(known) if known else repository.hashes.of(path)


def _question(repository: Repository, stage: Stage) -> Entry:
    hashes = {path: _hash(repository, path) for path in stage.deps}
    asked = run_cache.question(stage, repository.params(), hashes)
    if asked is None:
        missing = next(path for path, known in hashes.items() if known is None)
        raise FileNotFoundError(f"{stage.name} reads {missing}, which does not exist")
    return asked


def _bring(repository: Repository, stage: Stage, entry: Entry) -> list[dict]:
    """Restore recorded outputs; returns those that neither the cache nor the remote has."""
    _fetch(repository, entry["outs"])
    objects = repository.objects
    return [
        out
        for out in entry["outs"]
        if not (objects.is_cached(out) and objects.restore(out, stage.out(out["path"]).is_linked))
    ]


def _fetch(repository: Repository, outs: list[dict]) -> None:
    """Fetch outputs from the remotes into the cache, as far as they have them."""
    for remote in repository.remotes.names:
        if missing := [out for out in outs if not repository.objects.is_cached(out)]:
            try:
                repository.remotes.fetch(missing, remote)
            except Exception as problem:  # a failing remote is no reason to stop
                print(f"not fetched from {remote}: {problem}", file=sys.stderr)


def _can_do_without(repository: Repository, stage: Stage, lacking: list[dict]) -> bool:
    """Whether missing outputs are not needed: they are not requested, and all stages that read them are recorded."""
    if not all(stage.out(out["path"]).is_linked for out in lacking):
        return False
    needed = repository.root / NEEDED
    if needed.exists() and stage.name in needed.read_text().splitlines():
        return False
    pipeline = Pipeline(*repository.definitions())
    return all(
        _is_settled(repository, reader, {out["path"]: out for out in lacking})
        for reader in pipeline.stages.values()
        if any(out["path"] in pipeline.made_of(dep) for dep in reader.deps for out in lacking)
    )


def _is_settled(repository: Repository, reader: Stage, assumed: dict[str, dict]) -> bool:
    """Whether a stage's result is recorded for given hashes of some inputs, and available without running it."""
    hashes = {path: assumed.get(path) or _hash(repository, path) for path in reader.deps}
    asked = run_cache.question(
        reader,
        repository.params(),
        {path: known and run_cache.bare(known) for path, known in hashes.items()},
    )
    entry = asked and run_cache.best(repository, run_cache.answers(repository, asked, None))
    if not entry:
        return False
    shared = [out for out in entry["outs"] if not reader.out(out["path"]).is_linked]
    _fetch(repository, shared)
    return all(map(repository.objects.is_cached, shared))


def _changed_modules(repository: Repository, stage: Stage) -> list[str]:
    """Modules of the stage that changed since their digest files were written."""
    hooks, root = repository.hooks, repository.root
    if hooks.package is None:
        return []
    names = [path.removeprefix(f"{hooks.code}/") for path in stage.deps if path.startswith(f"{hooks.code}/")]
    return [
        Path(hooks.package, name).with_suffix(".py").as_posix()
        for name in names
        if digests.current_digest(root, hooks, repository.params, name)
        != (root / hooks.code / name).read_text()
    ]
