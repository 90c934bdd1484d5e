"""Simulated use of many cores by a parameter set, from its graph of jobs and their measured times.

`make bench-schedule` simulates the run of a whole set: every job is one thread and starts when its inputs exist and a
core is free, earlier stages first. CPU times are those of `workflow/rates.yaml`; Snakemake's own time and file
transfers are left out.
"""

import argparse
import heapq
import shutil
import tempfile
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo
from dvcsnake.dvc_api import Repository
from dvcsnake.pipeline import Pipeline

from bench.records import save, table
from pgprim.commands.cost import RATES
from pgprim.commands.scale import PARAMS, SCALES, find_set, render
from pgprim.pipeline import seconds

ROOT = Path(__file__).parents[1]
SETS = ("default", "paper")
CORES = (2, 16, 64)


@dataclass(frozen=True)
class Job:
    """One job of a run.

    Attributes:
        seconds: How long it takes.
        reads: Positions of the jobs whose results it reads, all before its own.
    """

    seconds: float
    reads: tuple[int, ...]


def load_jobs(name: str) -> list[Job]:
    """All jobs of a parameter set, each behind those it reads from."""
    text = render(find_set(name, ROOT / SCALES), ROOT / SCALES)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Repo.init(no_scm=True).close()
        shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
        Path(PARAMS).write_text(text, encoding="utf-8")
        shutil.copy(ROOT / "pyproject.toml", "pyproject.toml")
        RATES.parent.mkdir()
        shutil.copy(ROOT / RATES, RATES)
        pipeline = Pipeline(*Repository().definitions())
        names = [stage for stage in pipeline.order if pipeline.stages[stage].group != "code"]
        times = seconds([pipeline.stages[stage] for stage in names])
    place = {stage: k for k, stage in enumerate(names)}
    return [
        Job(
            time,
            tuple(place[above] for above in pipeline.upstream(pipeline.stages[stage]) if above in place),
        )
        for stage, time in zip(names, times, strict=True)
    ]


def play(jobs: list[Job], cores: int) -> float:
    """How long all jobs take on so many cores [s]."""
    missing = [len(job.reads) for job in jobs]
    readers: list[list[int]] = [[] for _ in jobs]
    for k, job in enumerate(jobs):
        for above in job.reads:
            readers[above].append(k)
    ready = [k for k, count in enumerate(missing) if not count]
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < cores:
            k = heapq.heappop(ready)
            heapq.heappush(running, (now + jobs[k].seconds, k))
        now, done = heapq.heappop(running)
        for reader in readers[done]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    return now


def longest_chain(jobs: list[Job]) -> float:
    """Time of the longest chain of jobs that wait for each other [s]: no number of cores makes a run shorter."""
    ends: list[float] = []
    for job in jobs:
        ends.append(job.seconds + max((ends[above] for above in job.reads), default=0.0))
    return max(ends)


def measure(name: str, cores: tuple[int, ...]) -> dict:
    """Schedule of one parameter set, as the page shows it."""
    jobs = load_jobs(name)
    return {
        "jobs": len(jobs),
        "core_seconds": sum(job.seconds for job in jobs),
        "longest_chain": longest_chain(jobs),
        "runs": {str(count): play(jobs, count) for count in cores},
    }


def page(numbers: dict) -> str:
    """A table with a row per parameter set and number of cores."""
    rows = []
    for name, found in numbers["sets"].items():
        for k, (cores, time) in enumerate(found["runs"].items()):
            rows.append(
                (
                    name if not k else "",
                    f"{found['jobs']:,}" if not k else "",
                    f"{found['core_seconds'] / 3600:,.1f}" if not k else "",
                    f"{found['longest_chain'] / 3600:,.1f}" if not k else "",
                    cores,
                    f"{time / 3600:,.1f}",
                    f"{100 * found['core_seconds'] / (int(cores) * time):.0f} %",
                )
            )
    header = ("set", "jobs", "core-hours", "longest chain [h]", "cores", "run [h]", "busy")
    return table(header, rows)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--sets", nargs="*", default=list(SETS), help="parameter sets")
    parser.add_argument("--cores", type=int, nargs="*", default=list(CORES), help="numbers of cores")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    numbers = {"sets": {name: measure(name, tuple(args.cores)) for name in args.sets}}
    print(page(numbers))
    if args.json:
        save(args.json, numbers)


if __name__ == "__main__":
    main()
