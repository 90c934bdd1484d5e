"""Experience of agents: rollouts, the values they are given, training, re-run iterations, forks."""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
