"""The record of the probe `landscape`."""

from collections.abc import Iterator

from pgprim.types.probe import Params, Probe, Work
from pgprim.types.schema import (
    ALGOS,
    BUDGETS,
    ITERATIONS,
    NUMBER,
    POSITIVE,
    SEEDS,
    SWITCH,
    TASKS,
    at_least,
    different,
    mapping,
)

KINDS = ("few", "many", "steps")
"""A plane of the step by few pairs, one of the step by many, and the ends of independent steps."""


def _work(params: Params, num_obs: int, case: str) -> Work:
    block, few = params["landscape"], params["train"]["pairs"]
    steps = block["steps"]["steps"]
    sampled = {"few": few, "many": block["many"]["pairs"], "steps": steps * few}[case]
    points = steps if case == "steps" else block["plane"]["points"] ** 2
    sizes = len(block[case]["budgets"] + block[case].get("trajectories", []))
    return Work(sampled + points * block[case]["budgets"][-1], points * sizes)


def _check(params: Params) -> Iterator[str]:
    block, pairs = params["landscape"], params["train"]["pairs"]
    low, high = block["plane"]["extent"]
    if low >= high:
        yield f"landscape.plane.extent is {[low, high]}, but must rise from left to right"
    if block["many"]["pairs"] < pairs:
        yield f"landscape.many.pairs is {block['many']['pairs']}, but must be at least train.pairs ({pairs})"
    few, many = block["few"]["budgets"], block["many"]["budgets"]
    if many[-1] not in few:
        yield (
            f"landscape.many.budgets ends with {many[-1]}, but must end with one of landscape.few.budgets, {few}, "
            "because both stand side by side in figures"
        )


PROBE = Probe(
    name="landscape",
    question="Does the surrogate objective say where the true reward rises, and how much of what is seen of it is noise?",
    reads=("checkpoint",),
    work=_work,
    settings={
        "plane": mapping(
            {
                "extent": {
                    "description": "a list of two numbers, the ends of both axes, such as [0.0, 3.0]",
                    "type": "array",
                    "minItems": 2,
                    "maxItems": 2,
                    "items": NUMBER,
                },
                "points": at_least(2, "points per axis"),
                "random_norm": POSITIVE,
            }
        ),
        "common_random_numbers": SWITCH,
        "few": mapping(
            {
                "budgets": BUDGETS,
                "trajectories": different(at_least(2), "numbers of trajectories", "[20, 1000]", rising=True),
            }
        ),
        "many": mapping({"pairs": at_least(2, "pairs"), "budgets": BUDGETS}),
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
            {"description": "few, many or steps", "enum": list(KINDS)}, "kinds, [few, many, steps]"
        ),
    },
    check=_check,
    cases="kinds",
)
