"""How figures look: styles, panels, labels, intervals, and saving them."""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
