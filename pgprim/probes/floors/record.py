"""The record of the probe `floors`."""

from collections.abc import Iterator

from pgprim.types.probe import Params, Probe, Work, long_enough
from pgprim.types.schema import COUNT, at_least


def _work(params: Params, num_obs: int, case: str) -> Work:
    block = params["probes"]["checkpoints"]["floors"]
    # The update is repeated, and then the stream with the forked states is run.
    return Work(2 * params["train"]["pairs"] + block["states"] * block["branches"] * block["beyond"], 1)


def _check(params: Params) -> Iterator[str]:
    yield from long_enough(
        "probes.checkpoints.floors.beyond", params["probes"]["checkpoints"]["floors"], params
    )


PROBE = Probe(
    name="floors",
    question="What would a perfect value network show, and how far is the agent's own from it without any noise?",
    reads=("checkpoint",),
    work=_work,
    settings={
        "states": at_least(2, because="errors are taken between states"),
        "branches": at_least(3, because="one continuation is compared to one and to several others"),
        "beyond": COUNT,
    },
    check=_check,
    paced_as="sample",  # rates are measured with untrained agents, which fall immediately
)
