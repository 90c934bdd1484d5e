"""The findings of a probe with either semantics of time limits and cuts, from the same rollouts.

The checkpoint's policy, value network and rollouts stay as they are; only what time limits and cuts mean is changed. The
probe is measured with both on the kept streams of the pool.
"""

import importlib

from pgprim.probes.semantics.compare import SEMANTICS, compare
from pgprim.store.inputs import Inputs, Measured
from pgprim.types.levels import LEVEL


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: the probe that the case names is measured with both semantics.

    Args:
        inputs: A checkpoint and its rollouts.
        params: By the other probe's name, its parameters.
    """
    name = inputs.case
    module = importlib.import_module(f"pgprim.probes.{name}.measure")
    # A probe that looks beyond the rollouts has a function for these alone.
    again = getattr(module, "measure_kept", module.measure)
    both = {one: again(inputs.with_semantics(one), params[name]) for one in SEMANTICS}
    vectors = {one: measured.vectors for one, measured in both.items()}
    numbers = {one: measured.numbers for one, measured in both.items()}
    return Measured(compare(vectors, numbers, name, LEVEL))
