"""One folder per probe: what is measured (`estimate`) and how it is drawn (`plot`)."""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
