"""Artifacts on disk: checkpoints, training records, rollout buffers, gradients and estimates."""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
