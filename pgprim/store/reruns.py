"""Re-run iterations of training as Zarr stores: each update's pairs, evaluated by the networks before and after it."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pgprim.store.datasets import open_store
from pgprim.store.labelled import label

PARTS = ("train", "held_out")
"""The pairs that the update was made from, and held-out pairs of the same policy; both rolled on past the cut."""

VARIABLES = {
    "rew": ("reward", "reward"),
    "rew_norm": ("reward as the value network sees it", "normalised reward"),
    "terminated": ("episode ended by the task", "1"),
    "truncated": ("episode ended by a time limit", "1"),
    "val_old": ("V(s) before the update", "normalised reward"),
    "next_val_old": ("V of the true next observation before the update", "normalised reward"),
    "val_new": ("V(s) after the update", "normalised reward"),
    "log_prob_old": ("log π(a|s) before the update", "nat"),
    "log_prob_new": ("log π(a|s) after the update", "nat"),
    "kl_of_mean": ("part of KL(π_old ‖ π_new) at s that moving the mean makes", "nat"),
    "kl_of_sigma": ("part of KL(π_old ‖ π_new) that the change of σ makes", "nat"),
}
"""Long name and unit; `kl_of_sigma` is per agent and iteration, all others per pair."""


def reruns_dataset(
    arrays: dict[str, np.ndarray],
    task: str,
    algo: str,
    seeds: list[int],
    iterations: list[int],
    attrs: dict[str, Any],
) -> xr.Dataset:
    """Label the re-run iterations of one lock-step group.

    Args:
        arrays: The variables, `[seed, iteration, part, t]` and `kl_of_sigma` `[seed, iteration]`.
        task: Name of the task.
        algo: Name of the algorithm.
        seeds: The agents' seeds.
        iterations: Re-run training iterations.
        attrs: Provenance; `num_pairs` is T, the pairs of an update, and `time_limit` the pairs after which an episode
            is truncated.
    """
    dims = ("seed", "iteration", "part", "t")
    variables = {name: (dims[: array.ndim], array) for name, array in arrays.items()}
    coords = {"seed": seeds, "iteration": iterations, "part": PARTS, "t": np.arange(arrays["rew"].shape[3])}
    return label(variables, VARIABLES, coords, {"task": task, "algo": algo} | attrs)


def open_reruns(path: str | Path) -> xr.Dataset:
    """Open a store lazily.

    Raises:
        UserError: It is missing, or does not hold re-run iterations.
    """
    return open_store(path, "store of re-run iterations", VARIABLES)
