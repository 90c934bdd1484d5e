"""The record of the probe `semantics`."""

from collections.abc import Iterator

from pgprim.types.probe import Params, Probe, Work, probe, probe_names
from pgprim.types.schema import ALGOS, NAME, SEEDS, TASKS, different


def _work(params: Params, num_obs: int, case: str) -> Work:
    # With both semantics, from the stored streams alone; a comparison is smaller than one vector.
    sample = params["sample"] | {"streams": params["sample"]["kept"], "deep": {"seeds": [], "pairs": 0}}
    return Work(2 * probe(case).work(params | {"sample": sample}, num_obs, "").pairs, 1)


def _check(params: Params) -> Iterator[str]:
    for index, name in enumerate(params["semantics"]["probes"]):
        if name not in probe_names() or not (probe(name).vectors and probe(name).family == "rollouts"):
            yield (
                f'semantics.probes[{index}] is "{name}", but must be a probe of probes.rollouts that keeps vectors of its '
                "trials, such as gradient"
            )
        elif probe(name).block(params) is None:
            yield f'semantics.probes[{index}] is "{name}", but probes.rollouts.{name} is missing'


PROBE = Probe(
    name="semantics",
    question="What would a probe have measured with the other meaning of time limits and cuts?",
    reads=("checkpoint", "rollouts", "case"),
    work=_work,
    grid={
        "tasks": TASKS,
        "algos": ALGOS,
        "seeds": SEEDS,
        "probes": different(NAME, "probes of probes.rollouts", "[gradient]"),
    },
    check=_check,
    cases="probes",
)
