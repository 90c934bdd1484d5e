"""Time of a Snakemake run without jobs, and the overhead of a job.

`make bench-dag` runs this on the toy of `bridge/tests` with about 18 and about 1000 stages. Best of several runs; the
machine should be idle.
"""

import argparse
import os
import re
import runpy
import shlex
import sys
import tempfile
import time
from pathlib import Path

from toys import Checkout, Result, make_toy, toy_params

from bench.records import judged, save, table

ROOT = Path(__file__).parents[1]
LOCKSTEP = 10
TARGETS = {"nothing to do [s]": 3.0, "overhead of a job [s]": 1.0}
"""Limits on an idle machine."""


def checkout(folder: Path, stages: int) -> Checkout:
    """A toy of about so many stages with everything computed."""
    seeds = max(1, round((stages - 5) / 6))
    made = Checkout(folder / f"toy{seeds}", folder)
    params = toy_params()
    groups = [range(seeds)[start : start + LOCKSTEP] for start in range(0, seeds, LOCKSTEP)]
    params |= {"stations": list(range(seeds)), "networks": ["-".join(map(str, group)) for group in groups]}
    make_toy(made.path, params)
    made.run("git init -q -b main")
    paths = os.pathsep.join(map(str, (made.path, ROOT, ROOT / "bridge/tests")))
    made.run(f"{sys.executable} -m bench.dag --compute", PYTHONPATH=paths)
    return made


def compute() -> None:
    """Run every stage through the bridge's own job, but in this process: a thousand starts of Python take minutes."""
    from dvcsnake import job
    from dvcsnake.prelude import finish, prepare
    from dvcsnake.project import open_project

    def call(command: str, **_) -> int:
        sys.argv = shlex.split(command)[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return 0

    job.subprocess.call = call
    project = open_project(say=lambda line: None)
    prepare(project)
    for name in project.pipeline.order:
        if name != "code" and job.run(project.repository, name):
            raise SystemExit(f"{name} failed")
    finish(project)


def count_stages(result: Result) -> int:
    """The number of stages, of a run of Snakemake that had nothing to do."""
    assert "Nothing to be done" in result.text, result.text
    return int(re.search(r"of (\d+) stages up to date", result.text)[1])


def best(function, times: int) -> float:
    """Shortest wall time of several calls [s]."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return min(found)


def measure(made: Checkout, times: int) -> dict[str, float]:
    """The numbers of one toy."""
    stages = count_stages(made.snakemake())
    job = "python -m dvcsnake run figure@fig1"
    command = (
        "python -m weather.stages.plot fig1 --statistic mean --out figures/fig1.pdf --png figures/fig1.png"
        " --data data/figures/fig1.nc data/estimates/mean/oslo/warm/0/2.nc"
    )
    alone = best(lambda: made.run(command), times)
    return {
        "stages": stages,
        "nothing to do [s]": best(made.snakemake, times),
        "of which snakemake --version [s]": best(lambda: made.run("snakemake --version"), times),
        "overhead of a known job [s]": best(lambda: made.run(job), times),
        "overhead of a job [s]": best(lambda: made.run(f"{job} --force"), times) - alone,
    }


def page(numbers: dict) -> str:
    """A table with a column per size."""
    sizes = numbers["sizes"]
    rows = [
        (
            name,
            f"≤ {TARGETS[name]:g}" if name in TARGETS else "",
            *(judged(f"{size[name]:.2f}", size[name] <= TARGETS.get(name, size[name])) for size in sizes),
        )
        for name in sizes[0]
        if name != "stages"
    ]
    return table(("", "target", *(f"{size['stages']} stages" for size in sizes)), rows)


def main() -> int:
    """Measure, print, and fail if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compute", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--stages", type=int, nargs="*", default=[18, 1000], help="sizes, roughly")
    parser.add_argument("--times", type=int, default=3, help="runs to take the best of")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    arguments = parser.parse_args()
    if arguments.compute:
        compute()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        sizes = [measure(checkout(Path(folder), stages), arguments.times) for stages in arguments.stages]
    numbers = {"sizes": sizes}
    print(page(numbers))
    if arguments.json:
        save(arguments.json, numbers)
    missed = [name for size in sizes for name, limit in TARGETS.items() if size[name] > limit]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
