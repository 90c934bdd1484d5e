"""Baselines fitted to the returns of one frozen policy."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Fit:
    """Two networks of the value network's shape, fitted to returns on the truth streams of one checkpoint.

    Attributes:
        task: Name of the task in the parameter file.
        env_id: Gymnasium's id of its environment.
        algo: Name of the algorithm in the parameter file.
        seed: The agent's seed.
        iteration: Training iteration of the checkpoint.
        true: Parameters of V*, which predicts the return.
        optimal: Parameters of b*, which weighs each pair by its squared score, and so leaves the least variance.
        numbers: What the fit came to, by name: `probes.baselines.fit.NUMBERS`.
        made_from: Parameters and digests, as text.
    """

    task: str
    env_id: str
    algo: str
    seed: int
    iteration: int
    true: Float[Tensor, "1 param"]
    optimal: Float[Tensor, "1 param"]
    numbers: dict[str, float]
    made_from: dict[str, str]
