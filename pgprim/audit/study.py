"""The study's numbers beside those of an audit, looked up in the study's published datasets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pgprim.plotting.choose import trained
from pgprim.plotting.labels import algo_label, order_algos, order_tasks, task_label


@dataclass(frozen=True)
class Place:
    """Place of a number in the study.

    Attributes:
        figures: Names of the figures' datasets, each `FIGURE.nc`.
        variable: Its name there.
        at: Coordinates.
        kind: Which update steps, where there are several.
    """

    figures: tuple[str, ...]
    variable: str
    at: Mapping[str, str] = field(default_factory=dict)


PLACES = {
    "cosine": Place(("noise_scale", "fig1", "fig9"), "cosine"),
    "noise_scale": Place(("noise_scale",), "noise_scale"),
    "truth_cosine": Place(("fig2", "fig10"), "truth_cosine_corrected"),
    "steps_cosine": Place(("steps",), "cosine"),
    "value_error": Place(("fig3", "fig12"), "mre", {"target": "returns", "definition": "exact"}),
    "floor": Place(("fig3", "fig12"), "floor", {"target": "returns", "definition": "exact"}),
    "better_critic": Place(("fig4",), "cosine_difference", {"difference": "true-value"}),
    "promised": Place(("promise",), "promised", {"kind": "few"}),
    "promised_fresh": Place(("promise",), "promised_fresh_unclipped", {"kind": "few"}),
    "kept": Place(("promise",), "kept", {"kind": "few"}),
    "kl_mean": Place(("trust_region",), "kl_mean", {"part": "held_out"}),
    "ratio_max": Place(("trust_region",), "ratio_max", {"part": "held_out"}),
    "clip_fraction": Place(("trust_region",), "clip_fraction", {"part": "held_out"}),
}
"""By the finding's key."""

ABSENT = "The study's datasets do not have this number here, so there is nothing to compare it with."


def look_up(folder: Path, key: str, task: str, pairs: int, shown: Any = None) -> dict[str, Any] | None:
    """Numbers of the study's trained agents for a finding.

    Args:
        folder: Of the study's datasets, FIGURE.nc.
        key: The finding's key.
        task: The agent's task. For a task that is not in the study, all of the study's tasks are used.
        pairs: Of the agent's batch; the study's nearest budget is taken.
        shown: How a number is written.

    Returns:
        A sentence, and `source`, `task`, `checkpoints`, `median`, `lowest` and `highest` where there are datasets;
        None if the study has no such number.
    """
    if key not in PLACES:
        return None
    place = PLACES[key]
    parts = []
    for figure in place.figures:
        if (path := folder / f"{figure}.nc").exists():
            ds = xr.load_dataset(path, engine="scipy")
            if place.variable in ds and set(place.at) <= set(ds[place.variable].dims):
                parts.append((path, ds[place.variable]))
    tasks = {str(one) for _, array in parts for one in array.task.values}
    if not tasks:
        return {"sentence": ABSENT}
    chosen = [task] if task in tasks else order_tasks(tasks)
    values, sources, algos, budgets, seen = [], [], set(), set(), set()
    for path, array in parts:
        own = [one for one in chosen if one in array.task.values and one not in seen]
        measured = _at_place(array.sel(task=array.task.isin(own)), place, pairs)
        finite = measured.values[np.isfinite(measured.values)]
        if finite.size:
            seen |= set(own)
            values.append(finite)
            sources.append(path.name)
            algos |= {str(algo) for algo in measured.algo.values}
            budgets |= {int(measured.budget)} if "budget" in array.dims else set()
    if not values:
        return {"sentence": ABSENT}
    numbers = np.concatenate(values)
    median, lowest, highest = (float(f(numbers)) for f in (np.median, np.min, np.max))
    write = shown or (lambda value: f"{value:.3g}")
    whose = ", ".join(map(task_label, order_tasks(seen)))
    where = f" at {budgets.pop():,} pairs".replace(",", " ") if len(budgets) == 1 else ""
    names = ", ".join(map(algo_label, order_algos(algos)))
    lacks = "" if task in seen else f" (it has no {task_label(task)})"
    count = f"{numbers.size} checkpoint{'s' if numbers.size > 1 else ''}"
    return {
        "sentence": f"The study's trained {whose} agents{lacks}, {names}, {count}: median {write(median)}, "
        f"from {write(lowest)} to {write(highest)}{where}.",
        "source": sources,
        "task": sorted(seen),
        "checkpoints": int(numbers.size),
        "median": median,
        "lowest": lowest,
        "highest": highest,
    }


def _at_place(array: xr.DataArray, place: Place, pairs: int) -> xr.DataArray:
    """A variable's values of trained agents at a place, at the measured budget nearest to the agent's batch."""
    array = trained(array)
    for name, label in place.at.items():
        array = array.sel({name: array[name] == label})
    if "budget" in array.dims and array.size:
        measured = array.dropna("budget", how="all")
        array = measured.sel(budget=min(measured.budget.values, key=lambda n: abs(np.log(n / pairs))))
    return array
