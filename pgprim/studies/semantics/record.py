"""The record of the study `semantics`. The probe of the same name has the rest of its block."""

from collections.abc import Iterator

from pgprim.types.schema import COUNT, SEEDS, SHARE
from pgprim.types.study import Params, Study, Training, processes


def _trainings(params: Params) -> Iterator[Training]:
    block = params["semantics"]
    agents = len(block["train_seeds"])
    records = block["train_iterations"] * agents
    for task in block["tasks"]:
        for algo in block["algos"]:
            yield Training(
                task, algo, processes(params, agents), agents, records * params["train"]["pairs"], records
            )


STUDY = Study(
    name="semantics",
    question="What does the meaning of time limits and cuts change: in training, in gradient estimates, in value errors?",
    settings={"train_seeds": SEEDS, "train_iterations": COUNT, "final": SHARE},
    trainings=_trainings,
)
