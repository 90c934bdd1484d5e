"""How long Snakemake takes when there is nothing to do, and what a job costs beyond its command.

`make bench-dag` runs this on the toy of `tests/dag` with about 18 and about 1000 stages. Best of several runs; the machine
should be idle.
"""

import argparse
import json
import re
import runpy
import shlex
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from tests.dag.checkouts import Checkout, make_toy, toy_params  # noqa: E402

LOCKSTEP = 10
# Limits on an idle machine
TARGETS = {"nothing to do [s]": 3.0, "overhead of a job [s]": 1.0}


def checkout(folder: Path, seeds: int) -> Checkout:
    """A toy with everything computed."""
    made = Checkout(folder / f"toy{seeds}", folder)
    make_toy(made.path)
    params = toy_params()
    groups = [range(seeds)[start : start + LOCKSTEP] for start in range(0, seeds, LOCKSTEP)]
    params |= {"seeds": list(range(seeds)), "lockstep": ["-".join(map(str, group)) for group in groups]}
    (made.path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    made.run("git init -q -b main")
    made.run(f"{sys.executable} {__file__} --compute", PYTHONPATH=str(made.path))
    return made


def compute() -> None:
    """Run every stage through the bridge's own job, but in this process: a thousand starts of Python take minutes."""
    from pgprim.dag import job
    from pgprim.dag.dvcapi import Repository
    from pgprim.dag.planning import Plan

    def call(command: str, **_) -> int:
        sys.argv = shlex.split(command)[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return 0

    job.subprocess.call = call
    plan = Plan(Repository(), say=lambda line: None)
    plan.prepare()
    for name in plan.pipeline.order:
        if name != "code" and job.run(plan.repository, name):
            raise SystemExit(f"{name} failed")
    plan.finish()


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
    result = made.snakemake()
    assert "Nothing to be done" in result.text, result.text
    job = "python -m pgprim.dag run figure@fig1"
    command = (
        "python -m pgprim.stages.plot fig1 --probe gradient --out figures/fig1.pdf --png figures/fig1.png"
        " --data data/figures/fig1.nc data/estimates/gradient/hopper/ppo/0/2.nc"
    )
    alone = best(lambda: made.run(command), times)
    return {
        "stages": int(re.search(r"of (\d+) stages up to date", result.text)[1]),
        "nothing to do [s]": best(made.snakemake, times),
        "of which snakemake --version [s]": best(lambda: made.run("snakemake --version"), times),
        "overhead of a known job [s]": best(lambda: made.run(job), times),
        "overhead of a job [s]": best(lambda: made.run(f"{job} --force"), times) - alone,
    }


def main() -> int:
    """Measure, print, and fail if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compute", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--stages", type=int, nargs="*", default=[18, 1000], help="sizes, roughly")
    parser.add_argument("--times", type=int, default=3, help="runs to take the best of")
    arguments = parser.parse_args()
    if arguments.compute:
        compute()
        return 0
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.stages:
            found.append(measure(checkout(Path(folder), max(1, round((size - 5) / 6))), arguments.times))
            print(json.dumps(found[-1]), flush=True)
    missed = [name for numbers in found for name, limit in TARGETS.items() if numbers[name] > limit]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
