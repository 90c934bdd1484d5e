"""The record of the probe `landscape`."""

from collections.abc import Iterator

from pgprim.types.probe import Params, Probe, Work
from pgprim.types.schema import (
    ALGOS,
    BUDGETS,
    ITERATIONS,
    NAME,
    NUMBER,
    POSITIVE,
    SEED,
    SEEDS,
    SWITCH,
    TASKS,
    at_least,
    different,
    mapping,
)

KINDS = ("few", "many", "slice_few", "slice_many", "steps")
"""Planes of the step by few pairs and by many, slices along the same steps, and the ends of independent steps."""


def _work(params: Params, num_obs: int, case: str) -> Work:
    block, few = params["landscape"], params["train"]["pairs"]
    own = block[case]
    if case == "steps":
        sampled, points = own["steps"] * few, own["steps"]
    else:
        sampled = own.get("pairs", few) * (1 + own.get("fresh", 0))
        # A slice has the checkpoint and the step's end beside its equally distant points.
        points = own["points"] + 2 if "points" in own else block["plane"]["points"] ** 2
    sizes = len(own["budgets"] + own.get("trajectories", []))
    return Work(sampled + points * own["budgets"][-1], points * sizes)


def _extra(params: Params, task: str, case: str) -> int:
    block = params["landscape"]
    return sum(
        block["plane"]["points"] ** 2
        * len(set(one["iterations"]) & set(block["iterations"]))
        * (one["budgets"][-1] - block[case]["budgets"][-1])
        for one in block[case].get("closer", ())
        if one["task"] == task and one["seed"] in block["seeds"]
    )


def _check(params: Params) -> Iterator[str]:
    block, pairs = params["landscape"], params["train"]["pairs"]
    for name in ("plane", "slice_few", "slice_many"):
        low, high = block[name]["extent"]
        if low >= high:
            yield f"landscape.{name}.extent is {[low, high]}, but must rise from left to right"
    for name in ("many", "slice_many"):
        if block[name]["pairs"] < pairs:
            yield f"landscape.{name}.pairs is {block[name]['pairs']}, but must be at least train.pairs ({pairs})"
    many = block["many"]["budgets"]
    for name, few in {
        "budgets": block["few"]["budgets"],
        **{f"closer[{k}].budgets": one["budgets"] for k, one in enumerate(block["few"]["closer"])},
    }.items():
        if many[-1] not in few:
            yield (
                f"landscape.many.budgets ends with {many[-1]}, but must end with one of landscape.few.{name}, {few}, "
                "because both stand side by side in figures"
            )


EXTENT = {
    "description": "a list of two numbers, the ends of the axis, such as [0.0, 3.0]",
    "type": "array",
    "minItems": 2,
    "maxItems": 2,
    "items": NUMBER,
}
SLICE = {
    "extent": EXTENT,
    "points": at_least(2, "points"),
    "budgets": BUDGETS,
    "fresh": at_least(2, "fresh batches", "one has no error"),
}
CLOSER = mapping({"task": NAME, "seed": SEED, "iterations": ITERATIONS, "budgets": BUDGETS})


PROBE = Probe(
    name="landscape",
    question="Does the surrogate objective say where the true reward rises, and how much of what is seen of it is noise?",
    reads=("checkpoint",),
    work=_work,
    settings={
        "plane": mapping(
            {
                "extent": EXTENT,
                "points": at_least(2, "points per axis"),
                "random_norm": POSITIVE,
            }
        ),
        "common_random_numbers": SWITCH,
        "few": mapping(
            {
                "budgets": BUDGETS,
                "trajectories": different(at_least(2), "numbers of trajectories", "[20, 1000]", rising=True),
                "closer": different(CLOSER, "landscapes that are measured with other budgets", fewest=0),
            }
        ),
        "many": mapping({"pairs": at_least(2, "pairs"), "budgets": BUDGETS}),
        "slice_few": mapping(SLICE),
        "slice_many": mapping({"pairs": at_least(2, "pairs"), **SLICE}),
        "steps": mapping(
            {
                "steps": at_least(4, "steps", "a rank correlation of fewer has no interval"),
                "budgets": BUDGETS,
            }
        ),
    },
    grid={
        "tasks": TASKS,
        "algos": ALGOS,
        "seeds": SEEDS,
        "iterations": ITERATIONS,
        "kinds": different(
            {"description": "few, many, slice_few, slice_many or steps", "enum": list(KINDS)},
            "kinds",
            "[few, steps]",
        ),
    },
    check=_check,
    cases="kinds",
    extra=_extra,
)
