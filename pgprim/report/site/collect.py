"""The part of each probe's results that the page shows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pgprim.plotting.choose import budgets_of
from pgprim.plotting.combine import combine
from pgprim.plotting.cosines import at_largest_budget
from pgprim.plotting.surfaces import reward_surface
from pgprim.report.site.encode import encode, numbers
from pgprim.store.datasets import load_dataset
from pgprim.store.files import digest

ESTIMATES = "data/estimates"
"""Folder of the results by probe."""

LABELLED = {
    "gradient": (
        *("cosine", "cosine_ci", "truth_cosine", "truth_cosine_ci"),
        *("truth_cosine_corrected", "truth_cosine_corrected_ci", "noise_scale", "noise_scale_ci"),
        *("noise_scale_episodes", "noise_scale_episodes_ci", "scale_is_infinite", "truth_pairs"),
    ),
    "steps": (
        *("cosine", "cosine_ci", "truth_cosine", "truth_cosine_ci"),
        *("truth_cosine_corrected", "truth_pairs"),
    ),
    "baselines": ("cosine", "cosine_ci"),
    "value": ("mre", "median_re", "total_re"),
    "floors": ("floor", "floor_total"),
    "trust_region": (
        *("return_mean", "kl_mean", "kl_max", "kl_of_mean", "kl_of_sigma"),
        *("ratio_max", "ratio_q99", "ratio_q50", "clip_fraction", "delta", "ratio_bound"),
    ),
}
"""Variables of each probe that the page shows; all but `scale_is_infinite` are the probe's own."""

SCALES = ("noise_scale", "noise_scale_ci", "noise_scale_episodes", "noise_scale_episodes_ci")
"""Variables of the gradient probe that the page shows at each checkpoint's largest budget alone."""

LANDSCAPE = "landscape"
PLANES, SLICES = ("few", "many"), ("slice_few", "slice_many")
AGENT = ("task", "algo", "seed", "iteration")


@dataclass(frozen=True)
class Estimates:
    """All results of one probe.

    Attributes:
        parts: Datasets by the path of their file below the probe's folder.
        digests: SHA-256 of each file, by the same path.
    """

    parts: Mapping[str, xr.Dataset]
    digests: Mapping[str, str]

    def together(self) -> xr.Dataset | None:
        """The union of all files; None if there is none."""
        return combine(self.parts) if self.parts else None


def load(folder: Path) -> Estimates:
    """Read all results in a folder, which may be empty or missing.

    Raises:
        UserError: A file is damaged, or is not what pgprim wrote.
    """
    files = sorted(file for file in folder.rglob("*.nc") if not file.name.startswith("."))
    names = [file.relative_to(folder).as_posix() for file in files]
    return Estimates(
        {name: load_dataset(file) for name, file in zip(names, files, strict=True)},
        {name: digest(file) for name, file in zip(names, files, strict=True)},
    )


def labelled(estimates: Mapping[str, Estimates]) -> dict[str, dict]:
    """The probes of `LABELLED` that have results, as JSON by the probe's name.

    Noise scales are those of the curves N / (N + B), at each checkpoint's largest budget. JSON has no infinity, so
    `scale_is_infinite` tells infinite noise scales from those that were not measured.
    """
    combined = {probe: estimates[probe].together() for probe in LABELLED if probe in estimates}
    if (gradient := combined.get("gradient")) is not None:
        combined["gradient"] = _with_one_scale(gradient)
    return {probe: encode(ds, LABELLED[probe]) for probe, ds in combined.items() if ds is not None}


def _with_one_scale(ds: xr.Dataset) -> xr.Dataset:
    """The dataset with the noise scale at each checkpoint's largest budget instead of at every budget."""
    scales = {name: at_largest_budget(ds, name) for name in SCALES if name in ds}
    return ds.assign(scales | {"scale_is_infinite": np.isinf(scales["noise_scale"])})


def _landscapes(estimates: Estimates, kinds: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], xr.Dataset]]:
    """Yield each agent's landscape of each kind: its labels, and the dataset without those dimensions."""
    for name, ds in sorted(estimates.parts.items()):
        stem = Path(name).stem
        if stem not in kinds:
            continue
        for place in np.ndindex(*(ds.sizes[dim] for dim in AGENT)):
            one = ds.isel(dict(zip(AGENT, place, strict=True))).isel(kind=0)
            labels = {dim: one[dim].item() for dim in AGENT}
            yield {**labels, "kind": stem.removeprefix("slice_")}, one


def planes(estimates: Estimates, level: float) -> list[dict[str, Any]]:
    """Surrogate and true reward over every plane.

    Args:
        estimates: Those of the landscape probe.
        level: Of the interval of the share of noise.

    Returns:
        A list with the agent's labels, `alpha`, `beta`, `surrogate`, `pairs` of the step's batch, and `rewards`: one entry
        per number of pairs per point with `reward`, its standard error `se`, complete episodes `num`, `smoothed`, and the
        share of the surface's variance that is noise. Surfaces are lists in the order alpha, beta.
    """
    return [_plane(labels, one, level) for labels, one in _landscapes(estimates, PLANES)]


def _plane(labels: dict[str, Any], one: xr.Dataset, level: float) -> dict[str, Any]:
    rewards = []
    for budget in budgets_of(one.reward):
        surface = reward_surface(one.sel(budget=budget), level)
        rewards.append(
            {
                "pairs": int(budget),
                "reward": numbers(surface.reward),
                "se": numbers(surface.se, 3),
                "num": numbers(surface.num),
                "smoothed": numbers(surface.smoothed),
                "noise_share": numbers(np.array(surface.noise_share), 3),
            }
        )
    return {
        **labels,
        "alpha": numbers(one.alpha.values),
        "beta": numbers(one.beta.values),
        "surrogate": numbers(one.surrogate.transpose("alpha", "beta").values),
        "rewards": rewards,
        **_scalars(one, {"pairs": "batch_pairs"}),
    }


def slices(estimates: Estimates) -> list[dict[str, Any]]:
    """Surrogate and true reward along every step, with the promise of the whole step and what it kept.

    Returns:
        A list with the agent's labels, `pairs` of the step's batch, `along`, `surrogate`, `fresh`, `fresh_ci`, the same
        `fresh_unclipped`, and for the largest number of pairs per point, `budget`, `reward` and `reward_ci`. Intervals are
        lists of low and high ends, point by point. `promised` and `promised_fresh_unclipped` are the whole step's
        surrogate on its own batch, and unclipped on fresh ones; `kept_ci` is the interval of its change of the true reward.
    """
    return [_slice(labels, one.isel(budget=-1)) for labels, one in _landscapes(estimates, SLICES)]


def _slice(labels: dict[str, Any], one: xr.Dataset) -> dict[str, Any]:
    curves = ("surrogate", "fresh", "fresh_unclipped", "reward")
    curve = {name: numbers(one[f"slice_{name}"].values) for name in curves if f"slice_{name}" in one}
    curve |= {
        f"{name}_ci": numbers(one[f"slice_{name}_ci"].transpose("along", "bound").values)
        for name in curves
        if f"slice_{name}_ci" in one
    }
    if "kept_ci" in one:
        curve["kept_ci"] = numbers(one.kept_ci.values)
    whole = ("promised", "promised_fresh_unclipped")
    return {
        **labels,
        "along": numbers(one.along.values),
        "budget": int(one.budget),
        **curve,
        **_scalars(one, {name: name for name in whole} | {"pairs": "slice_batch_pairs"}),
    }


def _scalars(one: xr.Dataset, names: Mapping[str, str]) -> dict[str, Any]:
    return {key: numbers(one[name].values)[0] for key, name in names.items() if name in one}
