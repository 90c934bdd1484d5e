"""The results of a probe with either semantics of time limits and cuts, from the same rollouts.

The checkpoint's policy, value network and rollouts are the same; only the handling of time limits and cuts changes.
The probe is measured with both on the stored streams of the pool.
"""

import importlib

from pgprim.probes.semantics.compare import SEMANTICS, compare
from pgprim.store.inputs import Inputs, Measured
from pgprim.types.levels import LEVEL


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: measure the probe that the case names with both semantics.

    Args:
        inputs: A checkpoint and its rollouts.
        params: The other probe's parameters, by its name.
    """
    name = inputs.case
    module = importlib.import_module(f"pgprim.probes.{name}.measure")
    # A probe that also simulates streams has a function for the rollouts alone.
    again = getattr(module, "measure_kept", module.measure)
    both = {one: again(inputs.with_semantics(one), params[name]) for one in SEMANTICS}
    vectors = {one: measured.vectors for one, measured in both.items()}
    numbers = {one: measured.numbers for one, measured in both.items()}
    return Measured(compare(vectors, numbers, name, LEVEL))
