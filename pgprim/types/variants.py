"""The runs of each variant of the studies that train agents with changed settings."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from pgprim.types.agent import settings_of
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError

STUDIED = "ppo"
"""The algorithm of `ablation`, `regime` and `clipping`: only PPO has all four switches, and a learning rate for its policy."""

KNOBS = ("policy_lr", "delta")
"""How far an update goes: the learning rate of PPO's policy, or TRPO's δ, with whose root the length of a step grows."""

VERSION = re.compile(r"-v\d+$")
"""The version at the end of a Gymnasium id."""

LABELS = {
    "version": ("version of the task", "1"),
    "run": ("what becomes of actions, and the policy's learning rate in multiples of the task's own", "1"),
}
"""Long name and unit of what tells runs of `clipping` apart."""


@dataclass(frozen=True)
class Run:
    """One training of a variant, for all its seeds.

    Attributes:
        algo: Name of the algorithm.
        labels: Labels that distinguish the run from other runs of its study: coordinates beside task, algorithm, seed
            and iteration.
        values: All settings, as a plain dict.
        iterations: Iterations to train.
        purpose: Purpose of the runs' random numbers; the seed follows.
        agreement_at: Iterations in which the halves of the batch are compared.
        costs_at: Iterations in which control costs are measured.
        environment: The environment, where it is not the task's own.
    """

    algo: str
    labels: dict[str, str | int | float]
    values: dict[str, Any]
    iterations: int
    purpose: tuple[str | int, ...]
    agreement_at: tuple[int, ...] = ()
    costs_at: tuple[int, ...] = ()
    environment: Environment | None = None


def make_runs(params: dict[str, Any], study: str, task: str, variant: str) -> list[Run]:
    """The runs of one variant of a study.

    Args:
        params: The parameter file.
        study: A key of `STUDIES`.
        task: Name of the task.
        variant: A learning rate of `ablation`, a number of pairs of `regime`, an algorithm of `semantics` or
            `reliability`, or a version of `clipping`.

    Raises:
        UserError: The study does not have this variant.
    """
    return STUDIES[study](params, task, variant)


def other_semantics(semantics: str) -> str:
    """The other one of `exact` and `paper`."""
    return "paper" if semantics == "exact" else "exact"


def regime_iterations(block: dict[str, Any], pairs: int) -> int:
    """Number of iterations of a run of `regime` with a given number of pairs per iteration."""
    return round(block["total_pairs"] / pairs)


def clipping_runs(block: dict[str, Any]) -> dict[str, tuple[float, bool]]:
    """Learning rate, and whether actions are clipped, by the label of each run of `clipping` on one version."""
    return {f"clipped {rate}": (rate, True) for rate in block["rates"]} | {"drawn": (1.0, False)}


def _ablation_runs(params: dict[str, Any], task: str, rate: str) -> list[Run]:
    """Runs at one learning rate, one per cell of the factorial design.

    Every cell and rate has its own random numbers, so that intervals may treat them as independent.
    """
    block = params["ablation"]
    multiple = _find(rate, "ablation.rates", block["rates"])
    names = list(block["switches"])
    runs = []
    for levels in product(*([False, True] for _ in names)):
        cell = "".join(str(int(level)) for level in levels)
        changes = {name: block["switches"][name][level] for name, level in zip(names, levels, strict=True)}
        values = _with_rate(params, task, multiple, block["iterations"]) | {"pairs": block["pairs"]} | changes
        labels, purpose = {"cell": cell, "rate": multiple}, ("ablation", task, cell, str(multiple))
        runs.append(Run(STUDIED, labels, values, block["iterations"], purpose))
    return runs


def _regime_runs(params: dict[str, Any], task: str, pairs: str) -> list[Run]:
    """Runs with one number of pairs per iteration, one per learning rate; all have the same total number of pairs."""
    block = params["regime"]
    number = _find(pairs, "regime.pairs", block["pairs"])
    iterations = regime_iterations(block, number)
    points = min(block["agreement_points"], iterations)
    return [
        Run(
            STUDIED,
            {"pairs": number, "rate": rate},
            _with_rate(params, task, rate, iterations) | {"pairs": number},
            iterations,
            ("regime", task, number, str(rate)),
            tuple(k * iterations // points for k in range(points)),
        )
        for rate in block["rates"]
    ]


def _semantics_runs(params: dict[str, Any], task: str, algo: str) -> list[Run]:
    """Training with the other semantics, from the same initial agents and with the same random numbers as training."""
    block = params["semantics"]
    _find(algo, "semantics.algos", block["algos"])
    values = settings_of(params, task, algo)
    values["semantics"] = other_semantics(values["semantics"])
    return [Run(algo, {}, values, block["train_iterations"], ("train", task, algo))]


def _reliability_runs(params: dict[str, Any], task: str, algo: str) -> list[Run]:
    """Runs of one algorithm, one per multiple of its step size (`KNOBS`), each with its own random numbers."""
    block = params["reliability"]
    _find(algo, "reliability.algos", block["algos"])
    values = settings_of(params, task, algo) | {"anneal_over": block["iterations"]}
    knob = next((name for name in KNOBS if name in values), None)
    if knob is None:
        raise UserError(f"--variant {algo}: has none of {', '.join(KNOBS)} among its settings in params.yaml")
    return [
        Run(
            algo,
            {"multiple": multiple},
            values | {knob: multiple * values[knob]},
            block["iterations"],
            ("reliability", task, algo, str(multiple)),
        )
        for multiple in block["multiples"]
    ]


def _clipping_runs(params: dict[str, Any], task: str, version: str) -> list[Run]:
    """A version of the task; one run per learning rate with actions clipped, and one with actions as they are drawn.

    Each has random numbers of its own, but for the one whose environment and settings are those of training: it is
    training once more, bit for bit.
    """
    block, own = params["clipping"], Environment.from_dict(params["env"][task])
    _find(version, "clipping.versions", block["versions"])
    iterations = block["iterations"]
    points = min(block["cost_points"], iterations)
    costs_at = {k * iterations // points for k in range(points)} | {iterations - 1}
    runs = []
    for name, (rate, is_clipped) in clipping_runs(block).items():
        environment = replace(own, id=VERSION.sub(f"-{version}", own.id), clip_actions=is_clipped)
        values = _with_rate(params, task, rate, iterations)
        is_training = environment == own and values == settings_of(params, task, STUDIED)
        purpose = ("train", task, STUDIED) if is_training else ("clipping", task, version, name)
        labels = {"version": version, "run": name}
        runs.append(
            Run(
                STUDIED,
                labels,
                values,
                iterations,
                purpose,
                costs_at=tuple(sorted(costs_at)),
                environment=environment,
            )
        )
    return runs


STUDIES: dict[str, Callable[[dict[str, Any], str, str], list[Run]]] = {
    "ablation": _ablation_runs,
    "regime": _regime_runs,
    "semantics": _semantics_runs,
    "reliability": _reliability_runs,
    "clipping": _clipping_runs,
}


def _with_rate(params: dict[str, Any], task: str, rate: float, iterations: int) -> dict[str, Any]:
    """PPO's own settings with its policy's learning rate times `rate`, and annealing that ends with the run."""
    values = settings_of(params, task, STUDIED)
    return values | {"policy_lr": rate * values["policy_lr"], "anneal_over": iterations}


def _find(given: str, key: str, known: list) -> Any:
    for value in known:
        if str(value) == given:
            return value
    raise UserError(f"--variant {given}: not one of {key} in params.yaml, {', '.join(map(str, known))}")
