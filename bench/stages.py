"""What the jobs of the last run took: time, memory, and how busy they kept the cores.

`make bench-stages` reads the files that Snakemake writes below `benchmarks/`, one per job; so run `snakemake` first. A job
ended when its log was last written to: what is done before Snakemake plans sets all benchmarks' own times anew. The
folder may hold jobs of several runs: a time without any job that is longer than `--gap` lies between two of them and is
not counted. Busy is the CPU time of all jobs over the cores and the time that is counted.
"""

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from bench.records import judged, save, table

MEMORY_LIMIT = 2048
"""Most memory that a stage may take [MiB]."""

DENSE, SPARSE = 15.5, 30.0
"""Snakemake looks at a job twice a second in its first `DENSE` seconds, and every `SPARSE` seconds from then on."""


def read_jobs(folder: Path, logs: Path) -> pd.DataFrame:
    """One row per job: stage, seconds, CPU seconds, largest memory [MiB], end [seconds since the epoch].

    CPU seconds are those at Snakemake's last look, scaled to the whole of the job. Memory is the largest that it saw.

    Args:
        folder: Snakemake's benchmark files.
        logs: The jobs' logs, under the same names.
    """
    rows = []
    for path in sorted(folder.glob("**/*.tsv")):
        job = pd.read_csv(path, sep="\t", na_values="-").iloc[-1]
        name = path.relative_to(folder)
        end = (logs / name).with_suffix(".log").stat().st_mtime
        cpu = job["cpu_time"] * job["s"] / last_look(job["s"])
        rows.append((stage_of(name), job["s"], cpu, job["max_rss"], end))
    return pd.DataFrame(rows, columns=["stage", "seconds", "cpu", "memory", "end"])


def stage_of(name: Path) -> str:
    """The stage of a benchmark file, and the probe or study where there are several."""
    stage = name.parts[0].removesuffix(".tsv")
    if stage == "estimate":
        return f"estimate {name.name.split('-')[0]}"
    return f"{stage} {name.parts[1]}" if stage in ("estimates", "semantics", "variants") else stage


def last_look(seconds: float) -> float:
    """When Snakemake last looked at a job that took so many seconds."""
    return seconds if seconds < DENSE else DENSE + SPARSE * ((seconds - DENSE) // SPARSE)


def summarise(jobs: pd.DataFrame) -> pd.DataFrame:
    """One row per stage: number of jobs, mean and longest time [s], CPU hours, largest memory [MiB]."""
    found = jobs.groupby("stage").agg(
        jobs=("seconds", "size"),
        mean_seconds=("seconds", "mean"),
        longest_seconds=("seconds", "max"),
        cpu_hours=("cpu", lambda seconds: seconds.sum() / 3600),
        memory=("memory", "max"),
    )
    return found.sort_values("cpu_hours", ascending=False)


def durations(jobs: pd.DataFrame, gap: float) -> list[float]:
    """How long each run took [s], from its first job's start to its last one's end.

    Args:
        jobs: `read_jobs`.
        gap: Longest time without any job within a run [s].
    """
    order = np.argsort((jobs.end - jobs.seconds).to_numpy())
    start, end = (jobs.end - jobs.seconds).to_numpy()[order], jobs.end.to_numpy()[order]
    reached = np.maximum.accumulate(end)
    cuts = np.flatnonzero(start[1:] > reached[:-1] + gap) + 1
    runs = zip(np.split(start, cuts), np.split(end, cuts), strict=True)
    return [float(ends.max() - starts.min()) for starts, ends in runs]


def page(numbers: dict) -> str:
    """A table of the stages, and how busy the cores were."""
    header = ("stage", "jobs", "mean [s]", "longest [s]", "CPU [h]", "peak memory [MiB]")
    rows = [
        (
            name,
            f"{stage['jobs']}",
            f"{stage['mean_seconds']:.1f}",
            f"{stage['longest_seconds']:.1f}",
            f"{stage['cpu_hours']:.2f}",
            judged(f"{stage['memory']:.0f}", stage["memory"] <= MEMORY_LIMIT),
        )
        for name, stage in numbers["stages"].items()
    ]
    runs = numbers["run_seconds"]
    about = (
        f"{sum(stage['jobs'] for stage in numbers['stages'].values())} jobs in {sum(runs) / 60:.1f} minutes of "
        f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}; {numbers['cores']} cores were busy "
        f"{100 * numbers['busy']:.0f} % of that time. Target: no stage above {MEMORY_LIMIT} MiB."
    )
    return f"{about}\n\n{table(header, rows)}"


def main() -> int:
    """Print a table; fail if a stage took too much memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("benchmarks"), help="Snakemake's benchmark files")
    parser.add_argument("--logs", type=Path, default=Path("logs"), help="the jobs' logs")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores that the jobs had")
    parser.add_argument(
        "--gap", type=float, default=60, help="a longer time without jobs is between two runs [s]"
    )
    parser.add_argument(
        "--since",
        type=datetime.fromisoformat,
        help="leave out jobs that ended before, such as 2026-11-21T09:30",
    )
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    jobs = read_jobs(args.folder, args.logs)
    if args.since:
        jobs = jobs[jobs.end >= args.since.timestamp()]
    if jobs.empty:
        print(f"{args.folder} holds no benchmark files: run `snakemake` first", file=sys.stderr)
        return 1
    stages, runs = summarise(jobs), durations(jobs, args.gap)
    numbers = {
        "cores": args.cores,
        "run_seconds": runs,
        "busy": float(jobs.cpu.sum() / (sum(runs) * args.cores)),
        "stages": stages.round(4).to_dict("index"),
    }
    print(page(numbers))
    if args.json:
        save(args.json, numbers)
    return int((stages.memory > MEMORY_LIMIT).any())


if __name__ == "__main__":
    sys.exit(main())
