"""The record of the probe `gradient`."""

from collections.abc import Iterator

from pgprim.types.probe import Params, Probe, Work
from pgprim.types.schema import BUDGETS


def _work(params: Params, num_obs: int, case: str) -> Work:
    sample = params["sample"]
    budgets = params["probes"]["rollouts"]["gradient"]["budgets"]
    streams = sample["trials"] + sample["truth_streams"]
    return Work(streams * sample["pairs"], sample["trials"] * len(budgets) + sample["truth_streams"])


def _check(params: Params) -> Iterator[str]:
    budgets, pairs = params["probes"]["rollouts"]["gradient"]["budgets"], params["sample"]["pairs"]
    if budgets[-1] > pairs:
        yield f"probes.rollouts.gradient.budgets ends with {budgets[-1]}, but must not exceed sample.pairs ({pairs})"


PROBE = Probe(
    name="gradient",
    question="How far do gradient estimates from so many pairs agree with each other and with the true gradient?",
    reads=("checkpoint", "rollouts"),
    work=_work,
    settings={"budgets": BUDGETS},
    check=_check,
    vectors="gradients, with the sums that they are made from",
)
