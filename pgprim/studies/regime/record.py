"""The record of the study `regime`."""

from collections.abc import Iterator

from pgprim.types.schema import COUNT, RATES, SEEDS, SHARE, TASKS, at_least, different
from pgprim.types.study import Params, Study, Training, processes
from pgprim.types.variants import STUDIED, regime_iterations


def _trainings(params: Params) -> Iterator[Training]:
    block = params["regime"]
    agents, runs = len(block["seeds"]), len(block["rates"]) * len(block["seeds"])
    for pairs in block["pairs"]:
        iterations = regime_iterations(block, pairs)
        again = min(block["agreement_points"], iterations)
        for task in block["tasks"]:
            yield Training(
                task,
                STUDIED,
                processes(params, agents),
                agents,
                runs * (iterations + again) * pairs,
                runs * iterations,
            )


def _check(params: Params) -> Iterator[str]:
    block, fewest = params["regime"], 2 * params["train"]["minibatches"]
    if block["pairs"][0] < fewest:
        yield (
            f"regime.pairs begins with {block['pairs'][0]}, but must be at least {fewest}, 2 pairs for each of "
            f"train.minibatches ({params['train']['minibatches']})"
        )
    if block["total_pairs"] < block["pairs"][-1]:
        yield (
            f"regime.total_pairs is {block['total_pairs']}, but must be at least the largest of regime.pairs "
            f"({block['pairs'][-1]}), one iteration of it"
        )


STUDY = Study(
    name="regime",
    question="Does training with more pairs per iteration help, at the same number of pairs in all?",
    settings={
        "tasks": TASKS,
        "pairs": different(
            at_least(4, "pairs"), "numbers of pairs per iteration", "[2048, 20000]", rising=True
        ),
        "total_pairs": COUNT,
        "rates": RATES,
        "seeds": SEEDS,
        "agreement_points": COUNT,
        "final": SHARE,
    },
    trainings=_trainings,
    check=_check,
)
