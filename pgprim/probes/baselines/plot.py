"""Effect of a baseline: Fig. 4, bias and variance over λ, and the share of the possible gain."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pgprim.plotting.choose import choose
from pgprim.plotting.intervals import (
    band_handles,
    bar_handles,
    draw_band,
    draw_bars,
    ends_of,
    require_one_level,
)
from pgprim.plotting.labels import algo_label, axis_label, count_label, order_algos, task_label
from pgprim.plotting.panels import legend_above, marked_handle, name_row, panel_grid
from pgprim.plotting.style import GREY, colour, marker, style

FIGURES = ("fig4", "gae")

_BASELINES = {"zero": "none (zero)", "value": "agent's V (value)", "true": "fitted V* (true)"}
_DIFFERENCES = {
    "value-zero": "value less zero",
    "true-zero": "true less zero",
    "true-value": "true less value",
}
_ERRORS = {"lam_bias": "squared bias", "lam_variance": "variance", "lam_error": "their sum"}
_REACHED = ("value", "true")
_EXPLAINED = {"value": "fit_value_explained_variance", "true": "fit_explained_variance"}
_DRAWN = {
    "fig4": ("cosine", "cosine_difference"),
    "gae": (*_ERRORS, "lam_alignment", "signal", "gain_share", "return_variance", *_EXPLAINED.values()),
}
"""What a figure draws."""


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that a figure draws.

    Args:
        figure: One of `FIGURES`.
        ds: All estimates of this probe that are to be drawn.
        params: The parameter file; of it only `plot.budget` is used.

    Raises:
        UserError: If `ds` does not hold this probe's estimates, or intervals of different levels.
    """
    chosen = choose(ds, _DRAWN[figure])
    require_one_level(chosen, ds.encoding.get("source", "the dataset"))
    attrs = {"long_name": "pairs per training iteration", "units": "pairs"}
    return chosen.assign(marked=((), params["plot"]["budget"], attrs)).assign_attrs(figure=figure)


def plot(ds: xr.Dataset) -> list[Figure]:
    """Draw the pages of the figure that `select` made the dataset for."""
    with style():
        if ds.attrs["figure"] == "fig4":
            return [
                plot_budgets(ds, "cosine", "baseline", _BASELINES),
                plot_budgets(ds, "cosine_difference", "difference", _DIFFERENCES),
            ]
        return [plot_errors(ds), plot_alignment(ds), plot_shares(ds)]


def plot_budgets(ds: xr.Dataset, name: str, dim: str, names: Mapping[str, str]) -> Figure:
    """A quantity against pairs per estimate: a row per task and algorithm, a column per checkpoint.

    Args:
        ds: The quantity with the ends of its intervals over `(task, algo, seed, iteration, budget)` and `dim`.
        name: Which quantity.
        dim: What has a colour each.
        names: Its values and their words in the legend.
    """
    rows, iterations = _rows(ds), ds.iteration.values
    figure, axes = panel_grid(len(rows), iterations.size, height=1.2, extra=0.75)
    for row, (task, algo) in enumerate(rows):
        for column, iteration in enumerate(iterations):
            panel = axes[row, column]
            one = ds.sel(task=task, algo=algo, iteration=iteration)
            for which in names:
                draw_bands(panel, one.sel({dim: which}), name, "budget", colour(which, tuple(names)), which)
            panel.axvline(int(ds.marked), color=GREY, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1.5)
            panel.axhline(0, color=GREY, linewidth=0.5, zorder=1.4)
            panel.tick_params(labelbottom=row == len(rows) - 1)
            if row == 0:
                panel.set_title(f"iteration {iteration}")
        name_row(axes[row, -1], f"{task_label(task)}, {algo_label(algo)}")
    first = axes[0, 0]
    first.set(xlim=(0, 1.04 * max(int(ds.budget.max()), int(ds.marked))), ylim=_limits(ds, name))
    for panel in axes.flat:
        panel.set_xlim(first.get_xlim())
        panel.xaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count_label(value)))
    figure.supylabel(axis_label(ds[name]))
    figure.supxlabel(axis_label(ds.budget))
    lines = [
        Line2D([], [], color=colour(which, tuple(names)), marker=marker(which, tuple(names)), label=words)
        for which, words in names.items()
    ]
    bands = band_handles(ds, "within the agent")
    legend_above(figure, [lines, [_seeds_handle(), *bands, marked_handle(int(ds.marked))]])
    return figure


def plot_errors(ds: xr.Dataset) -> Figure:
    """Squared bias, variance and their sum against λ, in variances of λ = 1: a row per task and algorithm."""
    rows, iterations, names = _rows(ds), ds.iteration.values, tuple(_ERRORS)
    figure, axes = panel_grid(len(rows), iterations.size, height=1.2, extra=0.85)
    known = ds[list(names)].to_array().values
    known = known[np.isfinite(known) & (known > 0)]
    limits = (max(known.min(initial=1.0) / 2, 1e-4), 2 * known.max(initial=1.0))
    places = np.arange(ds.lam.size)
    for row, (task, algo) in enumerate(rows):
        for column, iteration in enumerate(iterations):
            panel, one = axes[row, column], ds.sel(task=task, algo=algo, iteration=iteration)
            panel.set_yscale("log", subs=())
            panel.set_ylim(limits)
            for name, shift in zip(names, (-0.15, 0.0, 0.15), strict=True):
                draw_points(panel, one, name, places + shift, colour(name, names), name, limits)
            for seed in ds.seed.values:
                panel.axhline(float(one.signal.sel(seed=seed)), color=GREY, linestyle=":", linewidth=0.7)
            _lambda_axis(panel, ds, row == len(rows) - 1)
            if row == 0:
                panel.set_title(f"iteration {iteration}")
        name_row(axes[row, -1], f"{task_label(task)}, {algo_label(algo)}")
    figure.supylabel("In variances of λ = 1")
    figure.supxlabel("λ")
    lines = [
        Line2D([], [], color=colour(name, names), marker=marker(name, names), label=words)
        for name, words in _ERRORS.items()
    ]
    zero = Line2D([], [], color=GREY, linestyle=":", label="error of no estimate at all")
    legend_above(figure, [lines, [_seeds_handle(), *bar_handles(ds, "within the agent"), zero]])
    return figure


def plot_alignment(ds: xr.Dataset) -> Figure:
    """Cosine of an estimate to the expected one of λ = 1 against λ: a row per task, a colour per algorithm."""
    algos, iterations, tasks = _algos(ds), ds.iteration.values, ds.task.values
    figure, axes = panel_grid(tasks.size, iterations.size, height=1.3, extra=0.75)
    limits = _limits(ds, "lam_alignment")
    for row, task in enumerate(tasks):
        for column, iteration in enumerate(iterations):
            panel, one = axes[row, column], ds.sel(task=task, iteration=iteration)
            for algo, shift in zip(algos, np.linspace(-0.12, 0.12, len(algos)), strict=True):
                places = np.arange(ds.lam.size) + shift
                draw_points(
                    panel, one.sel(algo=algo), "lam_alignment", places, colour(algo, algos), algo, limits
                )
            panel.set_ylim(limits)
            _lambda_axis(panel, ds, row == tasks.size - 1)
            if row == 0:
                panel.set_title(f"iteration {iteration}")
        name_row(axes[row, -1], task_label(task))
    figure.supylabel("Cosine to the expected estimate of λ = 1")
    figure.supxlabel("λ")
    legend_above(figure, [_algo_handles(ds), [_seeds_handle(), *bar_handles(ds, "within the agent")]])
    return figure


def plot_shares(ds: xr.Dataset) -> Figure:
    """How far V and V* come: a row per task, against the checkpoint.

    Left the share of the reduction of variance that the best baseline would bring; in the middle the variance of whole
    estimates at λ = 1, in that without a baseline; right the share of the variance of held-out returns that is explained.
    """
    tasks = ds.task.values
    titles = ("share of the possible gain", "variance left", "explained variance of returns")
    figure, axes = panel_grid(tasks.size, len(titles), height=1.35, extra=0.75, sharey="col")
    for row, task in enumerate(tasks):
        for which in _REACHED:
            one = ds.sel(task=task)
            _draw_growth(axes[row, 0], one.sel(subtracted=which), "gain_share", which)
            _draw_growth(axes[row, 1], one.sel(subtracted=which), "return_variance", which)
            _draw_growth(axes[row, 2], one, _EXPLAINED[which], which)
        axes[row, 0].axhline(1, color=GREY, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1.5)
        for panel, title in zip(axes[row], titles, strict=True):
            panel.set_xticks(ds.iteration.values)
            panel.tick_params(labelbottom=row == tasks.size - 1)
            if row == 0:
                panel.set_title(title)
        name_row(axes[row, -1], task_label(task))
    for column, name in enumerate(("gain_share", "return_variance", "fit_explained_variance")):
        values = ds[name].sel(subtracted=list(_REACHED)) if "subtracted" in ds[name].dims else ds[name]
        both = [values.values.ravel()] + [ds[_EXPLAINED["value"]].values.ravel()] * (column == 2)
        axes[0, column].set_ylim(_around(np.concatenate(both), (0.0, 1.0)))
    figure.supxlabel("Iteration")
    hues = [
        Line2D([], [], color=colour(which, tuple(_BASELINES)), label=_BASELINES[which]) for which in _REACHED
    ]
    symbols = [
        Line2D([], [], color=GREY, linestyle="", marker=marker(algo, _algos(ds)), label=algo_label(algo))
        for algo in _algos(ds)
    ]
    best = Line2D([], [], color=GREY, linestyle=(0, (3, 2)), label="best baseline of the state")
    legend_above(figure, [hues, symbols, [*bar_handles(ds, "within the agent"), best]])
    return figure


def draw_bands(panel: Axes, ds: xr.Dataset, name: str, dim: str, hue: str, label: str) -> None:
    """A line with its band per seed.

    Args:
        panel: The axes.
        ds: The quantity and the ends of its intervals over `(seed, dim)`.
        name: Which quantity.
        dim: What runs along the x axis.
        hue: Colour.
        label: Of the artists, with the seed behind it.
    """
    for seed in ds.seed.values:
        one = ds.sel(seed=seed)
        if np.isfinite(one[name].values).any():
            draw_band(panel, one[dim], one, name, color=hue, alpha=0.12, label=f"{label} {seed}")
            panel.plot(
                one[dim], one[name], color=hue, marker=marker(label, _known(label)), label=f"{label} {seed}"
            )


def draw_points(
    panel: Axes,
    ds: xr.Dataset,
    name: str,
    x: Float[np.ndarray, " lam"],
    hue: str,
    label: str,
    limits: tuple[float, float],
) -> None:
    """A line with a bar at each point per seed; bars that leave the frame end at it.

    Args:
        panel: The axes.
        ds: The quantity and the ends of its intervals over `(seed, lam)`.
        name: Which quantity.
        x: Where the points lie.
        hue: Colour.
        label: Of the artists, with the seed behind it.
        limits: The y axis.
    """
    for seed in ds.seed.values:
        one = ds.sel(seed=seed)
        y, words = one[name].values, f"{label} {seed}"
        draw_bars(panel, x, one, name, limits, color=hue, linewidth=0.6, alpha=0.6, label=words)
        inside = np.where((y >= limits[0]) & (y <= limits[1]), y, np.nan)
        if np.isfinite(inside).any():
            panel.plot(
                x, inside, color=hue, linewidth=0.6, marker=marker(label, _known(label)), markeredgewidth=0,
                label=words,
            )  # fmt: skip


def _draw_growth(panel: Axes, ds: xr.Dataset, name: str, which: str) -> None:
    """Points per algorithm and seed against the checkpoint, moved apart sideways; with intervals where there are any."""
    algos, iterations = _algos(ds), ds.iteration.values.astype(float)
    gap = np.diff(iterations).min() if iterations.size > 1 else 1.0
    lines = [(algo, seed) for algo in algos for seed in ds.seed.values]
    side = 0.04 if which == "true" else -0.04
    for (algo, seed), shift in zip(lines, np.linspace(-0.25, 0.25, len(lines)) + side, strict=True):
        one, x, hue = ds.sel(algo=algo, seed=seed), iterations + shift * gap, colour(which, tuple(_BASELINES))
        draw_bars(panel, x, one, name, color=hue, linewidth=0.8)
        panel.plot(
            x, one[name].values, color=hue, linestyle="", marker=marker(algo, algos), markeredgewidth=0,
            label=f"{which} {algo} {seed}",
        )  # fmt: skip


def _known(label: str) -> tuple[str, ...]:
    """The group of names among which a label has its colour and marker."""
    groups = (tuple(_BASELINES), tuple(_DIFFERENCES), tuple(_ERRORS))
    return next((group for group in groups if label in group), ())


def _rows(ds: xr.Dataset) -> list[tuple[str, str]]:
    """Tasks and algorithms that there is anything of, in order."""
    return [(task, algo) for task in ds.task.values for algo in _algos(ds)]


def _algos(ds: xr.Dataset) -> tuple[str, ...]:
    return tuple(order_algos(np.atleast_1d(ds.algo.values).tolist()))


def _lambda_axis(panel: Axes, ds: xr.Dataset, is_last: bool) -> None:
    """Each λ of the grid at the same distance from the next."""
    panel.set_xlim(-0.5, ds.lam.size - 0.5)
    panel.set_xticks(range(ds.lam.size), [f"{lam:g}" for lam in ds.lam.values], rotation=60)
    panel.tick_params(labelbottom=is_last)


def _limits(ds: xr.Dataset, name: str) -> tuple[float, float]:
    """Limits of the y axis: all values, 0, and intervals that do not reach further than half as far again."""
    low, high = _around(ds[name].values, (0.0,))
    reach = 0.5 * (high - low)
    ends = ends_of(ds, name)
    return (
        max(low - reach, np.nanmin(ends[0], initial=low)),
        min(high + reach, np.nanmax(ends[1], initial=high)),
    )


def _around(values: Float[np.ndarray, "..."], also: Sequence[float]) -> tuple[float, float]:
    known = np.append(values[np.isfinite(values)], also)
    margin = 0.05 * (known.max() - known.min()) or 0.05
    return known.min() - margin, known.max() + margin


def _algo_handles(ds: xr.Dataset) -> list[Line2D]:
    algos = _algos(ds)
    return [
        Line2D([], [], color=colour(algo, algos), marker=marker(algo, algos), label=algo_label(algo))
        for algo in algos
    ]


def _seeds_handle() -> Line2D:
    return Line2D([], [], color=GREY, marker="o", label="one line per seed")
