"""The record of the probe `trust_region`."""

from pgprim.types.probe import Params, Probe, Work


def _work(params: Params, num_obs: int, case: str) -> Work:
    train, rerun = params["train"], params["rerun"]
    updates = len(range(0, train["iterations"], rerun["every"]))
    return Work(2 * updates * (train["pairs"] + rerun["beyond"]), updates)


PROBE = Probe(
    name="trust_region",
    question="How far does an update move the policy, on its own pairs and on fresh ones?",
    reads=("rerun",),
    work=_work,
)
