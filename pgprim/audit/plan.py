"""The plan of an audit: the probes' parameters for one agent, by the audit's size."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log
from typing import Any

from pgprim.rl.algorithms import make_settings
from pgprim.rl.streams import time_limit
from pgprim.types.checkpoint import Checkpoint


@dataclass(frozen=True)
class Size:
    """Amount of simulation.

    Attributes:
        streams: Streams of the pool that gradients are estimated from, at most.
        length: Pairs of a stream, at least; whole multiples of the agent's batch.
        pool: Pairs of the pool, at most, unless the fewest streams need more.
        kept: Streams that are stored, and read by the probes of steps and baselines.
        trials: Of these the estimates whose agreement is measured.
        states: States whose returns are continued for the value floors.
        branches: Continuations of each.
        beyond: Pairs of a continuation, at most.
        points: Points along the step.
        point_pairs: Pairs at each.
        batches: Fresh batches that a step is judged on.
    """

    streams: int
    length: int
    pool: int
    kept: int
    trials: int
    states: int
    branches: int
    beyond: int
    points: int
    point_pairs: int
    batches: int


SIZES = {
    "full": Size(
        streams=360, length=20_000, pool=7_500_000, kept=40, trials=10, states=192, branches=4, beyond=1000,
        points=13, point_pairs=150_000, batches=20,
    ),
    "quick": Size(
        streams=40, length=5_000, pool=400_000, kept=20, trials=8, states=48, branches=4, beyond=500,
        points=7, point_pairs=15_000, batches=10,
    ),
    "smoke": Size(
        streams=12, length=256, pool=6_000, kept=12, trials=6, states=6, branches=3, beyond=60,
        points=4, point_pairs=300, batches=4,
    ),
}  # fmt: skip
"""`full` takes about ten minutes for a Hopper agent on two cores, `quick` about two, `smoke` (a test) seconds."""

NEGLIGIBLE = 0.0067
"""Share of a return that may be missing after its continuation, as in the study: 0.99^500."""

JOINED = (1, 2, 5, 10)
"""Streams that are joined for estimates from more pairs than a stream has."""


def plan(checkpoint: Checkpoint, size: Size) -> dict[str, Any]:
    """The probes' parameters for one agent, in the form of the parameter file's blocks.

    Args:
        checkpoint: The agent, whose batch, discount, λ and time limit are used.
        size: How much.
    """
    settings = make_settings(checkpoint.settings)
    pairs, gamma, lam = settings.pairs, settings.gamma, settings.lam
    beyond = _beyond(gamma, time_limit(checkpoint.environment), size.beyond)
    length = pairs * max(1, ceil(max(size.length, 4 * beyond) / pairs))
    streams = max(size.kept, min(size.streams, size.pool // length))
    budgets = {pairs // 8, pairs // 4, pairs // 2, pairs, 2 * pairs, *(length * many for many in JOINED)}
    return {
        "sample": {
            "streams": streams,
            "pairs": length,
            "estimates": size.trials,
            "deep": {"seeds": [], "pairs": length},
            "kept": size.kept,
            "trials": size.trials,
        },
        "gradient": {"budgets": sorted(n for n in budgets if n >= 2 and (n <= length or n % length == 0))},
        "steps": {"budgets": [pairs]},
        "fit": {
            "pairs": 10**9,
            "held_out": 0.2,
            "beyond": beyond,
            "batch": 256,
            "lr": 8.0e-3,
            "epochs": 2,
            "patience": 2,
        },
        "baselines": {
            "budgets": sorted({pairs, length}),
            "lambdas": sorted({lam, 1.0}),
            "pairs": pairs,
            "beyond": beyond,
        },
        "floors": {"states": min(size.states, pairs), "branches": size.branches, "beyond": beyond},
        "landscape": {
            "common_random_numbers": False,
            "slice_few": {
                "extent": [0.0, 3.0],
                "points": size.points,
                "budgets": [size.point_pairs],
                "fresh": size.batches,
            },
        },
        "updates": {"batches": size.batches, "beyond": beyond},
    }


def _beyond(gamma: float, limit: int | None, most: int) -> int:
    """Pairs after which a return counts as complete; at most half an episode's, or no pair would be left."""
    enough = ceil(log(NEGLIGIBLE) / log(gamma)) if 0 < gamma < 1 else most
    return max(1, min(enough, most, *([limit // 2] if limit else [])))


def work(parameters: Mapping[str, Any], pairs: int) -> dict[str, float]:
    """Measured time of each job for a Hopper agent on one core [s], for the job's share of the progress.

    Args:
        parameters: From `plan`.
        pairs: Of the agent's batch.
    """
    sample, line = parameters["sample"], parameters["landscape"]["slice_few"]
    stored = sample["kept"] * sample["pairs"]
    pool, floors = sample["streams"] * sample["pairs"], parameters["floors"]
    batches = parameters["updates"]["batches"]
    points = (line["points"] + 2) * line["budgets"][0]
    seconds = {
        "rollouts": 83 * stored,
        "gradient": 67 * pool - 33 * stored,
        "slice": 82 * (points + line["fresh"] * pairs),
        "floors": 83 * floors["states"] * floors["branches"] * floors["beyond"],
        "fit": 10 * stored,
        "baselines": 8 * stored,
        "steps": 45 * (sample["trials"] * pairs + stored),
        "update": 100 * batches * (pairs + parameters["updates"]["beyond"]),
    }
    return {name: START + each / 1e6 for name, each in seconds.items()}


START = 4.0
"""Seconds until a process has imported what it needs."""
