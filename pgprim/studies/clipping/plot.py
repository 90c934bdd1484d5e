"""Returns and control costs with actions clipped and as drawn, over versions of a task and learning rates.

The first page shows training, the second the results of the runs: return, episode length, and the control cost of an
episode by both definitions. A row of either is a task. All intervals are between agents.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pgprim.core.final_return import final_return
from pgprim.core.interval_arrays import mean_intervals
from pgprim.plotting.choose import choose
from pgprim.plotting.intervals import ends_of, interval_words
from pgprim.plotting.iterations import average_iterations, iterations_label
from pgprim.plotting.labels import axis_label, task_label
from pgprim.plotting.legends import grey_handle, legend_above, seed_handle
from pgprim.plotting.panels import panel_grid
from pgprim.plotting.published import PUBLISHED_RETURN, published_handles, published_returns
from pgprim.plotting.seeds import over_seeds
from pgprim.plotting.style import ALL, DASHES, GREY, ONE, colour, shades, style
from pgprim.store.labelled import label
from pgprim.types.variants import LABELS, STUDIED, clipping_runs

FIGURES = ("clipping",)
POINTS = 50
"""Points along a curve of returns at most: neighbouring iterations are averaged."""

RECORDS = ("return_mean", "length_mean", "control_cost", "control_cost_clipped")

QUANTITIES = {
    "final_return": ("final return", "reward"),
    "final_length": ("episode length", "pairs"),
    "final_cost_clipped": ("cost of clipped actions per episode", "reward"),
    "final_cost": ("cost of actions as drawn per episode", "reward"),
}
"""Columns of the second page. Environments charge the cost of clipped actions where they are clipped, else that as drawn."""

DESCRIBED = {
    **{f"{name}{end}": words for name, words in QUANTITIES.items() for end in ("", "_mean")},
    "return_curve": ("mean episode return", "reward"),
    "published": PUBLISHED_RETURN,
    "rate": ("learning rate of the policy in multiples of the task's own", "1"),
    "is_clipped": ("whether actions are clipped before the environment sees them", "1"),
    **LABELS,
}
"""Long name and unit."""


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that the figure draws: curves of every run, the results of each seed, and the means over seeds.

    Lengths and costs are taken over the same iterations as final returns, so far as costs were measured there; a run
    that diverged counts with its first iteration in all of them (`core.final_return`). The cost of an episode is the
    mean cost of a step times the mean length.

    Args:
        figure: One of `FIGURES`.
        ds: All records of the study.
        params: The parameter file: `clipping`, `plot.level` and `plot.published`.

    Raises:
        UserError: If `ds` does not hold records of the study.
    """
    block, level, published = params["clipping"], params["plot"]["level"], params["plot"]["published"]
    dims = ("task", "version", "run")
    ds = choose(ds, [*RECORDS, "diverged"]).squeeze("algo", drop=True).sel(run=list(clipping_runs(block)))
    ds = ds.transpose(*dims, "seed", "iteration")
    returns, lengths, drawn, clipped = (ds[name].values for name in RECORDS)
    diverged = ds.diverged.values == 1
    finals = {
        name: final_return(values, diverged, block["final"])
        for name, values in zip(
            QUANTITIES, (returns, lengths, clipped * lengths, drawn * lengths), strict=True
        )
    }
    curves, width = average_iterations(ds.return_mean, POINTS)
    rates, are_clipped = zip(*clipping_runs(block).values(), strict=True)
    numbers = {
        **{name: ((*dims, "seed"), values) for name, values in finals.items()},
        **{f"{name}_mean": (dims, mean_intervals(values, level)) for name, values in finals.items()},
        "return_curve": ((*dims, "seed", "iteration"), curves.values),
        "published": (("task",), published_returns(published, ds.task.values, [STUDIED])[:, 0]),
        "rate": (("run",), np.array(rates, float)),
        "is_clipped": (("run",), np.array(are_clipped, np.int8)),
    }
    coords = {name: ds[name].values for name in (*dims, "seed")} | {"iteration": curves.iteration.values}
    attrs = {"figure": figure, "level": level, "iterations_per_point": width}
    return label(numbers, DESCRIBED, coords, attrs)


def plot(ds: xr.Dataset) -> list[Figure]:
    """Two pages: training, a column per version; and the results of the runs, a column per quantity."""
    with style():
        return [plot_curves(ds), plot_finals(ds)]


def plot_curves(ds: xr.Dataset) -> Figure:
    """Return against iteration, a row per task and a column per version."""
    figure, axes = panel_grid(ds.task.size, ds.version.size, height=1.8, extra=0.75, sharey="row")
    for row, task in zip(axes, ds.task.values, strict=True):
        for panel, version in zip(row, ds.version.values, strict=True):
            draw_curves(panel, ds.sel(task=task, version=version))
            panel.set_title(f"{task_label(task)}-{version}")
        row[0].set_ylabel(axis_label(ds.return_curve, width=22))
    figure.supxlabel(iterations_label(ds))
    runs = [
        Line2D([], [], **look, **ALL, label=f"{words}, median")
        for look, words in zip(run_looks(ds), run_labels(ds), strict=True)
    ]
    legend_above(figure, [runs, [grey_handle("one seed", **ONE), *published_handles(ds)]])
    return figure


def draw_curves(panel: Axes, ds: xr.Dataset) -> None:
    """Training in one version of a task: thin lines are seeds, thick ones their median.

    Args:
        panel: The axes to draw into.
        ds: What `select` gives, of one task and version.
    """
    for run, look in zip(ds.run.values, run_looks(ds), strict=True):
        curves = ds.return_curve.sel(run=run).transpose("seed", "iteration")
        for seed in curves.values:
            panel.plot(curves.iteration, seed, **look, **ONE, label=f"{run} seed")
        panel.plot(curves.iteration, over_seeds(curves), **look, **ALL, label=str(run))
    if np.isfinite(ds.published):
        panel.axhline(float(ds.published), color=GREY, linestyle=DASHES["level"], label="published")
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def plot_finals(ds: xr.Dataset) -> Figure:
    """Results of the runs, a row per task and a column per quantity; both costs of a task share an axis."""
    rows = ds.version.size * ds.run.size
    figure, axes = panel_grid(ds.task.size, len(QUANTITIES), height=0.17 * rows + 0.75, extra=0.35)
    for row, task in zip(axes, ds.task.values, strict=True):
        for panel, name in zip(row, QUANTITIES, strict=True):
            draw_finals(panel, ds.sel(task=task), name)
            panel.set_title(axis_label(ds[name], width=18))
        row[2].sharex(row[3])
        row[0].set_ylabel(task_label(task))
    names = [f"-{version}, {words}" for version in ds.version.values for words in run_labels(ds)]
    axes[0, 0].set_yticks(range(rows), names)
    axes[0, 0].set_ylim(rows - 0.4, -0.6)
    seed = seed_handle()
    mean = grey_handle(
        f"mean and {interval_words(ds, 'between agents')}", marker="|", markersize=8, linewidth=1.0
    )
    legend_above(figure, [[seed], [mean], published_handles(ds)])
    return figure


def draw_finals(panel: Axes, ds: xr.Dataset, name: str) -> None:
    """One quantity of one task, a row per version and run.

    Args:
        panel: The axes to draw into.
        ds: What `select` gives, of one task.
        name: One of `QUANTITIES`.
    """
    looks = run_looks(ds)
    for place, (version, run) in enumerate(np.ndindex(ds.version.size, ds.run.size)):
        one, hue = ds.isel(version=version, run=run), looks[run]["color"]
        panel.plot(
            one[name], np.full(one.seed.size, place), "o", color=hue, markersize=2, alpha=0.55,
            markeredgewidth=0, label="seeds",
        )  # fmt: skip
        panel.plot(float(one[f"{name}_mean"]), place, color=hue, marker="|", markersize=8, label="mean")
        panel.hlines(place, *ends_of(one, f"{name}_mean"), color=hue, linewidth=1.0)
    for edge in range(1, ds.version.size):
        panel.axhline(edge * ds.run.size - 0.5, color=GREY, linewidth=0.4)
    if name == "final_return" and np.isfinite(ds.published):
        panel.axvline(float(ds.published), color=GREY, linestyle=DASHES["level"], label="published")
    panel.set_xlim(left=min(0.0, panel.dataLim.x0))
    panel.xaxis.set_major_locator(MaxNLocator(nbins=3))


def run_looks(ds: xr.Dataset) -> list[dict[str, Any]]:
    """PPO's colour, darker for a larger learning rate; dashed without clipping of actions, as in the released code."""
    rates = sorted(set(ds.rate.values))
    hues = dict(zip(rates, shades(colour(STUDIED), len(rates)), strict=True))
    return [
        {"color": hues[rate], "linestyle": DASHES["measured" if is_clipped else "paper"]}
        for rate, is_clipped in zip(ds.rate.values, ds.is_clipped.values, strict=True)
    ]


def run_labels(ds: xr.Dataset) -> list[str]:
    """`clipped, rate × 0.6`."""
    return [
        f"{'clipped' if is_clipped else 'not clipped'}, rate × {rate:g}"
        for rate, is_clipped in zip(ds.rate.values, ds.is_clipped.values, strict=True)
    ]
