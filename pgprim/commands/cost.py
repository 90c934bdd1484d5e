"""Estimate the cost of a parameter set in pairs, core-hours and bytes.

A job costs a fixed start (imports, bookkeeping) and a time per pair; its artifacts take a number of bytes per unit.
`workflow/rates.yaml` has these rates. `--measure` measures them on this machine by running the stages at two small
sizes.
"""

import argparse
import copy
import datetime
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pgprim.commands.command import make_parser, run
from pgprim.commands.params import check, load
from pgprim.commands.scale import PARAMS, SCALES, find_set, load_set, write
from pgprim.types.errors import UserError
from pgprim.types.params import read
from pgprim.types.probe import probes_of
from pgprim.types.study import processes, studies

RATES = Path("workflow/rates.yaml")
PIPELINE = Path("dvc.yaml")
SMALL = {"iterations": 1, "pairs": 512}
LARGE = {"iterations": 5, "pairs": 4096}
"""The two sizes at which rates are measured: their difference gives the rate, the remainder the start."""
MEASURED_STREAMS = 10
MEASURED_TRIALS = 5
HEADER = """\
Measured by `python -m pgprim cost --measure`, which writes this file anew: CPU time of one core.
start: seconds per job before its work; pairs_per_second: of work; bytes: per checkpoint, and per pair, budget and
stream, or iteration and seed for the others
"""


NUMBERS = ("jobs", "pairs", "seconds", "num_bytes")


@dataclass(frozen=True)
class Cost:
    """Cost of all jobs of one kind.

    Attributes:
        kind: Stage, and the probe where there are several.
        jobs: Number of jobs.
        pairs: State-action pairs that are sampled, or read by an estimate.
        seconds: CPU time of one core.
        num_bytes: Size of the artifacts.
        lacking: Agents and environments without a measured rate; the sums leave them out.
    """

    kind: str
    jobs: int
    pairs: int
    seconds: float
    num_bytes: float
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class Jobs:
    """All jobs of one kind for one task and algorithm.

    Attributes:
        kind: Stage, study or probe.
        task: Name of the task.
        algo: Name of the agents' settings.
        jobs: Number of processes.
        stages: Number of stages, of which seeds that train in lock step share one process.
        pairs: State-action pairs of all of them.
        units: Number of what their bytes are counted by.
        case: The probe's case, if it has any.
        paced_as: The kind whose pace it has, if not its own.
        sized_as: The kind whose bytes it has, if not its own.
    """

    kind: str
    task: str
    algo: str
    jobs: int
    stages: int
    pairs: int
    units: int
    case: str = ""
    paced_as: str = ""
    sized_as: str = ""


def costs(params: dict[str, Any], rates: dict[str, Any]) -> list[Cost]:
    """The cost of every kind of job of a parameter set.

    Args:
        params: The parameters.
        rates: What `workflow/rates.yaml` holds.
    """
    by_kind: dict[str, Cost] = {}
    for job in jobs(params, rates):
        old = by_kind.get(job.kind, Cost(job.kind, 0, 0, 0.0, 0.0))
        taken = taking(job, params, rates)
        if taken is None:
            lacking = f"{job.algo} on {params['env'][job.task]['id']}"
            by_kind[job.kind] = replace(old, lacking=tuple(dict.fromkeys((*old.lacking, lacking))))
        else:
            seconds, num_bytes = taken
            by_kind[job.kind] = replace(
                old,
                jobs=old.jobs + job.jobs,
                pairs=old.pairs + job.pairs,
                seconds=old.seconds + seconds,
                num_bytes=old.num_bytes + num_bytes,
            )
    return list(by_kind.values())


def taking(job: Jobs, params: dict[str, Any], rates: dict[str, Any]) -> tuple[float, float] | None:
    """CPU time [s] and bytes of jobs; None where their rate was not measured."""
    measured = rates["environments"].get(params["env"][job.task]["id"], {}).get(job.algo, {})
    paced, sized = job.paced_as or job.kind, job.sized_as or job.kind
    if paced not in measured or sized not in measured:
        return None
    work = job.pairs / measured[paced]["pairs_per_second"] if job.pairs else 0
    # The start is that of the process, whatever pace its work has.
    return float(job.jobs * rates["start"].get(sized, 0) + work), float(job.units * measured[sized]["bytes"])


def jobs(params: dict[str, Any], rates: dict[str, Any]) -> Iterator[Jobs]:
    """All jobs of a parameter set."""
    num_obs = {env_id: env["num_obs"] for env_id, env in rates["environments"].items()}
    train, sample, rerun = params["train"], params["sample"], params["rerun"]
    seeds, checkpoints = len(params["seeds"]), len(params["probed_seeds"]) * len(params["iterations"])
    together, iterations = processes(params, seeds), seeds * train["iterations"]
    sampled = checkpoints * sample["kept"] * sample["pairs"]
    updates = seeds * len(range(0, train["iterations"], rerun["every"]))
    stored = updates * 2 * (train["pairs"] + rerun["beyond"])
    for task in params["tasks"]:
        for algo in params["algos"]:
            of_agents = partial(Jobs, task=task, algo=algo)
            trained = iterations * train["pairs"]
            yield of_agents(kind="train", jobs=together, stages=seeds, pairs=trained, units=iterations)
            snapshots = seeds * (train["iterations"] // train["snapshot_every"] + 1)
            yield of_agents(kind="snapshots", jobs=0, stages=0, pairs=0, units=snapshots)
            rerun_pairs = stored + updates * train["pairs"]
            yield of_agents(kind="rerun", jobs=together, stages=seeds, pairs=rerun_pairs, units=stored)
        for algo in params["probed"]:
            of_checkpoints = partial(Jobs, task=task, algo=algo, jobs=checkpoints, stages=checkpoints)
            yield of_checkpoints(kind="checkpoint", pairs=0, units=checkpoints)
            yield of_checkpoints(kind="sample", pairs=sampled, units=sampled)
    for probe in probes_of(params):
        for task, algo, number, case in probe.jobs(params):
            work = probe.work(params, num_obs.get(params["env"][task]["id"], 1), case)
            kind = f"{probe.name} of {case}" if "case" in probe.reads else probe.name
            as_ = case if "case" in probe.reads else probe.name
            measured = partial(Jobs, kind=kind, task=task, algo=algo, case=case, sized_as=as_)
            yield measured(
                jobs=number,
                stages=number,
                pairs=number * work.pairs + probe.extra(params, task, case),
                units=number * work.units,
                paced_as=probe.paced_as or as_,
            )
            if work.simulated:
                simulated = number * work.simulated
                yield measured(jobs=0, stages=0, pairs=simulated, units=0, paced_as="sample")
    for study in studies():
        for one in study.trainings(params):
            yield Jobs(
                kind=f"{study.name} training",
                task=one.task,
                algo=one.algo,
                jobs=one.jobs,
                stages=one.stages,
                pairs=one.pairs,
                units=one.records,
                paced_as="train",
                sized_as="train",
            )


def drawing(num_figures: int, rates: dict[str, Any]) -> Cost:
    """The cost of so many figures."""
    seconds = num_figures * rates["start"].get("plot", 0)
    return Cost("plot", num_figures, 0, float(seconds), float(num_figures * rates["figure_bytes"]))


def lacking(estimates: list[Cost]) -> str:
    """Sentence that names the kinds of jobs without a measured rate; empty if every kind has one."""
    parts = [f"{cost.kind} of {', '.join(cost.lacking)}" for cost in estimates if cost.lacking]
    if not parts:
        return ""
    return (
        f"no rate yet for {'; '.join(parts)}: not in these sums; `python -m pgprim cost --measure` with a set that "
        "has it measures it"
    )


def table(estimates: list[Cost]) -> str:
    """The costs as a table, with their sum; what has no rate is named below it."""
    total = Cost("all", *(sum(getattr(cost, name) for cost in estimates) for name in NUMBERS))
    rows = [("stage", "jobs", "pairs", "core-hours", "bytes")]
    for cost in [*estimates, total]:
        hours = f"{cost.seconds / 3600:.2f}" if cost.jobs else ""
        pairs = _short(cost.pairs, "") if cost.pairs else ""
        rows.append(
            (cost.kind, f"{cost.jobs}" if cost.jobs else "", pairs, hours, _short(cost.num_bytes, "B"))
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _short(number: float | int, unit: str) -> str:
    """A number with three digits and a prefix: 1.23 M."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number:.0f} {unit}".strip()


def measure(params: dict[str, Any]) -> dict[str, Any]:
    """Measure the rates of all environments, algorithms and probes of a parameter set by running its stages.

    Returns:
        What `workflow/rates.yaml` is to hold.
    """
    environments: dict[str, Any] = {}
    starts: dict[str, list[float]] = {}
    for task in params["tasks"]:
        for algo in params["algos"]:
            with tempfile.TemporaryDirectory(prefix="pgprim-cost-") as scratch:
                small = _run_stages(params, task, algo, SMALL, Path(scratch, "small"))
                large = _run_stages(params, task, algo, LARGE, Path(scratch, "large"))
                env = environments.setdefault(params["env"][task]["id"], {})
                if algo in params["probed"]:
                    array = json.loads(Path(scratch, "large", "rollouts.zarr/obs/zarr.json").read_text())
                    env["num_obs"] = array["shape"][-1]
            of_algo = env.setdefault(algo, {})
            for kind, (seconds, pairs, num_bytes, units) in large.items():
                of_algo[kind] = {"bytes": round(num_bytes / units, 2)}
                slope = 0.0
                if pairs:
                    less_seconds, less_pairs = small[kind][:2]
                    slope = (seconds - less_seconds) / (pairs - less_pairs)
                    # On a busy machine the start can drown a small difference: then all of it counts as work.
                    slope = slope if slope > 0 else seconds / pairs
                    of_algo[kind]["pairs_per_second"] = round(1 / slope)
                starts.setdefault(kind, []).append(max(0.0, seconds - slope * pairs))
            figure = of_algo.pop("plot")
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "start": {
            kind: round(sum(starts[kind]) / len(starts[kind]), 2) for kind in starts if kind != "snapshots"
        },
        "figure_bytes": figure["bytes"],
        "environments": environments,
    }


def _run_stages(
    params: dict[str, Any], task: str, algo: str, size: dict[str, int], folder: Path
) -> dict[str, tuple[float, int, int, int]]:
    """Run one job of every kind at one size: its CPU seconds, pairs, bytes, and the units that take these bytes.

    Agents that are not probed are only trained and run again.
    """
    is_probed = algo in params["probed"]
    params = _resized(params, task, algo, size)
    folder.mkdir()
    (folder / PARAMS).write_text(_dump(params))
    seeds, first = "-".join(map(str, params["seeds"])), params["seeds"][0]
    commands = {
        "train": f"train --task {task} --algo {algo} --seeds {seeds} --snapshots training --records records",
        "rerun": f"rerun --training training --records records --seeds {seeds} --out rerun",
        "plot": "plot fig8 --by report/training --out plot.pdf --png plot.png --data plot.nc records",
    }
    outputs = {
        "train": ["records"],
        "snapshots": ["training"],
        "rerun": ["rerun"],
        "plot": ["plot.pdf", "plot.png", "plot.nc"],
    }
    if is_probed:
        agent = "checkpoint.safetensors"
        iteration = params["iterations"][0]
        commands["checkpoint"] = (
            f"checkpoint --training training/{first} --iteration {iteration} --out {agent}"
        )
        commands["sample"] = f"sample --checkpoint {agent} --out rollouts.zarr"
        outputs |= {"checkpoint": [agent], "sample": ["rollouts.zarr"]}
    files = {
        "checkpoint": "checkpoint.safetensors",
        "rollouts": "rollouts.zarr",
        "rerun": f"rerun/{first}.zarr",
    }
    measured = [probe for probe in probes_of(params) if "case" not in probe.reads]
    # A probe that reads another's result comes after it.
    for probe in sorted(measured, key=lambda probe: len(set(probe.reads) - set(files))):
        if not is_probed and "checkpoint" in probe.reads:
            continue
        out = f"{probe.name}.{'safetensors' if probe.name == 'fit' else 'nc'}"
        options = [f"--{name} {files[name]}" for name in probe.reads if name in files]
        options += [f"--result {name}={outputs[name][0]}" for name in probe.reads if name not in files]
        options += [f"--case {probe.block(params)[probe.cases][0]}"] if probe.cases else []
        options += [f"--vectors {probe.name}.zarr"] if probe.vectors else []
        commands[probe.name] = f"probe {probe.name} {' '.join(options)} --out {out}"
        outputs[probe.name] = [out, *([f"{probe.name}.zarr"] if probe.vectors else [])]
    seconds = {kind: _cpu_seconds(command.split(), folder) for kind, command in commands.items()}
    spent = {"plot": (seconds["plot"], 0, sum(_size(folder / name) for name in outputs["plot"]), 1)}
    for job in jobs(params, {"environments": {}}):
        if job.kind in outputs:
            # Commands for all seeds do all of it, others a job's share.
            share = 1 if job.kind in ("train", "rerun", "snapshots") else job.jobs
            num_bytes = sum(_size(folder / name) for name in outputs[job.kind])
            spent[job.kind] = (seconds.get(job.kind, 0.0), job.pairs // share, num_bytes, job.units // share)
    return spent


def _resized(params: dict[str, Any], task: str, algo: str, size: dict[str, int]) -> dict[str, Any]:
    """The parameters of one task and algorithm with one checkpoint and few samples."""
    params = copy.deepcopy(params)
    params |= {"tasks": [task], "algos": [algo], "probed": [algo], "iterations": [size["iterations"]]}
    params["seeds"] = params["seeds"][: params["lockstep"]]
    params["probed_seeds"] = params["seeds"][:1]
    params["train"] |= {"iterations": size["iterations"], "snapshot_every": 1}
    # All streams are kept, so that the gradient probe simulates none.
    params["sample"] = {
        "streams": MEASURED_STREAMS,
        "pairs": size["pairs"],
        "estimates": MEASURED_TRIALS,
        "kept": MEASURED_STREAMS,
        "trials": MEASURED_TRIALS,
        "deep": {"seeds": [], "pairs": size["pairs"]},
    }
    params["rerun"]["every"] = 1
    params["plot"]["budget"] = size["pairs"]
    for probe in probes_of(params):
        block = probe.block(params)
        if "budgets" in block:
            block["budgets"] = [size["pairs"] // 2, size["pairs"]]
        block |= {name: params[name] for name in ("tasks", "iterations") if name in probe.grid}
        if "algos" in probe.grid:
            block["algos"] = [algo]
        if "seeds" in probe.grid:
            block["seeds"] = params["seeds"][:1]
    params["probes"]["checkpoints"]["floors"]["states"] = 2 * size["iterations"]
    params["fit"] |= {"beyond": 1, "patience": params["fit"]["epochs"]}
    params["baselines"] |= {"beyond": 1, "pairs": size["pairs"] // 4}
    params["robustness"]["episodes"] = 2 * size["iterations"]
    params["landscape"]["kinds"] = ["few"]
    params["landscape"]["plane"]["points"] = 4  # 16 points side by side
    params["landscape"]["few"]["closer"] = []
    params["landscape"]["few"]["budgets"] = params["landscape"]["many"]["budgets"] = [size["pairs"]]
    check(params, "the parameters to measure")
    return params


def _cpu_seconds(command: list[str], folder: Path) -> float:
    """CPU time of a stage run in a folder, which other work on the machine does not lengthen."""
    paths = [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
    print(f"measuring: python -m pgprim {' '.join(command)}", file=sys.stderr)
    process = subprocess.Popen(
        [sys.executable, "-m", f"pgprim.commands.{command[0]}", *command[1:]], cwd=folder, env=env
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f"measuring stopped because this failed: python -m pgprim {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime


def _size(path: Path) -> int:
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        if path.is_dir()
        else path.stat().st_size
    )


def machine() -> str:
    """Processor and cores of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores"


def _dump(data: dict[str, Any]) -> str:
    text = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.dump(data, text)
    return text.getvalue()


def main(args: argparse.Namespace) -> None:
    """Measure if asked to, then print the table."""
    if args.set is None:
        params, name = load(), f"{PARAMS}"
    else:
        path = find_set(args.set)
        params, name = load_set(path), f"the parameter set {path.stem} ({path})"
    if args.measure:
        comment = "".join(f"# {line}\n" for line in HEADER.splitlines())
        write(RATES, comment + _dump(_with_known(measure(params))))
    if not RATES.exists():
        raise UserError(f"{RATES} does not exist; `python -m pgprim cost --measure` measures and writes it")
    rates = read(RATES)
    print(f"{name}, at the rates of {rates['date']} ({rates['machine']}, CPU time of one core)\n")
    figures = len(read(PIPELINE)["plots"])
    estimates = [*costs(params, rates), drawing(figures, rates)]
    print(table(estimates))
    if missing := lacking(estimates):
        print(missing)


def _with_known(rates: dict[str, Any]) -> dict[str, Any]:
    """New rates, and the old ones of environments and algorithms that were not measured anew."""
    environments = read(RATES)["environments"] if RATES.exists() else {}
    for env_id, algos in environments.items():
        rates["environments"][env_id] = algos | rates["environments"].get(env_id, {})
    return rates


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = make_parser(
        "pgprim.commands.cost", "Print what a parameter set would cost in pairs, core-hours and bytes."
    )
    result.add_argument(
        "set", nargs="?", help=f"a set in {SCALES}, or the path of a file; without it, {PARAMS}"
    )
    result.add_argument(
        "--measure",
        action="store_true",
        help=f"first measure the rates on this machine, in minutes; writes {RATES}",
    )
    return result


if __name__ == "__main__":
    run(main, parser())
