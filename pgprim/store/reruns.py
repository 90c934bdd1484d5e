"""Replayed iterations of training as Zarr stores: what the networks before and after each update say of its pairs."""

from pathlib import Path

import numpy as np
import xarray as xr

from pgprim.store.datasets import save_gradients
from pgprim.types.errors import UserError

PARTS = ("train", "held_out")
"""The pairs that the update was made from, and fresh pairs of the same policy; both rolled on past the cut."""

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
    "kl_mean_part": ("part of KL(π_old ‖ π_new) at s that moving the mean makes", "nat"),
    "kl_sigma": ("part of KL(π_old ‖ π_new) that the change of σ makes", "nat"),
}
"""Long name and unit; `kl_sigma` is per agent and iteration, all others per pair."""


def replays_dataset(
    arrays: dict[str, np.ndarray],
    task: str,
    algo: str,
    seeds: list[int],
    iterations: list[int],
    attrs: dict[str, object],
) -> xr.Dataset:
    """Label the replays of one lock-step group.

    Args:
        arrays: The variables, `[seed, iteration, part, t]` and `kl_sigma` `[seed, iteration]`.
        task: Name of the task.
        algo: Name of the algorithm.
        seeds: The agents' seeds.
        iterations: Training iterations that were done again.
        attrs: Where the replays come from; `num_pairs` is T, of which an update is made, and `time_limit` the pairs
            after which an episode is ended.
    """
    dims = ("seed", "iteration", "part", "t")
    variables = {
        name: (dims[: array.ndim], array, {"long_name": VARIABLES[name][0], "units": VARIABLES[name][1]})
        for name, array in arrays.items()
    }
    coords = {
        "seed": ("seed", np.array(seeds), {"long_name": "seed of the agent"}),
        "iteration": ("iteration", np.array(iterations), {"long_name": "training iteration"}),
        "part": ("part", np.array(PARTS, object), {"long_name": "the update's own pairs, or fresh ones"}),
        "t": (
            "t",
            np.arange(arrays["rew"].shape[3]),
            {"long_name": "time in the stream", "units": "environment steps"},
        ),
    }
    return xr.Dataset(variables, coords, {"task": task, "algo": algo} | attrs)


def save_replays(path: str | Path, ds: xr.Dataset) -> None:
    """Write the store; it appears whole or not at all."""
    save_gradients(path, ds)


def open_replays(path: str | Path) -> xr.Dataset:
    """Open a store lazily.

    Raises:
        UserError: It is missing or is none.
    """
    try:
        ds = xr.open_zarr(path, chunks=None)
        if missing := [name for name in VARIABLES if name not in ds]:
            raise KeyError(missing[0])
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: not a store of replays ({error}); delete it and make it with `snakemake {path}`"
        ) from None
    return ds
