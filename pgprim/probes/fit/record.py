"""The record of the probe `fit`."""

from collections.abc import Iterator

from pgprim.types.probe import Params, Probe, Work
from pgprim.types.schema import COUNT, ITERATIONS, LEARNING_RATE, OPEN_FRACTION, TASKS


def _work(params: Params, num_obs: int, case: str) -> Work:
    fit, sample = params["fit"], params["sample"]
    streams = sample["kept"] - sample["trials"]
    return Work(min(streams * sample["pairs"], fit["pairs"]) * fit["epochs"], 1)


def _check(params: Params) -> Iterator[str]:
    beyond, pairs = params["fit"]["beyond"], params["sample"]["pairs"]
    if beyond >= pairs:
        yield (
            f"fit.beyond is {beyond}, but must be less than sample.pairs ({pairs}), because no return would be settled "
            "otherwise"
        )


PROBE = Probe(
    name="fit",
    question="Which function of the state predicts returns best, and which leaves a gradient estimate least variance?",
    reads=("checkpoint", "rollouts"),
    work=_work,
    settings={
        "pairs": COUNT,
        "held_out": OPEN_FRACTION,
        "beyond": COUNT,
        "batch": COUNT,
        "lr": LEARNING_RATE,
        "epochs": COUNT,
        "patience": COUNT,
    },
    grid={"tasks": TASKS, "iterations": ITERATIONS},
    check=_check,
)
