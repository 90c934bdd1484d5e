"""Agreement of gradient estimates with each other and with the truth: Figs. 1, 2, 9, 10 and the noise scale."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pgprim.plotting.cosines import (
    AGREEMENT,
    TO_TRUTH,
    at_largest_budget,
    cosine_limits,
    draw_guide,
    guide_of,
    plot_cosines,
    select_cosines,
    with_guide,
)
from pgprim.plotting.intervals import bar_handles, draw_bars, ends_of
from pgprim.plotting.iterations import smallest_gap
from pgprim.plotting.labels import algo_label, algos_of, axis_label, task_label
from pgprim.plotting.legends import (
    algo_handles,
    checkpoint_handles,
    grey_handle,
    legend_above,
    marked_handle,
    text_handle,
)
from pgprim.plotting.panels import budget_axis, cosine_axis, name_row, number_last_row, panel_grid
from pgprim.plotting.seeds import over_seeds
from pgprim.plotting.style import ABOVE, DASHES, colour, marker, shades, style

_KINDS = {"fig1": AGREEMENT, "fig2": TO_TRUTH, "fig9": AGREEMENT, "fig10": TO_TRUTH}
_SCALES = ("noise_scale", "noise_scale_episodes")
FIGURES = (*_KINDS, "noise_scale")


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that a figure draws.

    Args:
        figure: One of `FIGURES`.
        ds: All estimates of this probe that are to be drawn.
        params: The parameter file; only `plot.budget` is used.

    Raises:
        UserError: If `ds` does not hold this probe's estimates.
    """
    if figure in _KINDS:
        kind = _KINDS[figure]
        trials = ["num_trials"] if kind.corrected else []
        chosen = with_guide(select_cosines(figure, ds, params, [kind], "noise_scale", *trials), kind)
        return _with_truths(chosen) if trials else chosen
    chosen = select_cosines(figure, ds, params, [AGREEMENT], *_SCALES)
    names = [*_SCALES, *(f"{name}_ci" for name in _SCALES if f"{name}_ci" in chosen)]
    curves = {f"curve_{name}": at_largest_budget(chosen, name) for name in names}
    return chosen.assign(curves | {AGREEMENT.guide: guide_of(chosen)})


def _with_truths(ds: xr.Dataset) -> xr.Dataset:
    """The dataset with `truth_pairs` of one trial at each budget: of n trials that share the pool out, those of n − 1."""
    pairs = ds.truth_pairs * (1 - 1 / ds.num_trials)
    attrs = {"long_name": "state-action pairs of the truth of one estimate", "units": "pairs"}
    return ds.drop_vars("num_trials").assign(truth_pairs=pairs.assign_attrs(attrs))


def plot(ds: xr.Dataset) -> Figure:
    """Draw the figure that `select` made the dataset for."""
    with style():
        if ds.attrs["figure"] in _KINDS:
            return plot_cosines(ds, [_KINDS[ds.attrs["figure"]]], height=1.6)
        return plot_noise_scale(ds)


def plot_noise_scale(ds: xr.Dataset) -> Figure:
    """The gradient noise scale B = tr Σ / |G|²: does N / (N + B) describe the cosines, and how does B grow?

    A row per task. First a column per algorithm: the measured mean pairwise cosine of estimates from N pairs, as the
    median over seeds with a bar from the lowest to the highest seed, and the curve N / (N + B) with the median B of
    these seeds, darker for later checkpoints. Then B against the checkpoint, in pairs and in trajectories, with its
    interval within the agent. An arrowhead at the frame ends an interval that goes on above it.
    """
    algos = algos_of(ds)
    tasks = ds.task.values
    figure, axes = panel_grid(tasks.size, len(algos) + 2, height=1.3, extra=1.2, sharey=False)
    for row, task in enumerate(tasks):
        one = ds.sel(task=task)
        for panel, algo in zip(axes[row], algos, strict=False):
            budget_axis(panel, ds.budget.values, int(ds.marked))
            draw_curves(panel, one.sel(algo=algo), colour(algo, algos), marker(algo, algos))
            cosine_axis(panel, cosine_limits(ds, [AGREEMENT]))
        axes[row, 0].set_ylabel(axis_label(ds.cosine, width=22))
        for panel, name in zip(axes[row, -2:], _SCALES, strict=True):
            draw_growth(panel, one, algos, name, _scale_limits(ds, name))
        for panel in axes[row, 1 : len(algos)]:
            panel.tick_params(labelleft=False)
        name_row(axes[row, -1], task_label(task))
    number_last_row(axes)
    for panel, algo in zip(axes[0], algos, strict=False):
        panel.set_title(algo_label(algo))
    for panel, name in zip(axes[0, -2:], _SCALES, strict=True):
        panel.set_title(f"B [{ds[name].attrs['units']}]")
    for panel in axes[-1, : len(algos)]:
        panel.set_xlabel(f"N [{ds.budget.attrs['units']}]")
    for panel in axes[-1, -2:]:
        panel.set_xlabel("Iteration")
    legend_above(figure, _noise_handles(ds, algos))
    return figure


def draw_curves(panel: Axes, ds: xr.Dataset, hue: str, symbol: str) -> None:
    """Measured cosines, median and range over seeds, and N / (N + B), of one algorithm on one task.

    Args:
        panel: The axes, with the limits of the x axis set.
        ds: `cosine` over `(seed, iteration, budget)` and its `guide` over `(iteration, budget)`.
        hue: The algorithm's colour.
        symbol: The algorithm's marker.
    """
    for iteration, shade in zip(ds.iteration.values, shades(hue, ds.iteration.size), strict=True):
        one = ds.sel(iteration=iteration)
        draw_guide(panel, one[AGREEMENT.guide], AGREEMENT, shade, f"{iteration} curve")
        cosines = one.cosine.dropna("budget", how="all")
        if not cosines.budget.size:
            continue
        low, high = cosines.min("seed"), cosines.max("seed")
        panel.vlines(cosines.budget, low, high, color=shade, linewidth=0.9, label=f"{iteration} range")
        panel.plot(
            cosines.budget, over_seeds(cosines), color=shade, linestyle="", marker=symbol, markeredgewidth=0,
            label=f"{iteration} median",
        )  # fmt: skip


def draw_growth(
    panel: Axes, ds: xr.Dataset, algos: tuple[str, ...], name: str, limits: tuple[float, float]
) -> None:
    """The noise scale against the checkpoint on one task, a line per algorithm and seed, moved apart sideways.

    An interval that goes on above the frame ends in an arrowhead there. If estimates show no common signal the noise
    scale is infinite: its bar has no point.

    Args:
        panel: The axes to draw into.
        ds: The noise scales that `select` adds, over `(algo, seed, iteration)`.
        algos: The algorithms in the order of their colours.
        name: Which scale: `noise_scale` or `noise_scale_episodes`.
        limits: The y axis; intervals beyond it end at the frame.
    """
    iterations = ds.iteration.values.astype(float)
    gap = smallest_gap(iterations)
    lines = [(algo, seed) for algo in algos for seed in ds.seed.values]
    shifts = np.linspace(-0.2, 0.2, len(lines)) * gap if len(lines) > 1 else np.zeros(1)
    panel.set_yscale("log", subs=())
    panel.set(ylim=limits, xlim=(iterations[0] - 0.4 * gap, iterations[-1] + 0.4 * gap))
    panel.set_xticks(iterations)
    for (algo, seed), shift in zip(lines, shifts, strict=True):
        one = ds.sel(algo=algo, seed=seed)
        scale, hue = one[f"curve_{name}"].values, colour(algo, algos)
        if np.isnan(scale).all():
            continue
        x, label = iterations + shift, f"{algo} {seed}"
        draw_bars(panel, x, one, f"curve_{name}", limits, color=hue, linewidth=0.8, label=label)
        panel.plot(
            x, np.where(np.isfinite(scale), scale, np.nan), color=hue, linewidth=0.5, marker=marker(algo, algos),
            markeredgewidth=0, label=label,
        )  # fmt: skip
        goes_on = (ends_of(one, f"curve_{name}")[1] > limits[1]) | np.isposinf(scale)
        if goes_on.any():
            panel.plot(
                x, np.where(goes_on, limits[1], np.nan), color=hue, linestyle="", marker=ABOVE, markersize=4,
                markeredgewidth=0, clip_on=False, label=f"{label} above",
            )  # fmt: skip


def _scale_limits(ds: xr.Dataset, name: str) -> tuple[float, float]:
    """Limits of the axis of a noise scale, the same for all tasks.

    Includes all values, and ends of intervals within a factor of ten of them.
    """
    scale = ds[f"curve_{name}"].values
    scale = scale[np.isfinite(scale) & (scale > 0)]
    ends = ends_of(ds, f"curve_{name}")
    if scale.size == 0:
        scale = ends[np.isfinite(ends) & (ends > 0)]
    if scale.size == 0:
        return 1.0, 10.0
    low, high = scale.min(), scale.max()
    ends = ends[(ends > low / 10) & (ends < high * 10)]
    return min([low, *ends]) / 1.5, max([high, *ends]) * 1.5


def _noise_handles(ds: xr.Dataset, algos: tuple[str, ...]) -> list[list[Line2D]]:
    bars = bar_handles(ds, "within the agent")
    if bars:
        words = "interval goes on above the frame"
        bars.append(grey_handle(words, linestyle="", marker=ABOVE, markersize=4, markeredgewidth=0))
    if np.isposinf(ds.curve_noise_scale).any():
        bars.append(text_handle("(no point: B is infinite)"))
    meaning = [
        grey_handle("left: median over seeds, with their range", linewidth=0.9, marker="o"),
        grey_handle("N / (N + B), median B of these seeds", linewidth=0.7, linestyle=DASHES["formula"]),
        *bars,
        marked_handle(int(ds.marked)),
    ]
    return [algo_handles(algos, markeredgewidth=0), checkpoint_handles(ds.iteration.values), meaning]
