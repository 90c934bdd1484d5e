"""The record of the probe `steps`."""

from collections.abc import Iterator

from pgprim.types.probe import Params, Probe, Work
from pgprim.types.schema import BUDGETS

HELD_BYTES = 3 << 27
"""Largest size of one batch's observations, unless a budget needs more; an update takes four times as much."""


def _work(params: Params, num_obs: int, case: str) -> Work:
    sample, budgets = params["sample"], params["probes"]["rollouts"]["steps"]["budgets"]
    large = min((sample["kept"] - sample["trials"]) * sample["pairs"], HELD_BYTES // (4 * num_obs))
    return Work(sample["trials"] * sum(budgets) + large, sample["trials"] * len(budgets) + 1)


def _check(params: Params) -> Iterator[str]:
    budgets, pairs = params["probes"]["rollouts"]["steps"]["budgets"], params["sample"]["pairs"]
    minibatches = params["train"]["minibatches"]
    if budgets[-1] > pairs:
        yield f"probes.rollouts.steps.budgets ends with {budgets[-1]}, but must not exceed sample.pairs ({pairs})"
    if budgets[0] < 2 * minibatches:
        yield (
            f"probes.rollouts.steps.budgets starts with {budgets[0]}, but must be at least {2 * minibatches}, "
            f"2 pairs for each of train.minibatches ({minibatches})"
        )


PROBE = Probe(
    name="steps",
    question="How far do the steps that the algorithms really take agree with each other and with the true step?",
    reads=("checkpoint", "rollouts"),
    work=_work,
    settings={"budgets": BUDGETS},
    check=_check,
    vectors="update steps",
)
