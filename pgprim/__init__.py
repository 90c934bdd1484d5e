"""Measurements of the parts of deep policy gradient methods on trained agents (study: arXiv:1811.02553).

The library computes statistics of any agent from plain numpy arrays: agreement of gradients and their noise scale,
advantages and returns with correct time limits, value errors, divergences and ratios of an update, and the noise of a
measured surface. The functions are in `pgprim.library`; they need only numpy and scipy, and are loaded at their first
use.

    >>> import pgprim
    >>> pgprim.gae([0.0, 1.0], [0.5, 0.5], [0.5, 0.0], [False, True], [False, False], gamma=1.0, lam=1.0)
    array([0.5, 0.5])

The pipeline of the study needs `pip install -e bridge -e '.[study]'` in a clone; `python -m pgprim` lists its commands.
Importing `pgprim` alone changes nothing in a process; the pipeline's packages select the kernels of numpy and torch
(`pgprim.kernels`).
"""

import importlib
from typing import Any

__all__ = [
    "ErrorSummary",
    "GradientAgreement",
    "Interval",
    "TrustRegion",
    "complete_returns",
    "expected_cosine",
    "gae",
    "gaussian_kl",
    "gradient_agreement",
    "next_values",
    "noise_share",
    "noise_variance",
    "pairs_for_cosine",
    "returns_to_go",
    "trust_region",
    "value_errors",
]


def __getattr__(name: str) -> Any:
    """A function of `pgprim.library`, imported lazily: kernels must be selected before numpy is loaded."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("pgprim.library"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
