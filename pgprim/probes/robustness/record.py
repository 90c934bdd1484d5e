"""The record of the probe `robustness`."""

from collections.abc import Iterator

from pgprim.types.probe import Params, Probe, Work
from pgprim.types.schema import ALGOS, ITERATIONS, POSITIVE, SEEDS, TASKS, Schema, at_least, different

LONGEST = 1000
"""Pairs of an episode at most: the time limit of Gymnasium's tasks."""

NUM_SCALED = 4
"""Quantities of the simulator that are multiplied by the factors: masses, friction, gravity, and actuator gains."""

NOISE: Schema = {"description": "a number, at least 0", "type": "number", "minimum": 0}


def _work(params: Params, num_obs: int, case: str) -> Work:
    """Upper bound: an episode that ends early costs less."""
    block = params["robustness"]
    points = NUM_SCALED * len(set(block["factors"]) - {1}) + len(set(block["noise"]) - {0}) + 1
    return Work(points * block["episodes"] * LONGEST, points)


def _check(params: Params) -> Iterator[str]:
    block = params["robustness"]
    if 1 not in block["factors"]:
        yield f"robustness.factors is {block['factors']}, but must hold 1, the task as it is, which all others are compared to"
    if 0 not in block["noise"]:
        yield f"robustness.noise is {block['noise']}, but must hold 0, the task as it is, which all others are compared to"


PROBE = Probe(
    name="robustness",
    question="How much of its return does a trained agent keep in a task that is not quite its own?",
    reads=("checkpoint",),
    work=_work,
    settings={
        "factors": different(POSITIVE, "factors, 1 among them", "[0.7, 1.0, 1.4]", rising=True),
        "noise": different(NOISE, "strengths of sensor noise, 0 among them", "[0.0, 0.2]", rising=True),
        "episodes": at_least(2, "episodes", "one has no error"),
    },
    grid={"tasks": TASKS, "algos": ALGOS, "seeds": SEEDS, "iterations": ITERATIONS},
    check=_check,
    paced_as="sample",  # rates are measured with untrained agents, which fall immediately
)
