"""One Snakemake job: look the stage up, put its outputs in place from the cache, or else run its command."""

import subprocess
import sys
from pathlib import Path

from pgprim.dag import digests, traces
from pgprim.dag.dvcapi import Entry, Repository
from pgprim.dag.pipeline import Stage, parse_stage

DIGESTS = "data/code/"


def run(repository: Repository, name: str, force: bool = False) -> int:
    """Have a stage's outputs in the workspace, and what made them in the run cache.

    Args:
        repository: the DVC repository.
        name: the stage.
        force: run the command even if the result is known.

    Returns:
        The exit status for the job.
    """
    stage = parse_stage(name, repository.definition(name))
    if changed := _changed_modules(repository, stage):
        print(f"{name}: {changed[0]} is not what its digest says, so it was edited after Snakemake had started")
        return 1
    asked = _question(repository, stage)
    known = None if force else traces.best(repository, traces.answers(repository, asked, None))
    if known and all(traces.same(repository.hash(out["path"]), out) for out in known["outs"]):
        print(f"{name}: unchanged")
        return 0
    if known and _restore(repository, stage, known):
        print(f"{name}: restored from the cache")
        return 0
    for out in stage.outs:
        (repository.root / out.path).parent.mkdir(parents=True, exist_ok=True)
    if status := subprocess.call(stage.cmd, shell=True, cwd=repository.root):
        return status if 0 < status < 128 else 1
    if _changed_modules(repository, stage) or repository.key(_question(repository, stage)) != repository.key(asked):
        print(f"{name}: an input changed while the stage ran, so the result is not recorded", file=sys.stderr)
        return 1
    outs = [{"path": out.path, **repository.store(out.path, out.is_linked)} for out in stage.outs]
    repository.record({**asked, "outs": outs})
    print(f"{name}: computed")
    return 0


def _question(repository: Repository, stage: Stage) -> Entry:
    hashes = {path: repository.hash(path) for path in stage.deps}
    asked = traces.question(stage, repository.params(), hashes)
    if asked is None:
        missing = next(path for path, known in hashes.items() if known is None)
        raise FileNotFoundError(f"{stage.name} reads {missing}, which does not exist")
    return asked


def _restore(repository: Repository, stage: Stage, entry: Entry) -> bool:
    outs = entry["outs"]
    missing = [out for out in outs if not repository.is_cached(out)]
    if missing and repository.remote:
        try:
            repository.fetch(missing)
        except Exception as problem:  # a remote that cannot help is no reason to stop
            print(f"not fetched from {repository.remote}: {problem}", file=sys.stderr)
    if not all(map(repository.is_cached, outs)):
        return False
    for out in outs:
        repository.restore(out, stage.out(out["path"]).is_linked)
    return True


def _changed_modules(repository: Repository, stage: Stage) -> list[str]:
    """Modules of the stage that no longer say what their digest files say."""
    package = repository.root / digests.PACKAGE.name
    changed = []
    for path in stage.deps:
        if path.startswith(DIGESTS):
            module = package / Path(path).relative_to(DIGESTS).with_suffix(".py")
            if not module.exists() or digests.digest(module, package) != (repository.root / path).read_text():
                changed.append(module.relative_to(repository.root).as_posix())
    return changed
