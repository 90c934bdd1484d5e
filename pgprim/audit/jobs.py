"""The jobs of an audit: their inputs, measurements and outputs, and whether they are done.

A job is one probe at one checkpoint, in the checkpoint's folder. It is done if its result is complete and records the
current inputs, parameters, versions and code. So a killed audit resumes, and nothing is measured twice.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

import pgprim
from pgprim.experience.rollout import sample_pool
from pgprim.experience.updates import look_at_updates, next_update
from pgprim.probes.baselines.measure import measure as measure_baselines
from pgprim.probes.fit.measure import measure as measure_fit
from pgprim.probes.floors.measure import measure as measure_floors
from pgprim.probes.gradient.measure import measure as measure_gradient
from pgprim.probes.landscape.measure import measure as measure_landscape
from pgprim.probes.steps.measure import measure as measure_steps
from pgprim.probes.trust_region.measure import measure as measure_trust_region
from pgprim.probes.value.measure import measure as measure_value
from pgprim.rl.streams import time_limit
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import load_dataset, save_dataset
from pgprim.store.files import Pieces
from pgprim.store.fits import load_fit, save_fit
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.provenance import provenance
from pgprim.store.rollouts import BLOCK, RolloutWriter, open_rollouts
from pgprim.store.updates import updates_dataset
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.errors import UserError
from pgprim.types.fit import Fit

CHECKPOINT, PLAN = "checkpoint.safetensors", "plan.json"
"""Files of a checkpoint's folder that all jobs read: the agent, and `plan.plan` of it."""

MEASURING = ("types", "core", "rl", "experience", "store", "probes", "audit")
"""Packages whose code can change a result."""

DRAWING = ("plot.py", "page.py", "draw.py", "findings.py", "study.py", "plan.py", "schedule.py", "worker.py")
"""Modules of these packages whose code cannot change a result."""


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        outputs: Files and stores that it makes, the last one last.
        needs: Jobs whose results it reads.
        params: Blocks of the plan that it depends on.
        run: Measures and saves, given the checkpoint, the plan and the attributes of results.
    """

    outputs: tuple[str, ...]
    needs: tuple[str, ...]
    params: tuple[str, ...]
    run: Callable[[Checkpoint, Mapping[str, Any], dict[str, Any]], None]


def is_done(folder: Path, name: str) -> bool:
    """Whether a job's results exist, are complete, and have the current inputs, parameters, versions and code."""
    try:
        wanted = made_from(folder, name)
        return all(wanted.items() <= _attrs(folder / output).items() for output in JOBS[name].outputs)
    except UserError:  # an input or a result is missing, or not whole
        return False


def run_job(name: str) -> None:
    """Run a job in the checkpoint's folder, the working directory."""
    torch.set_num_threads(1)
    checkpoint, parameters = load_checkpoint(CHECKPOINT), json.loads(Path(PLAN).read_text())
    JOBS[name].run(checkpoint, parameters, made_from(Path(), name))


def made_from(folder: Path, name: str) -> dict[str, Any]:
    """Inputs that a job's results are made from, as their attributes name them.

    Raises:
        UserError: An input is missing.
    """
    job, parameters = JOBS[name], json.loads((folder / PLAN).read_text())
    checkpoint = load_checkpoint(folder / CHECKPOINT)
    paths = {need: folder / JOBS[need].outputs[-1] for need in job.needs} | {
        "checkpoint": folder / CHECKPOINT
    }
    for path in paths.values():
        if not path.exists():
            raise UserError(f"{path}: is missing, but {name} reads it")
    used = {block: parameters[block] for block in job.params}
    return provenance(used, paths, checkpoint) | {"code": code()}


@cache
def code() -> str:
    """One hash of all code that can change a result."""
    package, digest = Path(pgprim.__file__).parent, hashlib.sha256()
    for name in MEASURING:
        for file in sorted((package / name).rglob("*.py")):
            if file.name not in DRAWING:
                digest.update(file.read_bytes())
    return digest.hexdigest()


def _attrs(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".zarr":
        return open_rollouts(path).attrs
    return load_fit(path).made_from if path.suffix == ".safetensors" else load_dataset(path).attrs


def _sample(checkpoint: Checkpoint, parameters: Mapping[str, Any], attrs: dict[str, Any]) -> None:
    num_streams, num_pairs = (parameters["sample"][name] for name in ("kept", "pairs"))
    identity = {
        name: getattr(checkpoint, name) for name in ("task", "algo", "seed", "iteration", "env_id")
    } | {
        "streams": "each an unbroken sequence of episodes from a reset",
        "time_limit": time_limit(checkpoint.environment),
        "settings": json.dumps(checkpoint.settings, sort_keys=True),
    }
    shape = (num_streams, num_pairs, checkpoint.num_obs, checkpoint.num_act)
    with (
        RolloutWriter(JOBS["rollouts"].outputs[0], *shape, identity | attrs) as writer,
        tqdm(total=num_streams * num_pairs, unit="pair", mininterval=1) as progress,
    ):
        for block in sample_pool(checkpoint, slice(0, num_streams), num_pairs, BLOCK):
            writer.append(block)
            progress.update(block.rew.size)


def _probe(
    name: str, measure: Callable[[Inputs, dict], Measured], block: str, case: str = ""
) -> Callable[[Checkpoint, Mapping[str, Any], dict[str, Any]], None]:
    """A job that measures one probe from the checkpoint and, where it needs them, its rollouts and fit."""

    def run(checkpoint: Checkpoint, parameters: Mapping[str, Any], attrs: dict[str, Any]) -> None:
        job = JOBS[name]
        rollouts = open_rollouts("rollouts.zarr") if "rollouts" in job.needs else None
        results = {"fit": Measured(load_fit("fit.safetensors"))} if "fit" in job.needs else {}
        with Pieces(job.outputs[0], attrs) as pieces:
            inputs = Inputs(checkpoint, rollouts, parameters["sample"], None, results, case, pieces)
            numbers = measure(inputs, parameters[block]).numbers
            if isinstance(numbers, Fit):
                save_fit(job.outputs[0], replace(numbers, made_from=attrs))
            else:
                save_dataset(job.outputs[0], numbers.assign_attrs(numbers.attrs | attrs))

    return run


def _update(checkpoint: Checkpoint, parameters: Mapping[str, Any], attrs: dict[str, Any]) -> None:
    """The next update, on its own pairs and on fresh batches."""
    beyond, batches = (parameters["updates"][name] for name in ("beyond", "batches"))
    after, records = next_update(checkpoint)
    num_pairs = checkpoint.settings["pairs"] + beyond
    with tqdm(total=num_pairs * batches, unit="pair", mininterval=1) as progress:
        arrays = look_at_updates([(checkpoint, after)], beyond, batches, progress.update)
    results = [
        measure_updates({name: array[batch : batch + 1] for name, array in arrays.items()}, [checkpoint])
        for batch in range(batches)
    ]
    own = {f"own_{name}": number for name, number in records.items()}
    for output in UPDATE_PROBES:
        numbers = [result[output] for result in results]
        measured = [name for name, array in numbers[0].items() if "part" in array.dims]
        ds = xr.concat(numbers, "batch", data_vars=measured, coords="minimal", compat="override")
        ds = ds.assign_coords(batch=("batch", np.arange(batches), BATCH))
        save_dataset(output, ds.assign_attrs(ds.attrs | own | attrs))


def measure_updates(arrays: Mapping[str, np.ndarray], agents: Sequence[Checkpoint]) -> dict[str, xr.Dataset]:
    """Results of `UPDATE_PROBES` on pairs of some updates, by the names of their files.

    Args:
        arrays: From `experience.updates.look_at_updates`.
        agents: The agent before each update.
    """
    inputs = Inputs(rerun=updates_dataset(arrays, agents, {}))
    return {output: measure(inputs, {}).numbers for output, measure in UPDATE_PROBES.items()}


UPDATE_PROBES = {"value.nc": measure_value, "trust_region.nc": measure_trust_region}
"""Probes that read the pairs of updates, by the names of their results' files."""

BATCH = {"long_name": "fresh batch", "units": "1"}

JOBS = {
    "rollouts": Job(("rollouts.zarr",), (), ("sample",), _sample),
    "gradient": Job(
        ("gradient.nc",), ("rollouts",), ("sample", "gradient"), _probe("gradient", measure_gradient, "gradient")
    ),
    "slice": Job(
        ("slice.nc",), (), ("landscape",), _probe("slice", measure_landscape, "landscape", "slice_few")
    ),
    "floors": Job(("floors.nc",), (), ("floors",), _probe("floors", measure_floors, "floors")),
    "fit": Job(("fit.safetensors",), ("rollouts",), ("sample", "fit"), _probe("fit", measure_fit, "fit")),
    "baselines": Job(
        ("baselines.nc",),
        ("rollouts", "fit"),
        ("sample", "baselines"),
        _probe("baselines", measure_baselines, "baselines"),
    ),
    "steps": Job(("steps.nc",), ("rollouts",), ("sample", "steps"), _probe("steps", measure_steps, "steps")),
    "update": Job(tuple(UPDATE_PROBES), (), ("updates",), _update),
}  # fmt: skip
"""Jobs by name; jobs that others wait for, and long ones, come first."""
