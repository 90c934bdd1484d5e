"""The record of the study `reliability`."""

from collections.abc import Iterator

from pgprim.types.schema import ALGOS, COUNT, POSITIVE, SEEDS, SHARE, TASKS, different
from pgprim.types.study import Params, Study, Training, processes
from pgprim.types.variants import KNOBS, make_runs


def _trainings(params: Params) -> Iterator[Training]:
    block = params["reliability"]
    agents = len(block["seeds"])
    for task in block["tasks"]:
        for algo in block["algos"]:
            runs = make_runs(params, "reliability", task, algo)
            records = sum(run.iterations for run in runs) * agents
            pairs = sum(run.iterations * run.values["pairs"] for run in runs) * agents
            yield Training(task, algo, processes(params, agents), agents, pairs, records)


def _check(params: Params) -> Iterator[str]:
    block = params["reliability"]
    if 1 not in block["multiples"]:
        yield (
            f"reliability.multiples is {block['multiples']}, but must hold 1, the agents' own, which all others are compared to"
        )
    for task in block["tasks"]:
        for algo in block["algos"]:
            settings = params["agents"][algo]["all"] | params["agents"][algo][task]
            if not set(KNOBS) & set(settings):
                yield f"reliability.algos names {algo}, but agents.{algo} has none of {', '.join(KNOBS)}, which are multiplied"


STUDY = Study(
    name="reliability",
    question="How far do repeated runs differ, and how much do they depend on the size of a step?",
    settings={
        "tasks": TASKS,
        "algos": ALGOS,
        "multiples": different(POSITIVE, "multiples, 1 among them", "[0.5, 1.0, 2.0]", rising=True),
        "seeds": SEEDS,
        "iterations": COUNT,
        "final": SHARE,
    },
    trainings=_trainings,
    check=_check,
)
