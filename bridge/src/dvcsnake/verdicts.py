"""Verdicts: whether each stage's current key is recorded, and which of its outputs are in the workspace.

All objects here are frozen. A function that changes the workspace or dvc.lock returns a new survey.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from dvcsnake import run_cache
from dvcsnake.dvc_api import Entry, Hash, Repository
from dvcsnake.pipeline import Pipeline, Stage, is_folder

# fresh   dvc.lock has the stage's current key; its outputs match, or are only absent
# behind  the run cache has the current key, but dvc.lock does not have it yet
# altered the key is recorded, but an output in the workspace differs from the record
# stale   the key is not recorded: the stage must become a job
Verdict = Literal["fresh", "behind", "altered", "stale"]


@dataclass(frozen=True)
class Judged:
    """The verdict on one stage.

    Attributes:
        verdict: see above.
        asked: its command, parameters and input hashes, as an entry without hashes of outputs; None if an input's
            hash is not known, because what makes it is stale.
        entry: the record under the stage's current key, if there is one.
        absent: outputs that are not in the workspace.
        altered: outputs in the workspace that differ from their record.
    """

    verdict: Verdict
    asked: Entry | None = None
    entry: Entry | None = None
    absent: frozenset[str] = frozenset()
    altered: frozenset[str] = frozenset()

    def recorded(self, path: str) -> dict:
        """The record of one output."""
        return next(out for out in self.entry["outs"] if out["path"] == path)


@dataclass(frozen=True)
class Survey:
    """All verdicts at one moment.

    Attributes:
        stages: the verdicts by the stages' names, in the order in which stages depend on each other.
        locked: the entries of dvc.lock.
        folders: entries that say what a folder of folders hashes to, by its path.
        unanswered: keys that are recorded nowhere on this machine.
    """

    stages: Mapping[str, Judged]
    locked: Mapping[str, Entry] = field(default_factory=dict)
    folders: Mapping[str, Entry] = field(default_factory=dict)
    unanswered: frozenset[str] = frozenset()

    def with_stages(self, changed: Mapping[str, Judged]) -> "Survey":
        """The survey with new verdicts on some stages."""
        return replace(self, stages={**self.stages, **changed})


def survey(repository: Repository, pipeline: Pipeline) -> Survey:
    """Find the verdict on every stage, from the sources to the figures."""
    locked, params = repository.lock_file.read(), repository.params()
    hashes: dict[str, Hash | None] = {}
    stages: dict[str, Judged] = {}
    folders: dict[str, Entry] = {}
    unanswered: set[str] = set()
    for name in pipeline.order:
        stage = pipeline.stages[name]
        for dep in stage.deps:
            if dep not in hashes:
                hashes[dep] = _input_hash(repository, pipeline, dep, hashes, locked, folders, unanswered)
        judged = judge(repository, stage, run_cache.question(stage, params, hashes), locked.get(name))
        if judged.asked and not judged.entry:
            unanswered.add(repository.runs.key(judged.asked))
        stages[name] = judged
        recorded = {out["path"]: out for out in judged.entry["outs"]} if judged.entry else {}
        for out in stage.outs:
            hashes[out.path] = run_cache.bare(recorded[out.path]) if recorded else None
    repository.hashes.keep()
    return Survey(stages, locked, folders, frozenset(unanswered))


def judge(repository: Repository, stage: Stage, asked: Entry | None, locked: Entry | None) -> Judged:
    """The verdict on one stage.

    Args:
        repository: the DVC repository.
        stage: the stage.
        asked: what is to be run, None if an input's hash is not known.
        locked: the stage's entry in dvc.lock.
    """
    if asked is None:
        return Judged("stale")
    here = {out.path: repository.hashes.of(out.path) for out in stage.outs}
    absent = frozenset(path for path, hashed in here.items() if hashed is None)
    is_there = len(absent) < len(here)
    if locked and is_there and run_cache.fits(repository, asked, locked) and not _altered(here, locked):
        return Judged("fresh", asked, locked, absent)  # the usual case, without a look into the run cache
    entries = run_cache.answers(repository, asked, locked)
    if not entries:
        return Judged("stale", asked, absent=absent)
    right = next((entry for entry in entries if not _altered(here, entry)), None) if is_there else None
    entry = right or run_cache.best(repository, entries)
    if altered := _altered(here, entry):
        return Judged("altered", asked, entry, absent, altered)
    return Judged("fresh" if entry is locked else "behind", asked, entry, absent)


def _input_hash(
    repository: Repository,
    pipeline: Pipeline,
    dep: str,
    hashes: Mapping[str, Hash | None],
    locked: Mapping[str, Entry],
    folders: dict[str, Entry],
    unanswered: set[str],
) -> Hash | None:
    members = pipeline.made_of(dep)
    if not members:
        return repository.hashes.of(dep)
    inside = {path: hashed for path in members if (hashed := hashes.get(path))}
    if len(inside) < len(members):
        return None
    of_folder = repository.hashes.of_folder
    if not any(map(is_folder, members)):
        return of_folder(dep, inside)
    # the hash of a folder of folders, whose listings need not be here
    asked = run_cache.folder_question(dep, inside)
    entries = run_cache.answers(repository, asked, locked.get(dep))
    if not entries and (hashed := of_folder(dep, inside) or _hash_here(repository, dep, inside)):
        entries = [{**asked, "outs": [{"path": dep, **hashed}]}]
        repository.runs.record(entries[0])
    if not entries:
        unanswered.add(repository.runs.key(asked))
        return None
    folders[dep] = entries[0]
    return run_cache.bare(entries[0]["outs"][0])


def _hash_here(repository: Repository, folder: str, members: Mapping[str, Hash]) -> Hash | None:
    """The hash of a folder in the workspace, if it holds the members as they are on record."""
    is_whole = all(run_cache.same(repository.hashes.of(path), hashed) for path, hashed in members.items())
    return repository.hashes.of(folder) if is_whole else None


def is_stale(pipeline: Pipeline, now: Survey, paths: Iterable[str]) -> bool:
    """Whether one of some outputs is of a stale stage."""
    return any(now.stages[pipeline.maker[path]].verdict == "stale" for path in paths)


def _altered(here: Mapping[str, Hash | None], entry: Entry) -> frozenset[str]:
    """Outputs in the workspace that differ from an entry."""
    return frozenset(
        out["path"]
        for out in entry["outs"]
        if here[out["path"]] and not run_cache.same(here[out["path"]], out)
    )
