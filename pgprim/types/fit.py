"""Baselines fitted to the returns of one frozen policy."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

NUMBERS = {
    "fit_pairs": ("pairs that V* was fitted on", "pairs"),
    "fit_held_out_pairs": ("pairs of the held-out streams", "pairs"),
    "fit_left_out": ("share of pairs left out because their return is not settled", "1"),
    "fit_epochs": ("passes over the pairs until V* was best on the held-out streams", "1"),
    "fit_error": ("root mean squared error of V* as to held-out returns", "normalised reward"),
    "fit_value_error": (
        "root mean squared error of the agent's V as to the same returns",
        "normalised reward",
    ),
    "fit_explained_variance": ("share of the held-out returns' variance that V* explains", "1"),
    "fit_value_explained_variance": (
        "share of the held-out returns' variance that the agent's V explains",
        "1",
    ),
}
"""Long name and unit of what is told about a fit."""


@dataclass(frozen=True)
class Fit:
    """Two networks of the value network's shape, fitted to a checkpoint's returns on streams that are not trials.

    Attributes:
        task: Name of the task in the parameter file.
        env_id: Gymnasium's id of its environment.
        algo: Name of the algorithm in the parameter file.
        seed: The agent's seed.
        iteration: Training iteration of the checkpoint.
        true: Parameters of V*, which predicts the return.
        optimal: Parameters of b*, whose fit weights each pair by its squared score; it gives the least variance.
        numbers: Numbers that describe the fit, by name (`NUMBERS`).
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
