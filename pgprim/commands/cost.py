"""Says what a parameter set would cost in pairs, core-hours and bytes, before it is paid.

A job of a stage costs a start (imports, bookkeeping) and then so many pairs at so many pairs per second; its artifacts take
so many bytes per unit of what they hold. `workflow/rates.yaml` holds these rates; `--measure` measures them on this
machine by running the stages themselves at two small sizes.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pgprim.commands.command import make_parser, run
from pgprim.commands.scale import PARAMS, SCALES, find_set, render, write
from pgprim.types.errors import UserError
from pgprim.types.params import check, load, read

RATES = Path("workflow/rates.yaml")
NUM_FIGURES = 30
"""Stages of dvc.yaml that draw."""

VARIED = ("ablation", "regime", "semantics_training")
"""Stages of dvc.yaml that train agents with settings changed."""

HELD_BYTES = 3 << 27
"""What the observations of the large sample of `probes.steps.measure` may take, without importing torch to learn it."""

SMALL = {"iterations": 1, "pairs": 512}
LARGE = {"iterations": 5, "pairs": 4096}
"""The two sizes at which rates are measured: their difference gives the rate, what is left the start."""
MEASURED_STREAMS = 5
HEADER = """\
Measured by `python -m pgprim.commands.cost --measure`, which writes this file anew: CPU time of one core.
start: seconds per job before its work; pairs_per_second: of work; bytes: per checkpoint, and per pair, budget and
stream, or iteration and seed for the others
"""


NUMBERS = ("jobs", "pairs", "seconds", "num_bytes")


@dataclass(frozen=True)
class Cost:
    """What all jobs of one kind take.

    Attributes:
        kind: Stage, and the probe where there are several.
        jobs: Number of jobs.
        pairs: State-action pairs sampled or, by estimates, gone through.
        seconds: CPU time of one core.
        num_bytes: Size of the artifacts.
    """

    kind: str
    jobs: int
    pairs: int
    seconds: float
    num_bytes: float


def costs(params: dict[str, Any], rates: dict[str, Any]) -> list[Cost]:
    """The cost of every kind of stage of a parameter set.

    Args:
        params: The parameters.
        rates: What `workflow/rates.yaml` holds.

    Raises:
        UserError: If the rate of one of its environments, algorithms or probes was not measured.
    """
    found: dict[str, Cost] = {}
    num_obs = {env_id: env["num_obs"] for env_id, env in rates["environments"].items()}
    for kind, jobs, pairs, env_id, algo, units in _jobs(params, num_obs):
        rate = _rate(rates, kind, env_id, algo)
        old = found.get(kind, Cost(kind, 0, 0, 0.0, 0.0))
        found[kind] = Cost(
            kind,
            old.jobs + jobs,
            old.pairs + pairs,
            old.seconds
            + float(
                jobs * rates["start"].get(_measured_as(kind), 0)
                + (pairs / rate["pairs_per_second"] if pairs else 0)
            ),
            old.num_bytes + float(units * rate["bytes"]),
        )
    return list(found.values())


def _jobs(params: dict[str, Any], num_obs: dict[str, int]) -> Iterator[tuple[str, int, int, str, str, int]]:
    """Kind, jobs, pairs, environment, algorithm, and the number of units whose bytes are counted."""
    train, sample = params["train"], params["sample"]
    num_seeds, num_checkpoints = len(params["seeds"]), len(params["seeds"]) * len(params["iterations"])
    streams = sample["trials"] + sample["truth_streams"]
    for kind in ("train", "checkpoint", "sample", *params["estimate"]):
        for task in params["tasks"]:
            env_id = params["env"][task]["id"]
            for algo in params["algos" if kind == "train" else "probed"]:
                if kind == "train":
                    iterations = num_seeds * train["iterations"]
                    yield kind, len(params["lockstep"]), iterations * train["pairs"], env_id, algo, iterations
                    snapshots = num_seeds * (train["iterations"] // train["snapshot_every"] + 1)
                    yield "snapshots", 0, 0, env_id, algo, snapshots
                elif kind == "checkpoint":
                    yield kind, num_checkpoints, 0, env_id, algo, num_checkpoints
                elif kind == "sample":
                    pairs = num_checkpoints * streams * sample["pairs"]
                    yield kind, num_checkpoints, pairs, env_id, algo, pairs
                else:
                    pairs, units = _estimate_work(
                        kind, params["estimate"][kind], sample, num_obs.get(env_id, 1)
                    )
                    yield (
                        kind,
                        num_checkpoints,
                        num_checkpoints * pairs,
                        env_id,
                        algo,
                        num_checkpoints * units,
                    )
    yield from _replay_jobs(params)
    yield from _baseline_jobs(params)
    yield from _landscape_jobs(params)
    yield from _variant_jobs(params, num_obs)
    yield "plot", NUM_FIGURES, 0, "", "", NUM_FIGURES


def _replay_jobs(params: dict[str, Any]) -> Iterator[tuple[str, int, int, str, str, int]]:
    """The same for replays, for what is assessed in them, and for floors, whose continuations may end early."""
    train, replay, block = params["train"], params["replay"], params["floor"]
    updates = len(params["seeds"]) * len(range(0, train["iterations"], replay["every"]))
    kept = updates * 2 * (train["pairs"] + replay["beyond"])
    floors = len(params["seeds"]) * len(block["iterations"])
    continued = floors * block["states"] * block["branches"] * block["beyond"]
    groups = len(params["lockstep"])
    for task in params["tasks"]:
        for algo in params["algos"]:
            env_id = params["env"][task]["id"]
            yield "replay", groups, kept + updates * train["pairs"], env_id, algo, kept
            for probe in params["assess"]:
                yield probe, groups, kept, env_id, algo, updates
        for algo in params["probed"]:
            yield "floor", floors, continued, env_id, algo, floors


def _baseline_jobs(params: dict[str, Any]) -> Iterator[tuple[str, int, int, str, str, int]]:
    """The same for fits, which go through their pairs once per epoch, and for estimates with several baselines."""
    block, sample = params["baselines"], params["sample"]
    trials, truth, fit = sample["trials"], sample["truth_streams"], block["fit"]
    fitted = min(truth * sample["pairs"], fit["pairs"]) * fit["epochs"]
    estimated = trials * max(block["budgets"][-1], block["pairs"]) + truth * block["pairs"]
    # Vectors of single precision.
    kept = trials * (11 * len(block["budgets"]) + 4) + truth * len(block["lambdas"])
    jobs = len(params["seeds"]) * len(block["iterations"])
    for kind, pairs, units in (("fit", fitted, 1), ("baselines", estimated, kept)):
        for task in block["tasks"]:
            for algo in params["probed"] if task in params["tasks"] else ():
                yield kind, jobs, jobs * pairs, params["env"][task]["id"], algo, jobs * units


def _landscape_jobs(params: dict[str, Any]) -> Iterator[tuple[str, int, int, str, str, int]]:
    """The same for landscapes: what is sampled for the steps and at the points, and the numbers kept of each point."""
    block, few = params["landscape"], params["train"]["pairs"]
    plane = block["plane"]["points"] ** 2
    sampled = {"few": few, "many": block["many"]["pairs"], "steps": block["steps"]["steps"] * few}
    points = {"few": plane, "many": plane, "steps": block["steps"]["steps"]}
    pairs = sum(sampled[kind] + points[kind] * block[kind]["budgets"][-1] for kind in block["kinds"])
    units = sum(
        points[kind] * len(block[kind]["budgets"] + block[kind].get("trajectories", []))
        for kind in block["kinds"]
    )
    agents = len(block["seeds"]) * len(block["iterations"])
    for task in filter(params["tasks"].__contains__, block["tasks"]):
        for algo in filter(params["probed"].__contains__, block["algos"]):
            env_id = params["env"][task]["id"]
            yield "landscape", agents * len(block["kinds"]), agents * pairs, env_id, algo, agents * units


def _variant_jobs(
    params: dict[str, Any], num_obs: dict[str, int]
) -> Iterator[tuple[str, int, int, str, str, int]]:
    """The same for agents trained with settings changed, and for what is estimated with other semantics."""
    ablation, regime, semantics = params["ablation"], params["regime"], params["semantics"]
    rates, cells = len(ablation["rates"]), 2 ** len(ablation["switches"])
    for env_id, algo in _agents(params, ablation):
        records = rates * cells * ablation["iterations"] * _num_seeds(ablation)
        jobs = rates * len(ablation["lockstep"])
        yield "ablation", jobs, records * ablation["pairs"], env_id, algo, records
    for pairs in regime["pairs"]:
        iterations, runs = round(regime["total_pairs"] / pairs), len(regime["rates"]) * _num_seeds(regime)
        again = min(regime["agreement_points"], iterations)
        for env_id, algo in _agents(params, regime):
            work = runs * (iterations + again) * pairs
            yield "regime", len(regime["lockstep"]), work, env_id, algo, runs * iterations
    checkpoints = len(semantics["seeds"]) * len(params["iterations"])
    for env_id, algo in _agents(params, semantics):
        records = semantics["train_iterations"] * _num_seeds(semantics)
        work = records * params["train"]["pairs"]
        yield "semantics_training", len(semantics["lockstep"]), work, env_id, algo, records
        for probe in filter(params["estimate"].__contains__, semantics["probes"]):
            block, seen = params["estimate"][probe], num_obs.get(env_id, 1)
            work, _ = _estimate_work(probe, block, params["sample"], seen)
            # A comparison is smaller than one vector.
            yield f"semantics_{probe}", checkpoints, checkpoints * work, env_id, algo, checkpoints


def _agents(params: dict[str, Any], block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Environment and algorithm of each kind of agent that a study trains; without `algos` it is PPO."""
    for task in filter(params["tasks"].__contains__, block["tasks"]):
        for algo in filter(params["algos"].__contains__, block.get("algos", ["ppo"])):
            yield params["env"][task]["id"], algo


def _num_seeds(block: dict[str, Any]) -> int:
    return sum(len(group.split("-")) for group in block["lockstep"])


def _estimate_work(
    probe: str, block: dict[str, Any], sample: dict[str, Any], num_obs: int
) -> tuple[int, int]:
    """Pairs that one estimate goes through, and the number of vectors it keeps."""
    budgets, trials, truth = (
        block.get("budgets", [sample["pairs"]]),
        sample["trials"],
        sample["truth_streams"],
    )
    if probe == "steps":
        held = HELD_BYTES // (4 * num_obs)
        return trials * sum(budgets) + min(truth * sample["pairs"], held), trials * len(budgets) + 1
    return (trials + truth) * sample["pairs"], trials * len(budgets) + truth


def _measured_as(kind: str) -> str:
    """The kind whose rate counts: trainings with settings changed are trainings, estimates with other semantics estimates."""
    return "train" if kind in VARIED else kind.removeprefix("semantics_")


def _rate(rates: dict[str, Any], kind: str, env_id: str, algo: str) -> dict[str, Any]:
    kind = _measured_as(kind)
    if kind == "plot":
        return {"bytes": rates["figure_bytes"]}
    try:
        known = rates["environments"][env_id][algo]
        if kind == "floor":  # the untrained agents that rates are measured with fall at once
            return known[kind] | {"pairs_per_second": known["sample"]["pairs_per_second"]}
        return known[kind]
    except KeyError:
        raise UserError(
            f"{RATES} has no rate for {kind} of {algo} on {env_id}; choose a parameter set that has it and run "
            "`python -m pgprim.commands.cost --measure`"
        ) from None


def table(found: list[Cost]) -> str:
    """The costs as a table, with their sum."""
    total = Cost("all", *(sum(getattr(cost, name) for cost in found) for name in NUMBERS))
    rows = [("stage", "jobs", "pairs", "core-hours", "bytes")]
    for cost in [*found, total]:
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
            found = env.setdefault(algo, {})
            for kind, (seconds, pairs, num_bytes, units) in large.items():
                found[kind] = {"bytes": round(num_bytes / units, 2)}
                slope = 0.0
                if pairs:
                    less_seconds, less_pairs = small[kind][:2]
                    slope = (seconds - less_seconds) / (pairs - less_pairs)
                    # On a busy machine the start can drown a small difference: then all of it counts as work.
                    slope = slope if slope > 0 else seconds / pairs
                    found[kind]["pairs_per_second"] = round(1 / slope)
                starts.setdefault(kind, []).append(max(0.0, seconds - slope * pairs))
            figure = found.pop("plot")
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

    Agents that are not probed are only trained and replayed.
    """
    is_probed = algo in params["probed"]
    params = _resized(params, task, algo, size)
    folder.mkdir()
    (folder / PARAMS).write_text(_dump(params))
    seeds, iteration = params["lockstep"][0], size["iterations"]
    checkpoint, probes = "checkpoint.safetensors", params["estimate"]
    commands = {
        "train": f"train --task {task} --algo {algo} --seeds {seeds} --snapshots training/{seeds} --records records/a.zarr",
        "checkpoint": f"checkpoint --training training --seed {params['seeds'][0]} --iteration {iteration} --out {checkpoint}",
        "sample": f"sample --checkpoint {checkpoint} --out rollouts.zarr",
        "replay": f"replay --training training/{seeds} --out replay.zarr",
        "floor": f"floor --checkpoint {checkpoint} --out floor.nc",
        "fit": f"fit --checkpoint {checkpoint} --rollouts rollouts.zarr --out fit.safetensors",
        "baselines": f"baselines --checkpoint {checkpoint} --rollouts rollouts.zarr --fit fit.safetensors"
        " --gradients baselines.zarr --out baselines.nc",
        "landscape": f"landscape few --checkpoint {checkpoint} --out landscape.nc",
        "plot": "plot fig8 --by report/training --out plot.pdf --png plot.png --data plot.nc records",
    } | {
        probe: f"estimate {probe} --checkpoint {checkpoint} --rollouts rollouts.zarr"
        f" --gradients {probe}.zarr --out {probe}.nc"
        for probe in probes
    }
    commands |= {probe: f"assess {probe} --replay replay.zarr --out {probe}.nc" for probe in params["assess"]}
    outputs = {
        "train": ["records"],
        "snapshots": ["training"],
        "checkpoint": [checkpoint],
        "sample": ["rollouts.zarr"],
        "replay": ["replay.zarr"],
        "floor": ["floor.nc"],
        "fit": ["fit.safetensors"],
        "baselines": ["baselines.zarr", "baselines.nc"],
        "landscape": ["landscape.nc"],
        "plot": ["plot.pdf", "plot.png", "plot.nc"],
    } | {probe: [f"{probe}.zarr", f"{probe}.nc"] for probe in probes}
    outputs |= {probe: [f"{probe}.nc"] for probe in params["assess"]}
    if not is_probed:
        kinds = ("train", "snapshots", "replay", *params["assess"], "plot")
        outputs = {kind: outputs[kind] for kind in kinds}
        commands = {kind: command for kind, command in commands.items() if kind in kinds}
    seconds = {kind: _cpu_seconds(command.split(), folder) for kind, command in commands.items()}
    found = {}
    for kind, jobs, pairs, _, _, units in _jobs(params, {}):
        if kind not in outputs:
            continue
        share = max(jobs, 1)
        num_bytes = sum(_size(folder / name) for name in outputs[kind])
        found[kind] = (
            seconds.get(kind, 0.0),
            pairs // share,
            num_bytes,
            1 if kind == "plot" else units // share,
        )
    return found


def _resized(params: dict[str, Any], task: str, algo: str, size: dict[str, int]) -> dict[str, Any]:
    """The parameters of one task and algorithm with the first lock-step group, one checkpoint, and few samples."""
    params = copy.deepcopy(params)
    seeds = [int(seed) for seed in params["lockstep"][0].split("-")]
    params |= {"tasks": [task], "algos": [algo], "probed": [algo]}
    params |= {"seeds": seeds, "lockstep": params["lockstep"][:1]}
    params["iterations"] = [size["iterations"]]
    params["train"] |= {"iterations": size["iterations"], "snapshot_every": 1}
    params["sample"] = {"trials": MEASURED_STREAMS, "truth_streams": MEASURED_STREAMS, "pairs": size["pairs"]}
    for block in (*params["estimate"].values(), params["baselines"]):
        if "budgets" in block:
            block["budgets"] = [size["pairs"] // 2, size["pairs"]]
    params["replay"]["every"] = 1
    params["floor"] |= {"iterations": params["iterations"], "states": 2 * size["iterations"]}
    params["baselines"] |= {"tasks": [task], "iterations": params["iterations"], "pairs": size["pairs"] // 4}
    params["baselines"]["fit"] |= {"beyond": 1, "patience": params["baselines"]["fit"]["epochs"]}
    params["landscape"] |= {name: params[name] for name in ("tasks", "algos", "iterations")}
    params["semantics"] |= {"tasks": [task], "algos": [algo], "seeds": seeds[:1]}
    params["landscape"] |= {"seeds": seeds[:1], "kinds": ["few"]}
    params["landscape"]["plane"]["points"] = 4  # 16 points side by side
    params["landscape"]["few"]["budgets"] = params["landscape"]["many"]["budgets"] = [size["pairs"]]
    check(params, "the parameters to measure")
    return params


def _cpu_seconds(command: list[str], folder: Path) -> float:
    """CPU time of a stage run in a folder, which other work on the machine does not lengthen."""
    paths = [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
    print(f"measuring: python -m pgprim.commands.{' '.join(command)}", file=sys.stderr)
    process = subprocess.Popen(
        [sys.executable, "-m", f"pgprim.commands.{command[0]}", *command[1:]], cwd=folder, env=env
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(
            f"measuring stopped because this failed: python -m pgprim.commands.{' '.join(command)}"
        )
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
        params, name = (
            YAML(typ="safe", pure=True).load(render(path)),
            f"the parameter set {path.stem} ({path})",
        )
    if args.measure:
        comment = "".join(f"# {line}\n" for line in HEADER.splitlines())
        write(RATES, comment + _dump(_with_known(measure(params))))
    if not RATES.exists():
        raise UserError(
            f"{RATES} does not exist; `python -m pgprim.commands.cost --measure` measures and writes it"
        )
    rates = read(RATES)
    print(f"{name}, at the rates of {rates['date']} ({rates['machine']}, CPU time of one core)\n")
    print(table(costs(params, rates)))


def _with_known(rates: dict[str, Any]) -> dict[str, Any]:
    """New rates, and the old ones of environments and algorithms that were not measured anew."""
    known = read(RATES)["environments"] if RATES.exists() else {}
    for env_id, algos in known.items():
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
