"""Time and memory of the last run's jobs, and how busy they kept the cores.

`make bench-stages` reads the files that Snakemake writes below `benchmarks/`, one per job; so run `snakemake` first.
A job's end is the modification time of its log, since the prelude resets those of the benchmark files. The folder may
have jobs of several runs: a time without jobs that is longer than `--gap` separates two runs. The use of the cores is
that of the last run: the CPU time of its jobs divided by its duration and the number of cores.
"""

import argparse
import os
import sys
from itertools import pairwise
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


def split_runs(jobs: pd.DataFrame, gap: float) -> list[pd.DataFrame]:
    """The jobs of each run, in the order of time.

    Args:
        jobs: `read_jobs`.
        gap: Longest time without any job within a run [s].
    """
    jobs = jobs.iloc[np.argsort((jobs.end - jobs.seconds).to_numpy())]
    start, end = (jobs.end - jobs.seconds).to_numpy(), jobs.end.to_numpy()
    reached = np.maximum.accumulate(end)
    cuts = [0, *np.flatnonzero(start[1:] > reached[:-1] + gap) + 1, len(jobs)]
    return [jobs.iloc[first:last] for first, last in pairwise(cuts)]


def duration(run: pd.DataFrame) -> float:
    """How long a run took [s], from its first job's start to its last one's end."""
    return float(run.end.max() - (run.end - run.seconds).min())


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
    last, runs = numbers["last_run"], numbers["runs"]
    about = (
        f"{sum(stage['jobs'] for stage in numbers['stages'].values())} jobs of {runs} {'run' if runs == 1 else 'runs'}. "
        f"In the last, of {last['jobs']} jobs in {last['seconds'] / 60:.1f} minutes, {numbers['cores']} cores were busy "
        f"{100 * last['busy']:.0f} % of the time. Target: no stage above {MEMORY_LIMIT} MiB."
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
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    jobs = read_jobs(args.folder, args.logs)
    if jobs.empty:
        print(f"{args.folder} holds no benchmark files: run `snakemake` first", file=sys.stderr)
        return 1
    stages, runs = summarise(jobs), split_runs(jobs, args.gap)
    seconds = duration(runs[-1])
    numbers = {
        "cores": args.cores,
        "runs": len(runs),
        "last_run": {
            "jobs": len(runs[-1]),
            "seconds": round(seconds, 1),
            "busy": round(float(runs[-1].cpu.sum() / (seconds * args.cores)), 4),
        },
        "stages": stages.round(4).to_dict("index"),
    }
    print(page(numbers))
    if args.json:
        save(args.json, numbers)
    return int((stages.memory > MEMORY_LIMIT).any())


if __name__ == "__main__":
    sys.exit(main())
