"""Parts of figures: styles, panels, labels, intervals, and saving."""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
