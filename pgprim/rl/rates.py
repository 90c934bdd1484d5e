"""Learning rates over the course of training."""

from pgprim.types.agent import Settings


def learning_rate(base: float, iteration: int, settings: Settings) -> float:
    """The rate at an iteration: constant, or falling linearly to 0 at `anneal_over`."""
    return base * max(0.0, 1 - iteration / settings.anneal_over) if settings.anneal else base
