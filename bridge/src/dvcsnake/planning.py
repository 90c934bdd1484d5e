"""Before Snakemake plans: hashes decide what is up to date, and modification times tell Snakemake.

Snakemake knows files by their modification times, DVC by their hashes. The prelude settles for every stage what the
hashes say, mends what the cache can mend, and sets times such that Snakemake comes to the same verdict: outputs of what
is up to date are not older than its inputs, those of all else are from 1970. When the targets are known, what they need
and DVC has, in its cache or on its remote, is put in place, so that jobs are left only for what must be computed.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dvcsnake import digests, placeholders, run_cache
from dvcsnake.dvc_api import Entry, Hash, Repository, remove
from dvcsnake.errors import UserError
from dvcsnake.hooks import price
from dvcsnake.pipeline import Pipeline, Stage, is_folder

# fresh   dvc.lock describes exactly this stage; its outputs match, or are merely absent
# behind  the same, but dvc.lock does not say so yet: the run is recorded in the run cache
# altered the run is on record, but an output in the workspace is not what was recorded
# stale   nothing is on record: it must become a job
Verdict = Literal["fresh", "behind", "altered", "stale"]

# Where outputs come from that are not fetched.
CACHE = "the cache"

# Where directory() outputs carry their modification time.
STAMP = ".snakemake_timestamp"
EPOCH = 1.0

# Stages whose outputs must really be there at the end of a run, one per line, for its jobs to read.
NEEDED = Path(".dvc", "tmp", "dvcsnake", "needed")
# Stages that the last run meant to run: Snakemake may have deleted outputs of theirs.
SCHEDULED = Path(".dvc", "tmp", "dvcsnake", "scheduled")


@dataclass
class Status:
    """What is known about one stage.

    Attributes:
        verdict: see above.
        entry: the record that describes the stage as it is now, if there is one.
        absent: outputs that are not in the workspace.
        altered: outputs that are, but not as they were recorded.
    """

    verdict: Verdict
    entry: Entry | None = None
    absent: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)

    def recorded(self, path: str) -> dict:
        """What the record says of one output."""
        return next(out for out in self.entry["outs"] if out["path"] == path)


class Plan:
    """The pipeline, its records, and a verdict for every stage.

    Args:
        repository: the DVC repository.
        say: takes one line of text for the user.
        dry_run: find out what a run would put in place and what it would compute, but leave all outputs as they are.

    Attributes:
        status: by stage, once they are classified.
        todo: the stages that are left to jobs, once the targets are known.
        brought: where each output comes from that was put in place, or in a dry run would be.
    """

    def __init__(
        self,
        repository: Repository,
        say: Callable[[str], None] = print,
        dry_run: bool = False,
    ):
        self.repository = repository
        self.say = say
        self.dry_run = dry_run
        self.pipeline = Pipeline(*repository.definitions())
        self.status: dict[str, Status] = {}
        self.todo: set[str] = set()
        self.brought: dict[str, str] = {}
        self._locked: dict[str, Entry] = {}
        self._folders: dict[str, Entry] = {}
        self._unanswered: set[str] = set()
        self._remotes = repository.remotes

    # --- verdicts -----------------------------------------------------------------------------

    def classify(self) -> None:
        """Settle the verdict of every stage, from the sources down to the figures."""
        self._locked = self.repository.read_lock()
        self.status, self._folders, self._unanswered = {}, {}, set()
        known: dict[str, Hash | None] = {}
        params = self.repository.params()
        for name in self.pipeline.order:
            stage = self.pipeline.stages[name]
            for dep in stage.deps:
                if dep not in known:
                    known[dep] = self._hash(dep, known)
            status = self._judge(stage, run_cache.question(stage, params, known))
            self.status[name] = status
            recorded = {out["path"]: out for out in status.entry["outs"]} if status.entry else {}
            for out in stage.outs:
                known[out.path] = None if status.verdict == "stale" else _bare(recorded[out.path])
        self.repository.keep_hashes()

    def _hash(self, dep: str, known: dict[str, Hash | None]) -> Hash | None:
        members = self.pipeline.made_of(dep)
        if not members:
            return self.repository.hash(dep)
        found = {path: hashed for path in members if (hashed := known.get(path))}
        if len(found) < len(members):
            return None
        if not any(map(is_folder, members)):
            return self.repository.folder_hash(dep, found)
        return self._remembered(dep, found)

    def _remembered(self, dep: str, members: dict[str, Hash]) -> Hash | None:
        """The hash of a folder of folders, whose listings need not be here."""
        asked = run_cache.folder_question(dep, members)
        entries = run_cache.answers(self.repository, asked, self._locked.get(dep))
        if not entries and (hashed := self.repository.folder_hash(dep, members)):
            entries = [{**asked, "outs": [{"path": dep, **hashed}]}]
            self.repository.record(entries[0])
        if not entries:
            self._unanswered.add(self.repository.key(asked))
            return None
        self._folders[dep] = entries[0]
        return _bare(entries[0]["outs"][0])

    def _judge(self, stage: Stage, asked: Entry | None) -> Status:
        if asked is None:
            return Status("stale")
        locked = self._locked.get(stage.name)
        here = {out.path: self.repository.hash(out.path) for out in stage.outs}
        absent = [path for path, hashed in here.items() if hashed is None]
        is_there = locked and len(absent) < len(here) and run_cache.fits(self.repository, asked, locked)
        if is_there and not _altered(here, locked):
            return Status("fresh", locked, absent)  # the usual case, without a look into the run cache
        entries = run_cache.answers(self.repository, asked, locked)
        if not entries:
            self._unanswered.add(self.repository.key(asked))
            return Status("stale")
        right = (entry for entry in entries if not _altered(here, entry))
        if len(absent) < len(here) and (entry := next(right, None)):
            return Status("fresh" if entry is locked else "behind", entry, absent)
        entry = run_cache.best(self.repository, entries)
        if altered := _altered(here, entry):
            return Status("altered", entry, absent, altered)
        return Status("fresh" if entry is locked else "behind", entry, absent)

    # --- before the targets are known ---------------------------------------------------------

    def prepare(self) -> None:
        """Have the workspace tell Snakemake the truth; in it a dry run changes modification times and code digests only."""
        with self.repository.locked():
            self._write_digests()
            self._clear_placeholders()
            self._sweep()
            self.classify()
            if not self.dry_run:
                self.repository.record_lock()
            self._bring_in_line()
        done = sum(status.verdict in ("fresh", "behind") for status in self.status.values())
        self.say(f"dvc: {done} of {len(self.status)} stages up to date")

    def _bring_in_line(self) -> None:
        self._mend()
        if not self.dry_run:
            self._refill()
            self._save_unsaved()
            self._write_lock()
        self._align()

    def finish(self) -> None:
        """Bring dvc.lock up to date with what the jobs recorded."""
        with self.repository.locked():
            self._clear_placeholders()
            self.classify()
            self._write_lock()

    def _write_digests(self) -> None:
        """Run the stage that all others depend on; it takes milliseconds."""
        hooks = self.repository.hooks
        if hooks.package is None:
            return
        params = self.repository.params()
        texts = digests.project_digests(self.repository.root, hooks, params, self.repository.saved.get)
        digests.write_digests(self.repository.root / hooks.code, texts)
        stage = self.pipeline.code_stage(hooks.code)
        asked = run_cache.question(stage, params, {path: self.repository.hash(path) for path in stage.deps})
        assert asked is not None
        self.repository.record({**asked, "outs": [{"path": hooks.code, **self.repository.store(hooks.code)}]})

    def _clear_placeholders(self) -> None:
        for stage in self.pipeline.stages.values():
            for out in stage.outs:
                if out.is_linked:
                    placeholders.clear(self.repository.root, out.path)

    def _sweep(self) -> None:
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
                    if not self.dry_run:
                        self.say(f"dvc: removing {path}, which no stage makes any more (the cache keeps it)")
                        (root / path).unlink()

    def _mend(self) -> None:
        """Put back what was altered, what a failed run took away, and what belongs to a record new to dvc.lock."""
        scheduled = self._recall(SCHEDULED)
        for name, status in self.status.items():
            stage = self.pipeline.stages[name]
            is_disturbed = status.verdict == "behind" or status.altered or name in scheduled
            wanted = status.altered + (status.absent if is_disturbed and status.entry else [])
            locked = {out["path"]: out for out in self._locked.get(name, {}).get("outs", [])}
            for path in wanted:
                out = status.recorded(path)
                if path in status.altered and not self.dry_run:
                    self._keep_bytes(stage, path, locked.get(path))
                    if stage.out(path).is_linked:
                        self.repository.distrust(out)
                if self._restore(out):
                    self.brought[path] = CACHE
                    if path in status.absent:
                        status.absent.remove(path)
                elif path in status.altered:
                    if not self.dry_run:
                        self.say(f"dvc: {path} is not what {name} made, and is removed")
                        remove(self.repository.root / path)
                    status.absent.append(path)
            status.altered = []
            if status.verdict == "altered":
                status.verdict = "fresh" if status.entry is self._locked.get(name) else "behind"

    def _restore(self, out: dict) -> bool:
        """Put an output in place from the cache; returns whether the cache has it. A dry run only looks."""
        link = self.pipeline.stages[self.pipeline.maker[out["path"]]].out(out["path"]).is_linked
        return self.repository.is_cached(out) and (self.dry_run or self.repository.restore(out, link))

    def _keep_bytes(self, stage: Stage, path: str, locked: dict | None) -> None:
        """Have the cache hold the bytes of an output that is about to be replaced, if they are another run's result."""
        if (
            locked
            and run_cache.same(self.repository.hash(path), locked)
            and not self.repository.is_cached(locked)
        ):
            self.repository.store(path, stage.out(path).is_linked)

    def _refill(self) -> None:
        """Give back to the cache what it has lost and the workspace still has."""
        for name, status in self.status.items():
            stage = self.pipeline.stages[name]
            for out in status.entry["outs"] if status.entry else ():
                if out["path"] not in status.absent and not self.repository.has_object(out["md5"]):
                    self.repository.store(out["path"], stage.out(out["path"]).is_linked)

    def _save_unsaved(self) -> None:
        """Snakemake deletes a job's outputs before it starts it: what is only in the workspace goes to the cache."""
        for name, status in self.status.items():
            if status.verdict == "stale" and (locked := self._locked.get(name)):
                stage = self.pipeline.stages[name]
                paths = {out.path for out in stage.outs}
                for out in locked.get("outs", []):
                    if out["path"] in paths:
                        self._keep_bytes(stage, out["path"], out)

    def _write_lock(self) -> None:
        entries = {}
        for name in self.pipeline.stages:
            status = self.status[name]
            if status.verdict == "behind":
                entries[name] = status.entry
                status.verdict = "fresh"
            elif name in self._locked:
                entries[name] = self._locked[name]
        remembered = {name for name, entry in self._locked.items() if entry.get("cmd") == run_cache.FOLDER}
        used = {dep for stage in self.pipeline.stages.values() for dep in stage.deps}
        for folder in sorted(used & (remembered | self._folders.keys())):
            entries[folder] = self._folders.get(folder) or self._locked[folder]
        if entries != self._locked or list(entries) != list(self._locked):
            self.repository.write_lock(entries)
            self._locked = entries

    def _align(self) -> None:
        """Touch only what tells Snakemake something else than the hashes do."""
        now = time.time()
        times: dict[str, float] = {}
        for name in self.pipeline.order:
            stage = self.pipeline.stages[name]
            for dep in stage.deps:
                if dep not in times:  # what makes it came before, and touches it no more
                    made = self.pipeline.made_of(dep) or [dep]
                    times[dep] = max((_mtime(path) for path in made if os.path.exists(path)), default=0.0)
            newest = max((times[dep] for dep in stage.deps), default=0.0)
            wrong = self.status[name].verdict == "stale" or name in self.todo
            for path in (out.path for out in stage.outs if os.path.exists(out.path)):
                if wrong and _mtime(path) > EPOCH:
                    self._touch(path, EPOCH)
                elif not wrong and _mtime(path) < newest:
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

    # --- when the targets are known -----------------------------------------------------------

    def settle(self, targets: Iterable[str]) -> None:
        """Have in place what the targets need and DVC has; `todo` then names the stages that are left to jobs.

        Args:
            targets: what Snakemake was asked for: files, names of stages in dvc.yaml, `all`; empty means all figures.
        """
        needed = self._outputs_of(targets)
        self._consult_remote(needed)
        self.todo, reached, due = set(), set(), set(needed)
        while due:
            wanted, late = [], set()
            for path in sorted(due):
                name = self.pipeline.maker[path]
                status = self.status[name]
                if status.verdict == "stale":
                    late.add(name)
                elif path in status.absent:
                    wanted.append(status.recorded(path))
            late |= {self.pipeline.maker[path] for path in self._bring(wanted)}
            reached |= due
            due = {path for name in late - self.todo for path in self._reads(name)} - reached
            self.todo |= late
        if not self.dry_run:
            self._remember(NEEDED, {self.pipeline.maker[path] for path in needed})
            self._remember(SCHEDULED, self.todo)
        self._align()
        self._announce()

    def _remember(self, place: Path, names: set[str]) -> None:
        file = self.repository.root / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{name}\n" for name in sorted(names)))

    def _recall(self, place: Path) -> set[str]:
        file = self.repository.root / place
        return set(file.read_text().splitlines()) if file.exists() else set()

    def _outputs_of(self, targets: Iterable[str]) -> list[str]:
        maker, found = self.pipeline.maker, set()
        for target in targets or ["all"]:
            path = os.path.normpath(target)
            if target == "all":
                found.update(self.repository.hooks.default_targets(maker))
            elif target in self.pipeline.definitions:
                found.update(out.path for stage in self.pipeline.members(target) for out in stage.outs)
            elif path in maker:
                found.add(path)
        return sorted(found)

    def _reads(self, name: str) -> list[str]:
        """The outputs of other stages that a stage reads."""
        stage = self.pipeline.stages[name]
        for dep in stage.deps:
            code = f"{self.repository.hooks.code}/"
            if dep.startswith(code) and not os.path.exists(self.repository.root / dep):
                module = Path(self.repository.hooks.package or "", dep.removeprefix(code)).with_suffix(".py")
                raise UserError(f"{name} in dvc.yaml runs {module.as_posix()}, which does not exist")
        return [path for dep in stage.deps for path in self.pipeline.made_of(dep)]

    def _consult_remote(self, needed: list[str]) -> None:
        """Ask the remote's run cache for stages that nothing here knows, wave by wave: an answer raises new questions."""
        tried: set[str] = set()
        while self._is_stale(needed) and (keys := sorted(self._unanswered - tried)):
            tried.update(keys)
            found = 0
            for remote in list(self._remotes):
                if copied := self._ask(
                    remote, lambda name, keys=keys: self.repository.fetch_runs(keys, name)
                ):
                    self.say(f"dvc: the remote {remote} has records of {copied} stages")
                    found += copied
            if not found:
                return
            with self.repository.locked():
                self.classify()
                self._bring_in_line()

    def _is_stale(self, paths: Iterable[str]) -> bool:
        return any(self.status[self.pipeline.maker[path]].verdict == "stale" for path in paths)

    def _ask(self, remote: str, question: Callable[[str], Any]) -> Any:
        """Have an answer from a remote. One that cannot help is no reason to stop, but is not asked again."""
        try:
            self.repository.open_remote(remote)
            return question(remote)
        except Exception as problem:  # each kind of remote has exceptions of its own
            self._remotes.remove(remote)
            reason = " ".join(str(problem).split()) or type(problem).__name__
            self.say(
                f"dvc: the remote {remote} cannot be used ({reason}); what only it has is computed instead"
            )
            return None

    def _bring(self, outs: list[dict]) -> list[str]:
        """Put outputs in place; returns the paths of those that neither cache nor remotes have."""
        missing = self._uncached(outs)
        origin = {out["path"]: CACHE for out in outs if out not in missing}
        for remote in list(self._remotes):
            if missing:
                still = self._fetch(missing, remote)
                origin |= {out["path"]: f"the remote {remote}" for out in missing if out not in still}
                missing = still
        for out in outs:
            path = out["path"]
            if path in origin and (self.dry_run or self._restore(out)):
                self.status[self.pipeline.maker[path]].absent.remove(path)
                self.brought[path] = origin[path]
        return [out["path"] for out in outs if out["path"] not in self.brought]

    def _fetch(self, outs: list[dict], remote: str) -> list[dict]:
        """Have outputs in the cache, returns those that the remote lacks. A dry run only asks."""
        if self.dry_run:
            offered = self._ask(remote, lambda name: self.repository.offered(outs, name)) or []
            return [out for out in outs if out not in offered]
        self._ask(remote, lambda name: self.repository.fetch(outs, name))
        return self._uncached(outs)

    def _uncached(self, outs: Iterable[dict]) -> list[dict]:
        return [out for out in outs if not self.repository.is_cached(out)]

    def _announce(self) -> None:
        origins = Counter(
            (self.pipeline.stages[self.pipeline.maker[path]].group, place)
            for path, place in self.brought.items()
        )
        for (group, place), count in origins.items():
            done = "restored" if place == CACHE else "fetched"
            verb = f"would be {done}:" if self.dry_run else done
            self.say(f"dvc: {verb} {count} {'output' if count == 1 else 'outputs'} of {group} from {place}")
        if self.todo:
            stages = [stage for name, stage in self.pipeline.stages.items() if name in self.todo]
            counts = Counter(stage.group for stage in stages)
            jobs = ", ".join(f"{count} {group}" for group, count in counts.items())
            self.say(
                f"dvc: to be computed unless inputs turn out the same: {jobs}{price(self.repository.hooks, stages)}"
            )


def _bare(out: dict) -> Hash:
    return {key: value for key, value in out.items() if key != "path"}


def _altered(here: dict[str, Hash | None], entry: Entry) -> list[str]:
    """Outputs that are in the workspace, but not as an entry records them."""
    return [
        out["path"]
        for out in entry["outs"]
        if here[out["path"]] and not run_cache.same(here[out["path"]], out)
    ]


def _mtime(path: str) -> float:
    stamp = os.path.join(path, STAMP)
    return os.lstat(stamp if is_folder(path) and os.path.exists(stamp) else path).st_mtime
