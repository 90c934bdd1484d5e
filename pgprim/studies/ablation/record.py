"""The record of the study `ablation`."""

from collections.abc import Iterator

from pgprim.types.schema import COUNT, POSITIVE, RATES, SEEDS, SHARE, SWITCH, TASKS, Schema, at_least
from pgprim.types.study import Params, Study, Training, processes
from pgprim.types.variants import STUDIED

CLIP = POSITIVE | {"description": "null for no clipping, or a number above 0", "type": ["number", "null"]}
INIT: Schema = {"description": "orthogonal or xavier", "enum": ["orthogonal", "xavier"]}


def _off_and_on(items: Schema) -> Schema:
    return {
        "description": "a list of two different values, off and on",
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "uniqueItems": True,
        "items": items,
    }


def _trainings(params: Params) -> Iterator[Training]:
    block = params["ablation"]
    rates, cells, agents = len(block["rates"]), 2 ** len(block["switches"]), len(block["seeds"])
    records = rates * cells * block["iterations"] * agents
    for task in block["tasks"]:
        yield Training(
            task,
            STUDIED,
            rates * processes(params, agents),
            rates * agents,
            records * block["pairs"],
            records,
        )


def _check(params: Params) -> Iterator[str]:
    block, fewest = params["ablation"], 2 * params["train"]["minibatches"]
    if not set(block["choose"]) < set(block["seeds"]):
        yield (
            f"ablation.choose is {block['choose']}, but must be some and not all of ablation.seeds, {block['seeds']}, "
            "because the others are reported"
        )
    if block["pairs"] < fewest:
        yield (
            f"ablation.pairs is {block['pairs']}, but must be at least {fewest}, 2 pairs for each of train.minibatches "
            f"({params['train']['minibatches']})"
        )


STUDY = Study(
    name="ablation",
    question="What do PPO's implementation choices do to the return, and to whether its trust region holds?",
    settings={
        "tasks": TASKS,
        "switches": {
            "description": "a mapping from at least one of rew_norm, init, anneal and value_clip to its two values, off and on",
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                "rew_norm": _off_and_on(SWITCH),
                "init": _off_and_on(INIT),
                "anneal": _off_and_on(SWITCH),
                "value_clip": _off_and_on(CLIP),
            },
        },
        "rates": RATES,
        "seeds": SEEDS,
        "choose": SEEDS,
        "iterations": COUNT,
        "pairs": at_least(2, "pairs"),
        "final": SHARE,
    },
    trainings=_trainings,
    check=_check,
)
