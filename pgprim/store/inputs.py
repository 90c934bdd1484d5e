"""Inputs of a probe, opened and checked to be of the same agent, and the form of its result."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import xarray as xr

from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import load_dataset, open_store
from pgprim.store.files import Pieces, Scratch
from pgprim.store.fits import load_fit
from pgprim.store.provenance import provenance
from pgprim.store.reruns import open_reruns
from pgprim.store.rollouts import RolloutReader, open_rollouts
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.errors import UserError
from pgprim.types.fit import Fit

IDENTITY = ("task", "env_id", "algo", "seed", "iteration")
"""What the checkpoint and all that was made from it have in common."""


@dataclass(frozen=True)
class Measured:
    """A probe's result.

    Attributes:
        numbers: The numbers that figures read.
        vectors: Large arrays for closer analysis; None if the probe keeps none.
    """

    numbers: xr.Dataset | Fit
    vectors: xr.Dataset | None = None


@dataclass(frozen=True)
class Inputs:
    """Inputs of one job of a probe; an input that the probe does not read is None.

    Attributes:
        checkpoint: The agent.
        rollouts: Its rollouts, the first streams of its pool.
        sample: The section `sample` of the parameter file.
        rerun: Re-run iterations of its training.
        results: Results of other probes on the same agent, by probe.
        case: Which of the probe's cases to measure; empty if it has none.
        pieces: Partial results, from which a killed job resumes.
    """

    checkpoint: Checkpoint | None = None
    rollouts: RolloutReader | None = None
    sample: Mapping[str, Any] = field(default_factory=dict)
    rerun: xr.Dataset | None = None
    results: Mapping[str, Measured] = field(default_factory=dict)
    case: str = ""
    pieces: Pieces | Scratch = field(default_factory=Scratch)

    @property
    def trials(self) -> int:
        """Number of trials: the first streams of the rollouts. The other streams make the large sample."""
        return int(self.sample["trials"])

    @property
    def time_limit(self) -> int | None:
        """Pairs after which the rollouts' episodes are truncated; None if no limit is known."""
        return self.rollouts.attrs["time_limit"]

    def with_semantics(self, semantics: str) -> "Inputs":
        """The same inputs with other semantics of time limits and cuts."""
        checkpoint = self.checkpoint
        return replace(
            self, checkpoint=replace(checkpoint, settings=checkpoint.settings | {"semantics": semantics})
        )


def open_inputs(paths: Mapping[str, str], sample: Mapping[str, Any], case: str = "") -> Inputs:
    """Open a job's inputs.

    Args:
        paths: By name: `checkpoint`, `rollouts`, `rerun`, `NAME` for the numbers of a probe and `NAME.vectors` for its
            vectors.
        sample: The section `sample` of the parameter file, which the rollouts must have followed.
        case: The probe's case.

    Raises:
        UserError: An input is missing or damaged, or inputs are of different agents.
    """
    given = {name: path for name, path in paths.items() if path}
    checkpoint = load_checkpoint(given["checkpoint"]) if "checkpoint" in given else None
    rollouts = open_rollouts(given["rollouts"]) if "rollouts" in given else None
    rerun = open_reruns(given["rerun"]) if "rerun" in given else None
    results = {}
    for name in given.keys() - {"checkpoint", "rollouts", "rerun"}:
        if not name.endswith(".vectors"):
            vectors = given.get(f"{name}.vectors")
            numbers = (
                load_fit(given[name]) if given[name].endswith(".safetensors") else load_dataset(given[name])
            )
            results[name] = Measured(numbers, open_store(vectors) if vectors else None)
    if rollouts is not None:
        _require_same(checkpoint, rollouts.attrs, given["rollouts"], given["checkpoint"])
        _require_sample(rollouts, sample, given["rollouts"])
    for name, result in results.items():
        attrs = vars(result.numbers) if isinstance(result.numbers, Fit) else _identity(result.numbers)
        _require_same(checkpoint, attrs, given[name], given["checkpoint"])
    return Inputs(checkpoint, rollouts, sample, rerun, results, case)


def describe(paths: Mapping[str, str], inputs: Inputs, params: Mapping[str, Any]) -> dict[str, Any]:
    """Origin of a result, as attributes.

    Args:
        paths: The job's inputs.
        inputs: The same, opened.
        params: The parameters that it depends on, as they are nested in the parameter file.
    """
    attrs = provenance(params, {name: path for name, path in paths.items() if path}, inputs.checkpoint)
    if inputs.rerun is not None:
        attrs["environment"] = inputs.rerun.attrs["environment"]
        attrs["semantics"] = json.loads(inputs.rerun.attrs["settings"])["semantics"]
    return attrs


def _identity(ds: xr.Dataset) -> dict[str, Any]:
    return dict(ds.attrs) | {name: ds[name].values.tolist()[0] for name in IDENTITY if name in ds.coords}


def _require_same(checkpoint: Checkpoint, attrs: Mapping[str, Any], path: str, agent: str) -> None:
    for name in IDENTITY:
        here, there = getattr(checkpoint, name), attrs.get(name)
        if here != there:
            raise UserError(f"{path}: {name} is {there!r}, but must be that of {agent}, {here!r}")


def _require_sample(rollouts: RolloutReader, sample: Mapping[str, Any], path: str) -> None:
    wanted, there = (sample["kept"], sample["pairs"]), (rollouts.num_streams, rollouts.num_pairs)
    if there != wanted:
        raise UserError(
            f"{path}: has {there[0]} streams of {there[1]} pairs, but sample.kept and sample.pairs in params.yaml ask for "
            f"{wanted[0]} of {wanted[1]}; sample again"
        )
