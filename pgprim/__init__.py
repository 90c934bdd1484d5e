"""Measures what deep policy gradient methods really do (study: arXiv:1811.02553).

As a library pgprim judges estimates of any agent from plain numpy arrays: agreement of gradients and their noise scale,
advantages and returns with time limits done right, value errors, how far an update moved a policy, and the noise of a
measured surface. `pgprim.library` has these functions; they need numpy and scipy only, and are loaded at their first use.

    >>> import pgprim
    >>> pgprim.gae([0.0, 1.0], [0.5, 0.5], [0.5, 0.0], [False, True], [False, False], gamma=1.0, lam=1.0)
    array([0.5, 0.5])

The pipeline that computes the study needs `pip install 'pgprim[study]'`; `python -m pgprim` lists its commands. Importing
`pgprim` changes nothing in a process. The pipeline's packages choose how numpy and torch compute (`pgprim.kernels`).
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
    """A function of `pgprim.library`, which is imported now: what computes must not load numpy before its kernels are chosen."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("pgprim.library"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
