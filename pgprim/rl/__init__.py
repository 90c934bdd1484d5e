"""An agent's parts: environments, policies, normalisers, and the updates of the algorithms."""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
