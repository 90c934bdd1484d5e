"""The pool of a checkpoint's streams, as the section `sample` of the parameter file has it.

A pool has `streams` streams. They are `pairs` pairs long, or `deep.pairs` for the agents of `deep.seeds`. Budgets for
which they give fewer than `estimates` estimates are skipped. The first `kept` streams are stored as rollouts, `pairs`
pairs of each, for the probes that read pairs repeatedly. Of these, the first `trials` are the trials, and the others
make the large sample.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Sample = Mapping[str, Any]


def stream_pairs(sample: Sample, seed: int) -> int:
    """L, the pairs of a stream in the pool of an agent."""
    return sample["deep"]["pairs"] if seed in sample["deep"]["seeds"] else sample["pairs"]


def num_estimates(num_streams: int, length: int, budget: int) -> int:
    """Number of independent estimates of N pairs in a pool: S for N ≤ L, S // J for N = J·L, else 0."""
    if budget <= length:
        return num_streams
    return 0 if budget % length else num_streams // (budget // length)


def budgets_of(sample: Sample, length: int, budgets: Sequence[int]) -> list[int]:
    """The budgets for which streams of a given length give at least `estimates` estimates."""
    return [n for n in budgets if num_estimates(sample["streams"], length, n) >= sample["estimates"]]
