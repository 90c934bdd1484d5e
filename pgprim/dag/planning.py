"""Before Snakemake plans: hashes decide what is up to date, and modification times tell Snakemake.

Snakemake knows files by their modification times, DVC by their hashes. The prelude settles for every stage what the
hashes say, puts back what the cache has, and sets times such that Snakemake comes to the same verdict: outputs of what
is up to date are not older than its inputs, those of all else are from 1970.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pgprim.dag import digests, traces
from pgprim.dag.dvcapi import Entry, Hash, Repository
from pgprim.dag.pipeline import Pipeline, Stage, is_folder
from pgprim.types.errors import UserError

# fresh   dvc.lock describes exactly this stage; its outputs match, or are merely absent
# behind  outputs are right but dvc.lock does not say so yet, because a job recorded the run
# cached  the run is on record and the cache holds its outputs, which are not in the workspace
# stale   all else: must become a job, which may still find its result on record
Verdict = Literal["fresh", "behind", "cached", "stale"]

# Where directory() outputs carry their modification time.
STAMP = ".snakemake_timestamp"
EPOCH = 1.0


@dataclass
class Status:
    """What is known about one stage.

    Attributes:
        verdict: see above.
        entry: the record that describes the stage as it is now, if there is one.
        absent: outputs that are not in the workspace.
    """

    verdict: Verdict
    entry: Entry | None = None
    absent: list[str] = field(default_factory=list)


class Plan:
    """The pipeline, its records, and a verdict for every stage.

    Args:
        repository: the DVC repository.
        say: takes one line of text for the user.
    """

    def __init__(self, repository: Repository, say: Callable[[str], None] = print):
        self.repository = repository
        self.say = say
        self.pipeline = Pipeline(*repository.definitions())
        self.status: dict[str, Status] = {}
        self._locked: dict[str, Entry] = {}

    def classify(self) -> None:
        """Settle the verdict of every stage, from the sources down to the figures."""
        self._locked = self.repository.read_lock()
        self.status = {}
        known: dict[str, Hash | None] = {}
        params = self.repository.params()
        for name in self.pipeline.order:
            stage = self.pipeline.stages[name]
            for dep in stage.deps:
                if dep not in known:
                    known[dep] = self._hash(dep, known)
            status = self._judge(stage, traces.question(stage, params, known))
            self.status[name] = status
            recorded = {out["path"]: out for out in status.entry["outs"]} if status.entry else {}
            for out in stage.outs:
                known[out.path] = None if status.verdict == "stale" else _bare(recorded[out.path])

    def _hash(self, dep: str, known: dict[str, Hash | None]) -> Hash | None:
        members = self.pipeline.made_of(dep)
        if not members:
            return self.repository.hash(dep)
        found = {path: hashed for path in members if (hashed := known.get(path))}
        return self.repository.folder_hash(dep, found) if len(found) == len(members) else None

    def _judge(self, stage: Stage, asked: Entry | None) -> Status:
        if asked is None:
            return Status("stale")
        locked = self._locked.get(stage.name)
        entry = traces.best(self.repository, traces.answers(self.repository, asked, locked))
        if entry is None:
            return Status("stale")
        here = {out["path"]: self.repository.hash(out["path"]) for out in entry["outs"]}
        absent = [path for path, hashed in here.items() if hashed is None]
        right = all(here[out["path"]] is None or traces.same(here[out["path"]], out) for out in entry["outs"])
        if right and entry is locked:
            return Status("fresh", entry, absent)
        if right and not absent:
            return Status("behind", entry)
        if all(map(self.repository.is_cached, entry["outs"])):
            return Status("cached", entry)
        return Status("stale", entry)

    def prepare(self, dry_run: bool = False) -> None:
        """Have the workspace tell Snakemake the truth. A dry run changes modification times and code digests only."""
        with self.repository.locked():
            self._write_digests()
            self._sweep(dry_run)
            self.classify()
            if not dry_run:
                for entry in self._locked.values():
                    if "outs" in entry:
                        self.repository.record(entry)
                self._restore_cached()
                self._save_unsaved()
                self._write_lock()
            self._align()
        done = [status for status in self.status.values() if status.verdict in ("fresh", "behind")]
        self.say(f"dvc: {len(done)} of {len(self.status)} stages up to date")

    def finish(self) -> None:
        """Bring dvc.lock up to date with what the jobs recorded."""
        with self.repository.locked():
            self.classify()
            self._write_lock()

    def _write_digests(self) -> None:
        """Run the stage that all others depend on; it takes milliseconds."""
        folder = self.repository.root / "data" / "code"
        digests.write_digests(folder, self.repository.root / digests.PACKAGE.name)
        stage = self.pipeline.stages["code"]
        asked = traces.question(stage, {}, {path: self.repository.hash(path) for path in stage.deps})
        assert asked is not None
        self.repository.record({**asked, "outs": [{"path": "data/code", **self.repository.store("data/code")}]})

    def _sweep(self, dry_run: bool) -> None:
        """A folder that a stage reads must hold exactly what the pipeline puts there.

        What dvc.yaml no longer lists, say another seed, would be hashed, and read, with the rest. It is removed if
        DVC can bring it back, and refused if not.
        """
        root = self.repository.root
        for folder in sorted({dep for stage in self.pipeline.stages.values() for dep in stage.deps}):
            members = self.pipeline.made_of(folder)
            if not members or folder in self.pipeline.maker:
                continue
            keep = set(members)
            for place, folders, files in os.walk(root / folder):
                here = Path(place).relative_to(root)
                folders[:] = [name for name in folders if (here / name).as_posix() not in keep]
                for name in files:
                    path = (here / name).as_posix()
                    if path in keep or name == STAMP or self.repository.is_ignored(path):
                        continue
                    if not self.repository.can_bring_back(path):
                        raise UserError(
                            f"{path} is not an output of any stage in dvc.yaml, but lies in {folder}/, which stages "
                            "read as a whole: move it elsewhere or delete it"
                        )
                    if not dry_run:
                        self.say(f"dvc: removing {path}, which no stage makes any more (the cache keeps it)")
                        (root / path).unlink()

    def _restore_cached(self) -> None:
        for name, status in self.status.items():
            if status.verdict == "cached":
                stage = self.pipeline.stages[name]
                for out in status.entry["outs"]:
                    self.repository.restore(out, stage.out(out["path"]).is_linked)
                status.verdict = "behind"

    def _save_unsaved(self) -> None:
        """Snakemake deletes a job's outputs before it starts it: what is only in the workspace goes to the cache."""
        for name, status in self.status.items():
            if status.verdict == "stale" and (locked := self._locked.get(name)):
                stage = self.pipeline.stages[name]
                mine = {out.path: out for out in stage.outs}
                for out in locked.get("outs", []):
                    path = out["path"]
                    if path in mine and traces.same(self.repository.hash(path), out):
                        if not self.repository.is_cached(out):
                            self.repository.store(path, mine[path].is_linked)

    def _write_lock(self) -> None:
        entries = {}
        for name in self.pipeline.stages:
            status = self.status[name]
            if status.verdict == "behind":
                entries[name] = status.entry
                status.verdict = "fresh"
            elif name in self._locked:
                entries[name] = self._locked[name]
        if entries != self._locked or list(entries) != list(self._locked):
            self.repository.write_lock(entries)
            self._locked = entries

    def _align(self) -> None:
        """Touch only what tells Snakemake something else than the hashes do."""
        now = time.time()
        for name in self.pipeline.order:
            stage = self.pipeline.stages[name]
            deps = [path for dep in stage.deps for path in (self.pipeline.made_of(dep) or [dep])]
            newest = max((_mtime(path) for path in deps if os.path.exists(path)), default=0.0)
            stale = self.status[name].verdict in ("stale", "cached")
            for path in (out.path for out in stage.outs if os.path.exists(out.path)):
                if stale and _mtime(path) > EPOCH:
                    self._touch(path, EPOCH)
                elif not stale and _mtime(path) < newest:
                    self._touch(path, max(now, newest))
        # Snakemake takes a benchmark for an output: an old one must not make its job look stale
        for benchmark in Path("benchmarks").rglob("*.tsv"):
            os.utime(benchmark, (now, now))

    def _touch(self, path: str, stamp: float) -> None:
        if is_folder(path):
            carrier = os.path.join(path, STAMP)
            Path(carrier).touch()
            os.utime(carrier, (stamp, stamp))
        else:
            self.repository.keep_hash(path, stamp)

    def fetch_inputs(self, name: str) -> None:
        """Before a stage becomes a job: put in place what it reads and DVC already has, here or on the remote."""
        if self.status[name].verdict != "stale":
            return
        stage = self.pipeline.stages[name]
        wanted: dict[str, list] = {}
        for path in (path for dep in stage.deps for path in self.pipeline.made_of(dep)):
            status = self.status[self.pipeline.maker[path]]
            if path in status.absent and status.verdict == "fresh":
                out = next(out for out in status.entry["outs"] if out["path"] == path)
                wanted.setdefault(self.pipeline.stages[self.pipeline.maker[path]].group, []).append(out)
        for group, outs in wanted.items():
            self._bring(group, outs)

    def _bring(self, group: str, outs: list) -> None:
        missing = [out for out in outs if not self.repository.is_cached(out)]
        if missing and self.repository.remote:
            try:
                self.repository.fetch(missing)
            except Exception as problem:  # a remote that cannot help is no reason to stop
                self.say(f"dvc: the remote {self.repository.remote} cannot be used: {problem}")
        held = [out for out in outs if self.repository.is_cached(out)]
        for out in held:
            owner = self.pipeline.maker[out["path"]]
            self.repository.restore(out, self.pipeline.stages[owner].out(out["path"]).is_linked)
            self.status[owner].absent.remove(out["path"])
        fetched = len([out for out in missing if out in held])
        if fetched:
            self.say(f"dvc: fetched {fetched} outputs of {group} from the remote {self.repository.remote}")
        if len(held) > fetched:
            self.say(f"dvc: restored {len(held) - fetched} outputs of {group} from the cache")


def _bare(out: dict) -> Hash:
    return {key: value for key, value in out.items() if key != "path"}


def _mtime(path: str) -> float:
    stamp = os.path.join(path, STAMP)
    return os.lstat(stamp if is_folder(path) and os.path.exists(stamp) else path).st_mtime
