"""The record of the probe `baselines`."""

from collections.abc import Iterator

from pgprim.types.probe import Params, Probe, Work
from pgprim.types.schema import BUDGETS, CLOSED_FRACTION, COUNT, ITERATIONS, TASKS, at_least, different


def _work(params: Params, num_obs: int, case: str) -> Work:
    block, sample = params["baselines"], params["sample"]
    trials, others = sample["trials"], sample["kept"] - sample["trials"]
    pairs = trials * max(block["budgets"][-1], block["pairs"]) + others * block["pairs"]
    # Of three baselines a gradient and its sums, and of four what their residuals come to: vectors of single precision.
    return Work(pairs, trials * (11 * len(block["budgets"]) + 4) + others * len(block["lambdas"]))


def _check(params: Params) -> Iterator[str]:
    block, pairs = params["baselines"], params["sample"]["pairs"]
    budgets, lambdas = block["budgets"], block["lambdas"]
    if budgets[-1] > pairs:
        yield f"baselines.budgets ends with {budgets[-1]}, but must not exceed sample.pairs ({pairs})"
    if block["pairs"] > pairs:
        yield f"baselines.pairs is {block['pairs']}, but must not exceed sample.pairs ({pairs})"
    if lambdas[-1] != 1:
        yield f"baselines.lambdas is {lambdas}, but must end with 1, which has no bias"
    if block["beyond"] >= pairs:
        yield (
            f"baselines.beyond is {block['beyond']}, but must be less than sample.pairs ({pairs}), because no return would "
            "be settled otherwise"
        )
    for key in ("tasks", "iterations"):
        for index, value in enumerate(block[key]):
            if value not in params["fit"][key]:
                yield (
                    f"baselines.{key}[{index}] is {value}, but must be one of fit.{key}, {params['fit'][key]}, because "
                    "the true value function is fitted there"
                )


PROBE = Probe(
    name="baselines",
    question="How much does a baseline buy, what bias does λ cost, and how much variance could any baseline take away?",
    reads=("checkpoint", "rollouts", "fit"),
    work=_work,
    settings={
        "budgets": BUDGETS,
        "lambdas": different(CLOSED_FRACTION, "values of λ", "[0.0, 0.95, 1.0]", rising=True),
        "pairs": at_least(2, "pairs"),
        "beyond": COUNT,
    },
    grid={"tasks": TASKS, "iterations": ITERATIONS},
    check=_check,
    vectors="gradients with each baseline, with the sums that they are made from",
)
