"""The pipeline's commands: each parses, loads, calls and saves."""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
