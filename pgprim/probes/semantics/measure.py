"""What a probe would have measured with the other semantics of time limits and cuts, from the same rollouts.

The checkpoint's policy, value network and rollouts stay as they are; only what time limits and cuts mean is changed.
"""

import importlib

from pgprim.probes.semantics.compare import compare
from pgprim.store.inputs import Inputs, Measured
from pgprim.types.levels import LEVEL
from pgprim.types.variants import other_semantics


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: the probe that the case names is measured again, and compared with what is stored.

    Args:
        inputs: A checkpoint, its rollouts, and what the other probe found in them.
        params: By the other probe's name, its parameters.
    """
    name, own = inputs.case, inputs.checkpoint.settings["semantics"]
    other = other_semantics(own)
    again = importlib.import_module(f"pgprim.probes.{name}.measure").measure
    stored, measured = inputs.results[name], again(inputs.with_semantics(other), params[name])
    vectors = {own: stored.vectors, other: measured.vectors}
    numbers = {own: stored.numbers, other: measured.numbers}
    return Measured(compare(vectors, numbers, name, LEVEL))
