"""Records of probes: the description of a probe for the parameter check, the cost estimate and the pipeline.

`pgprim/probes/NAME/record.py` holds `PROBE`, beside `measure.py`, which measures, and `plot.py`, which draws. No
measurement imports a record, so a change of its question, cost or check recomputes nothing.
"""

import importlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pgprim.types.errors import UserError
from pgprim.types.schema import Schema, mapping

PROBES = Path(__file__).parents[1] / "probes"

SHARE_BEYOND = 0.01
"""Largest share of a return after the pairs that it is followed for: far below the errors of interest."""

Params = Mapping[str, Any]

FAMILIES: dict[tuple[str, ...], str] = {
    ("checkpoint", "rollouts"): "rollouts",
    ("checkpoint",): "checkpoints",
    ("rerun",): "reruns",
}
"""Families of probes, by their inputs: the key of their blocks below `probes` in params.yaml. One stage of dvc.yaml
runs a family."""


@dataclass(frozen=True)
class Work:
    """Amount of work in one job of a probe, for the cost estimate.

    Attributes:
        pairs: State-action pairs that it simulates or reads.
        units: Number of the items that dominate the size of its artifacts: vectors, points or updates.
        simulated: Further pairs that it simulates, at the rate of sampling.
    """

    pairs: int
    units: int
    simulated: int = 0


@dataclass(frozen=True)
class Probe:
    """One probe.

    Attributes:
        name: Its folder.
        question: Its question, in a sentence.
        reads: The inputs of a job: `checkpoint`, `rollouts`, `rerun`, or the probes whose results it reads; `case`
            means that it measures the probe that the case names once more.
        work: Work of a job, from the parameters, the length of an observation, and the case.
        settings: JSON schema of each parameter that the measurement depends on.
        grid: JSON schema of each parameter that selects agents and checkpoints; without any it measures all those of
            the parameter file.
        check: Complaints about its parameters beyond the schema, each a sentence without the file's name.
        cases: Name of the parameter that lists the cases, which distinguish several results of one checkpoint, if
            there are any.
        vectors: Name of the large arrays that are kept beside the numbers, if any.
        paced_as: The kind of job whose rate it has, if not its own.
        extra: Further pairs of all jobs of a task, algorithm and case, if some jobs are larger than `work`.
        sample: Parameters of `sample` that the measurement depends on, if it reads rollouts.
    """

    name: str
    question: str
    reads: tuple[str, ...]
    work: Callable[[Params, int, str], Work]
    settings: Mapping[str, Schema] = field(default_factory=dict)
    grid: Mapping[str, Schema] = field(default_factory=dict)
    check: Callable[[Params], Iterator[str]] = lambda params: iter(())
    cases: str = ""
    vectors: str = ""
    paced_as: str = ""
    extra: Callable[[Params, str, str], int] = lambda params, task, case: 0
    sample: tuple[str, ...] = ("kept", "pairs", "trials")

    @property
    def family(self) -> str:
        """The key below `probes` in params.yaml that has its block; empty if it has its own block and stage."""
        return "" if self.grid else FAMILIES.get(self.reads, "")

    @property
    def key(self) -> str:
        """Its block in params.yaml, such as `probes.rollouts.gradient`."""
        return f"probes.{self.family}.{self.name}" if self.family else self.name

    @property
    def schema(self) -> Schema:
        """JSON schema of its block."""
        return mapping(dict(self.grid) | dict(self.settings))

    def block(self, params: Params) -> dict[str, Any] | None:
        """Its block of the parameter file; None if it is not measured there."""
        block: Any = params
        for part in self.key.split("."):
            block = block.get(part) if isinstance(block, Mapping) else None
        return block

    def nested(self, used: Params) -> dict[str, Any]:
        """Parameters of its block as they are nested in the parameter file."""
        for part in reversed(self.key.split(".")):
            used = {part: used}
        return dict(used)

    def used(self, params: Params, case: str = "") -> dict[str, Any]:
        """The parameters that a job's measurement depends on.

        Raises:
            UserError: The parameter file does not have this probe, or not this case of it.
        """
        block = self.block(params)
        if block is None:
            raise UserError(
                f"params.yaml: {self.key} is missing, but must hold the parameters of {self.name}"
            )
        if (case or self.cases) and case not in block.get(self.cases, ()):
            known = ", ".join(block.get(self.cases, ())) or "none"
            raise UserError(
                f"--case {case}: not one of {self.key}.{self.cases} in params.yaml, which has {known}"
            )
        if "case" in self.reads:
            return {case: probe(case).used(params)}
        cases = self.grid[self.cases]["items"]["enum"] if self.cases else []
        return {name: block[name] for name in self.settings if name == case or name not in cases}

    def jobs(self, params: Params) -> Iterator[tuple[str, str, int, str]]:
        """Task, algorithm, number of jobs and case of all jobs of a parameter set."""
        block = self.block(params) or {}
        of_training = self.reads == ("rerun",)
        algos = params["algos" if of_training else "probed"]
        seeds = block["seeds"] if "seeds" in self.grid else params["seeds" if of_training else "probed_seeds"]
        iterations = block["iterations"] if "iterations" in self.grid else params["iterations"]
        checkpoints = 1 if of_training else len(iterations)
        for task in block["tasks"] if "tasks" in self.grid else params["tasks"]:
            for algo in block["algos"] if "algos" in self.grid else algos:
                if task in params["tasks"] and algo in algos:
                    for case in block[self.cases] if self.cases else ("",):
                        yield task, algo, len(seeds) * checkpoints, case


@cache
def probe_names() -> list[str]:
    """Names of all probes there are."""
    return sorted(file.parent.name for file in PROBES.glob("*/record.py"))


def probe(name: str) -> Probe:
    """The record of a probe.

    Raises:
        UserError: There is none of this name.
    """
    if name not in probe_names():
        raise UserError(
            f"{name}: no probe; there are {', '.join(probe_names())} (those of pgprim/probes/NAME/record.py)"
        )
    return importlib.import_module(f"pgprim.probes.{name}.record").PROBE


def probes() -> list[Probe]:
    """The records of all probes."""
    return [probe(name) for name in probe_names()]


def probes_of(params: Params) -> list[Probe]:
    """The records of the probes that a parameter set uses."""
    return [one for one in probes() if one.block(params) is not None]


def long_enough(key: str, block: Params, params: Params) -> Iterator[str]:
    """Complain about a `beyond` that covers too little of a return.

    Args:
        key: The parameter.
        block: The block that has it.
        params: The parameter file.
    """
    gamma = params["train"]["gamma"]
    fewest = math.ceil(math.log(SHARE_BEYOND) / math.log(gamma)) if 0 < gamma < 1 else 1
    if block["beyond"] < fewest:
        yield (
            f"{key} is {block['beyond']}, but must be at least {fewest}, because fewer pairs hold less than "
            f"{100 * (1 - SHARE_BEYOND):g} % of a return at train.gamma ({gamma})"
        )
