"""One folder per probe: its record (`record`), its measurement (`measure`) and its figures (`plot`)."""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
