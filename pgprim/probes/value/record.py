"""The record of the probe `value`."""

from pgprim.types.probe import Params, Probe, Work


def _work(params: Params, num_obs: int, case: str) -> Work:
    train, rerun = params["train"], params["rerun"]
    updates = len(range(0, train["iterations"], rerun["every"]))
    return Work(2 * updates * (train["pairs"] + rerun["beyond"]), updates)


PROBE = Probe(
    name="value",
    question="How far is the value network from the returns, and from what it is fitted to, after an update?",
    reads=("rerun",),
    work=_work,
)
