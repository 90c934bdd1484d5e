"""Training curves, tables and claims."""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
