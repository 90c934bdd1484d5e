"""Training records: what was measured in every iteration, as a small Zarr store."""

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float


def records_dataset(
    columns: dict[str, Float[np.ndarray, "iteration agent"]],
    labels: dict[str, tuple[str, str]],
    task: str,
    algo: str,
    seeds: list[int],
    attrs: dict[str, str],
) -> xr.Dataset:
    """Records with the coordinates `task, algo, seed, iteration`.

    Args:
        columns: One array per quantity.
        labels: Long name and unit per quantity.
        task: Name of the task.
        algo: Name of the algorithm.
        seeds: The agents' seeds.
        attrs: Where the records come from.
    """
    dims = ("task", "algo", "seed", "iteration")
    variables = {
        name: (dims, column.T[None, None], {"long_name": labels[name][0], "units": labels[name][1]})
        for name, column in columns.items()
    }
    num_iterations = len(next(iter(columns.values())))
    coords = {
        "task": ("task", np.array([task], object), {"long_name": "task"}),
        "algo": ("algo", np.array([algo], object), {"long_name": "algorithm"}),
        "seed": ("seed", np.array(seeds), {"long_name": "seed of the agent"}),
        "iteration": ("iteration", np.arange(num_iterations), {"long_name": "training iteration"}),
    }
    return xr.Dataset(variables, coords, attrs)


def save_records(path: str | Path, records: xr.Dataset) -> None:
    """Write the store; it appears whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with warnings.catch_warnings():
        # Consolidated metadata, which xarray looks for, is in the zarr package but not yet in the text of Zarr v3.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        records.to_zarr(partial, mode="w", zarr_format=3, consolidated=True)
    if path.exists():
        shutil.rmtree(path)
    os.replace(partial, path)


def load_records(path: str | Path) -> xr.Dataset:
    """Read one training run's records."""
    return xr.open_zarr(path).load()
