"""What the jobs of the last runs took: time, memory, and how busy they kept the cores.

`make bench-stages` reads the files that Snakemake writes below `benchmarks/`, one per job; so run `snakemake` first. Busy
is the CPU time of all jobs over the cores and the time from the first job's start to the last one's end.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import pandas as pd

MEMORY_LIMIT = 2048
"""Most memory that a stage may take [MiB]."""


def read_jobs(folder: Path) -> pd.DataFrame:
    """One row per job: stage, seconds, CPU seconds, largest memory [MiB], end [seconds since the epoch]."""
    rows = []
    for path in sorted(folder.glob("**/*.tsv")):
        job = pd.read_csv(path, sep="\t", na_values="-").iloc[-1]
        stage = path.relative_to(folder).parts[0].removesuffix(".tsv")
        if stage == "estimate":
            stage += f" {path.name.split('-')[0]}"
        rows.append((stage, job["s"], job["cpu_time"], job["max_rss"], path.stat().st_mtime))
    return pd.DataFrame(rows, columns=["stage", "seconds", "cpu", "memory", "end"])


def summarise(jobs: pd.DataFrame) -> pd.DataFrame:
    """One row per stage: number of jobs, mean and longest time [s], CPU hours, largest memory [MiB]."""
    table = jobs.groupby("stage").agg(
        jobs=("seconds", "size"),
        mean_seconds=("seconds", "mean"),
        longest_seconds=("seconds", "max"),
        cpu_hours=("cpu", lambda seconds: seconds.sum() / 3600),
        memory=("memory", "max"),
    )
    return table.sort_values("cpu_hours", ascending=False)


def main() -> int:
    """Print a table and JSON below it; fail if a stage took too much memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("benchmarks"), help="Snakemake's benchmark files")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores that the jobs had")
    args = parser.parse_args()
    jobs = read_jobs(args.folder)
    if jobs.empty:
        print(f"{args.folder} holds no benchmark files: run `snakemake` first", file=sys.stderr)
        return 1
    table = summarise(jobs)
    wall = jobs.end.max() - (jobs.end - jobs.seconds).min()
    busy = jobs.cpu.sum() / (wall * args.cores)
    print(table.round(2).to_string())
    print(
        f"{len(jobs)} jobs in {wall / 60:.1f} minutes; {args.cores} cores were busy {100 * busy:.0f} % of the time"
    )
    print(
        json.dumps(
            {
                "stages": table.round(4).to_dict("index"),
                "wall_seconds": round(wall, 1),
                "busy": round(busy, 4),
            }
        )
    )
    return int((table.memory > MEMORY_LIMIT).any())


if __name__ == "__main__":
    sys.exit(main())
