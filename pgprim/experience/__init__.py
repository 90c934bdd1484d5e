"""Experience of agents: rollouts, their values and advantages, training, re-run iterations, forks."""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
