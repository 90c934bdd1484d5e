"""Progress: one line when a job starts and one when it ends, with the time left for all jobs.

`--logger dvcsnake`, set in the profiles, replaces Snakemake's own description of each job by these lines. Errors,
warnings and the logs of failed jobs stay as Snakemake writes them, and so do dry runs. Snakemake's file in
`.snakemake/log` has everything.
"""

import re
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

# What Snakemake says of itself in every run, and what the lines here say better.
LEFT_OUT = re.compile(
    r"Assuming unrestricted shared filesystem|host: |Building DAG of jobs|Using shell: |Select jobs to execute"
    r"|Group jobs: inactive|Job stats:|Shell command: "
)
DROPPED = (
    LogEvent.WORKFLOW_STARTED,
    LogEvent.RESOURCES_INFO,
    LogEvent.RUN_INFO,
    LogEvent.JOB_STARTED,
    LogEvent.PROGRESS,
    LogEvent.GROUP_INFO,
)

PRIOR = 0.05
"""Share of the whole that counts as done at the expected rate, so that the first jobs do not dominate the estimate."""


@dataclass
class Progress:
    """Progress of a run.

    Attributes:
        seconds: how long each stage that is to run is expected to take, None where it is not known [s].
        at_once: so many jobs run side by side.
        now: the clock [s].
        started: when each running stage began.
        took: how long each stage took that has ended.
        computed: those of them that were computed, not restored.
    """

    seconds: Mapping[str, float | None]
    at_once: int = 1
    now: Callable[[], float] = time.monotonic
    started: dict[str, float] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    computed: set[str] = field(default_factory=set)

    def __post_init__(self):
        self._begin = self.now()

    def start(self, name: str) -> None:
        """A stage's job begins."""
        self.started[name] = self.now()

    def end(self, name: str, was_computed: bool = True) -> float:
        """A stage's job has ended; returns how long it took [s]."""
        self.took[name] = self.now() - self.started.pop(name, self.now())
        if was_computed:
            self.computed.add(name)
        return self.took[name]

    def left(self) -> float | None:
        """Estimated time left [s]; None if unknown.

        The expected time of the rest, scaled by the rate of work so far. Restored stages do not count in that rate.
        """
        expected = self._expected()
        if expected is None or not expected:
            return None
        whole = sum(expected.values())
        done = sum(expected[name] for name in self.computed if name in expected)
        under_way = sum(
            min(self.now() - self.started[name], expected[name]) for name in self.started.keys() & expected
        )
        rest = sum(seconds for name, seconds in expected.items() if name not in self.took) - under_way
        prior = PRIOR * whole
        wall = (
            self.now()
            - self._begin
            - sum(self.took[name] for name in self.took.keys() - self.computed) / self.at_once
        )
        rate = (done + under_way + prior) / (max(0.0, wall) + prior / self.at_once)
        return rest / rate if rate else None

    def _expected(self) -> dict[str, float] | None:
        """Expected time of each stage; without a rate, that of finished stages, of the same kind if possible."""
        known = {name: seconds for name, seconds in self.seconds.items() if seconds is not None}
        kinds: dict[str, list[float]] = {}
        for name in self.computed:
            for kind in (_kind(name), ""):
                kinds.setdefault(kind, []).append(self.took[name])
        means = {kind: sum(times) / len(times) for kind, times in kinds.items()}
        for name in self.seconds.keys() - known.keys():
            if (mean := means.get(_kind(name), means.get(""))) is None:
                return None
            known[name] = mean
        return known


def _kind(name: str) -> str:
    return name.split("@")[0]


def duration(seconds: float) -> str:
    """A time in words, to about two digits."""
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    if seconds < 5970:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 99 * 3600 else f"{seconds / 86400:.1f} days"


@dataclass(frozen=True)
class Run:
    """State of a run for the lines.

    Attributes:
        maker: the stage that makes each output.
        progress: how far the run is.
    """

    maker: Mapping[str, str]
    progress: Progress


_RUN: list[Run] = []


def announce(maker: Mapping[str, str], seconds: Mapping[str, float | None], at_once: int) -> None:
    """Set the run that this process reports.

    Args:
        maker: the stage that makes each output.
        seconds: how long each stage that is to run is expected to take, None where it is not known [s].
        at_once: so many jobs may run side by side.
    """
    _RUN[:] = [Run(maker, Progress(seconds, max(1, min(at_once, len(seconds)))))]


class LogHandler(LogHandlerBase):
    """Snakemake's handler for the terminal, with one line per event instead of ten."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self._stages: dict[int, tuple[str, Collection[str]]] = {}
        self._is_brief = not (self.common_settings.dryrun or self.common_settings.verbose)

    def emit(self, record: LogRecord) -> None:
        """Write a record, or its replacement."""
        try:
            if text := self._text(record):
                print(text, file=sys.stdout if self.common_settings.stdout else sys.stderr, flush=True)
        except BrokenPipeError:
            raise
        except Exception:
            self.handleError(record)

    def _text(self, record: LogRecord) -> str | None:
        event = getattr(record, "event", None)
        if record.msg == "None":  # what the queue before this handler makes of no message
            record.msg = None
        if self._is_brief:
            if event == LogEvent.JOB_INFO:
                return self._start(record)
            if event == LogEvent.JOB_FINISHED:
                return self._end(record)
            if event in DROPPED or (event is None and LEFT_OUT.match(str(record.msg))):
                return None
        text = self.format(record)
        return None if text == "None" else text

    def _start(self, record: LogRecord) -> str | None:
        output = [path.removesuffix(" (update)") for path in record.output]
        if not output:  # a rule that only collects targets
            return None
        name = next((_RUN[0].maker[path] for path in output if _RUN and path in _RUN[0].maker), None)
        name = name or " ".join([record.rule_name, *map(str, record.wildcards.values())])
        self._stages[record.jobid] = (name, record.log)
        if _RUN:
            _RUN[0].progress.start(name)
        return f"{_clock()} starts    {name}"

    def _end(self, record: LogRecord) -> str | None:
        name, logs = self._stages.pop(record.job_id, (None, ()))
        if name is None:
            return None
        how = _how(name, logs)
        if not _RUN:
            return f"{_clock()} {how:9} {name}"
        progress = _RUN[0].progress
        took = progress.end(name, was_computed=how == "computed")
        count = f"{len(progress.took)} of {max(len(progress.seconds), len(progress.took))}"
        left = progress.left()
        is_over = left is None or len(progress.took) >= len(progress.seconds)
        more = "" if is_over else f", about {duration(left)} left"
        return f"{_clock()} {how:9} {name} in {duration(took)}; {count} done{more}"


def _clock() -> str:
    return time.strftime("%H:%M:%S")


def _how(name: str, logs: Collection[str]) -> str:
    """The outcome of a job by its log: computed or restored."""
    for path in logs:
        try:
            lines = Path(path).read_text(errors="replace").splitlines()
        except OSError:
            continue
        for how in ("unchanged", "restored", "on record"):
            if any(line.startswith(f"{name}: {how}") for line in lines):
                return how
    return "computed"
