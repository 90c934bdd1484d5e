"""Growth of time and memory with pairs, streams, parameters, grid points and stages.

`make bench-growth` measures every size in a separate process, with its own CPU time and peak memory. All except the
stages use an untrained Humanoid agent: CPU time of the work without the start of Python, peak memory of the whole
process. The stages are those of the toy of `bridge/tests` with everything computed: a whole `snakemake` with nothing
to do.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.records import save, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
TASK = "humanoid"
STREAMS, LENGTH = 40, 512
"""Streams, and pairs of each, where they do not grow."""
POINT_PAIRS = 500
"""Pairs at each grid point."""
FIGURE = "images/growth.png"
"""Where the page in `docs` finds the figure."""
SAMPLED = ("sampling", "gradient estimation")


@dataclass(frozen=True)
class Panel:
    """One quantity that grows, with its sizes.

    Attributes:
        label: Of the axis.
        sizes: Values on the axis; for `parameters` the units per hidden layer, from which the number follows.
        works: What is measured.
        rest: What stays as it is.
    """

    label: str
    sizes: tuple[int, ...]
    works: tuple[str, ...]
    rest: str


PANELS = {
    "pairs": Panel(
        "state-action pairs",
        (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000),
        SAMPLED,
        f"in {STREAMS} streams",
    ),
    "streams": Panel("streams", (16, 32, 64, 128, 256), SAMPLED, f"{LENGTH} pairs each"),
    "parameters": Panel(
        "policy parameters", (16, 32, 64, 128, 256, 512), SAMPLED, f"{STREAMS * LENGTH:,} pairs"
    ),
    "grid points": Panel("grid points", (9, 25, 49, 81, 169), ("landscape",), f"{POINT_PAIRS} pairs each"),
    "stages": Panel("stages", (18, 60, 200, 1000), ("nothing to do",), "of the pipeline's toy"),
}


def prepare(panel: str, size: int) -> None:
    """Put an agent and its parameters into the current folder."""
    from bench.projects import default_params, make_project, untrained

    num_streams = size if panel == "streams" else STREAMS
    length = size // STREAMS if panel == "pairs" else LENGTH
    agent = untrained(TASK, hidden=size if panel == "parameters" else None)
    points = size if panel == "grid points" else PANELS["grid points"].sizes[0]
    make_project(Path(), agent, resized(default_params(), num_streams, length, points))


def resized(params: dict, num_streams: int, length: int, points: int) -> dict:
    """Parameters with so many streams of so many pairs, and so many points of a plane."""
    from bench.projects import pool_of

    budgets = [length // 4, length]
    scape, baselines = params["landscape"], params["baselines"]
    rollouts = {"gradient": params["probes"]["rollouts"]["gradient"] | {"budgets": budgets}}
    return params | {
        "sample": pool_of(params, num_streams, length) | {"trials": num_streams // 4},
        "probes": params["probes"] | {"rollouts": rollouts},
        "plot": params["plot"] | {"budget": budgets[-1]},
        # Not used here, but checked.
        "fit": params["fit"] | {"beyond": length - 1},
        "baselines": baselines | {"budgets": budgets, "pairs": length, "beyond": length - 1},
        "semantics": params["semantics"] | {"probes": ["gradient"]},
        "landscape": scape
        | {
            "plane": scape["plane"] | {"points": math.isqrt(points)},
            "few": scape["few"] | {"budgets": [POINT_PAIRS], "closer": []},
            "many": scape["many"] | {"budgets": [POINT_PAIRS]},
        },
    }


def work(name: str, panel: str, size: int) -> dict[str, float]:
    """Do one work in this process, in the current folder: its size, CPU time [s] and peak memory [MiB]."""
    if name == "nothing to do":
        return run_nothing(size)
    from bench.projects import CHECKPOINT, import_modules, measure, run_stage
    from pgprim.store.checkpoints import load_checkpoint

    do, modules = {
        "sampling": (lambda: run_stage("sample", out="rollouts.zarr"), ["commands.sample"]),
        "gradient estimation": (
            lambda: measure("gradient", "a.nc", rollouts="rollouts.zarr", vectors="gradient.zarr"),
            ["commands.probe", "probes.gradient.measure"],
        ),
        "landscape": (
            lambda: measure("landscape", "landscape.nc", case="few"),
            ["commands.probe", "probes.landscape.measure"],
        ),
    }[name]
    import_modules(*modules)
    if panel == "parameters":
        size = load_checkpoint(CHECKPOINT).state.theta.shape[1]
    start = time.process_time()
    do()
    seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"size": size, "seconds": seconds, "memory": memory}


def run_nothing(size: int) -> dict[str, float]:
    """Snakemake on a toy of about `size` stages with everything computed."""
    from bench.dag import checkout, count_stages

    with tempfile.TemporaryDirectory() as folder:
        made = checkout(Path(folder), size)
        stages = count_stages(made.snakemake())
        process = subprocess.Popen(
            ["snakemake", "-j2"], cwd=made.path, env=made.env, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("snakemake failed on the toy")
    return {"size": stages, "seconds": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024}


def measure(panel: str, size: int) -> dict[str, dict[str, float]]:
    """Every work of a panel at one size, each in a process of its own.

    This process must stay small: Linux counts the memory of the process that starts another to the peak of that one.
    """
    found = {}
    with tempfile.TemporaryDirectory(prefix="pgprim-growth-") as folder:
        for name in ("prepare", *PANELS[panel].works):
            command = [sys.executable, "-m", "bench.growth", "--work", name, "--panels", panel]
            command += ["--sizes", str(size), "--folder", folder]
            env = os.environ | {"TQDM_DISABLE": "1"}
            done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
            if name != "prepare":
                found[name] = json.loads(done.stdout.splitlines()[-1])
                print(f"{panel:12} {name:20} {done.stdout.splitlines()[-1]}", file=sys.stderr, flush=True)
    return found


def slopes(sizes: Sequence[float], values: Sequence[float]) -> list[float]:
    """Exponents between neighbours, d log(value) / d log(size): 1 is linear, less is better."""
    return [
        math.log(values[k + 1] / values[k]) / math.log(sizes[k + 1] / sizes[k]) for k in range(len(sizes) - 1)
    ]


def page(numbers: dict) -> str:
    """A table of all sizes; slopes are those from the size before."""
    rows = []
    for panel, works in numbers["panels"].items():
        for name, found in works.items():
            columns = {key: [point[key] for point in found] for key in ("size", "seconds", "memory")}
            steep = [
                ["", *map("{:.2f}".format, slopes(columns["size"], columns[key]))]
                for key in ("seconds", "memory")
            ]
            for k, (size, seconds, memory) in enumerate(zip(*columns.values(), strict=True)):
                rows.append(
                    (
                        f"{panel}, {PANELS[panel].rest}" if not k else "",
                        name if not k else "",
                        f"{size:,}",
                        f"{seconds:.2f}",
                        steep[0][k],
                        f"{memory:.0f}",
                        steep[1][k],
                    )
                )
    figure = f"![How time and memory grow]({FIGURE})"
    return (
        figure
        + "\n\n"
        + table(("growing", "work", "size", "CPU [s]", "slope", "peak memory [MiB]", "slope"), rows)
    )


def draw(numbers: dict) -> "Figure":
    """Time above, memory below, one column per quantity; dashed: linear through each last point."""
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

    from pgprim.plotting.labels import count_label
    from pgprim.plotting.legends import legend_above
    from pgprim.plotting.style import GREY, WIDTH, colour, style

    panels = numbers["panels"]
    names = list(dict.fromkeys(name for works in panels.values() for name in works))
    counts = FuncFormatter(lambda value, _: count_label(value))
    guide = {"color": GREY, "linewidth": 0.8, "linestyle": (0, (3, 2))}
    looks = {
        name: {"color": colour(name, tuple(names)), "marker": marker, "markersize": 3.5}
        for name, marker in zip(names, "osv^", strict=False)
    }
    with style():
        figure = Figure(figsize=(1.5 * WIDTH, 3.6), layout="constrained")
        axes = figure.subplots(2, len(panels), sharex="col", sharey="row", squeeze=False)
        for column, (panel, works) in zip(axes.T, panels.items(), strict=True):
            for axis, key in zip(column, ("seconds", "memory"), strict=True):
                axis.set(xscale="log", yscale="log")
                for name, found in works.items():
                    size, value = (np.array([point[what] for point in found]) for what in ("size", key))
                    axis.plot(size, value, **looks[name])
            column[1].set_xlabel(f"{PANELS[panel].label}\n{PANELS[panel].rest}")
            column[1].xaxis.set_major_locator(FixedLocator([size[0], size[-1]]))
            column[1].xaxis.set_major_formatter(counts)
            column[1].xaxis.set_minor_locator(NullLocator())
        # Guides come last: they cross the panels and do not widen them.
        for axis in axes.flat:
            low, high = axis.get_ylim()
            for line in axis.get_lines():
                size, value = line.get_data()
                axis.plot(size, value[-1] * size / size[-1], zorder=1, **guide)
            axis.set_ylim(low, high)
        axes[0, 0].set_ylabel("CPU time [s]")
        axes[1, 0].set_ylabel("peak memory [MiB]")
        axes[1, 0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes[1, 0].yaxis.set_major_formatter(counts)
        axes[1, 0].yaxis.set_minor_formatter(NullFormatter())
        handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
        legend_above(figure, [[handle] for handle in (*handles, Line2D([], [], label="linear", **guide))])
    return figure


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--panels", nargs="*", choices=PANELS, default=list(PANELS), metavar="PANEL")
    parser.add_argument(
        "--up-to", type=int, default=1_000_000, help="pairs; 10⁷ takes an hour and 9 GB of disk"
    )
    parser.add_argument("--sizes", type=int, nargs="*", help="sizes to take instead of a panel's own")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        with chdir(args.folder):
            if args.work == "prepare":
                prepare(*args.panels, *args.sizes)
            else:
                print(json.dumps(work(args.work, *args.panels, *args.sizes)))
        return
    numbers: dict[str, dict] = {"panels": {}}
    for panel in args.panels:
        sizes = args.sizes or [n for n in PANELS[panel].sizes if panel != "pairs" or n <= args.up_to]
        measured = [measure(panel, size) for size in sizes]
        numbers["panels"][panel] = {name: [found[name] for found in measured] for name in PANELS[panel].works}
        if args.json:  # a long run that is stopped keeps its whole panels
            save(args.json, numbers)
    print(page(numbers))


if __name__ == "__main__":
    main()
