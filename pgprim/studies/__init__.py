"""Training with changed settings: one folder per study."""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
