"""Effect of a baseline: Fig. 4, bias and variance over λ, and shares of the possible variance reduction."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter

from pgprim.core.interval_arrays import mean_intervals
from pgprim.plotting.choose import choose_estimates
from pgprim.plotting.intervals import band_handles, bar_handles, draw_band, draw_bars, ends_of
from pgprim.plotting.iterations import smallest_gap
from pgprim.plotting.labels import algo_label, algos_of, axis_label, count_label, task_label
from pgprim.plotting.legends import algo_handles, grey_handle, legend_above, marked_handle, text_handle
from pgprim.plotting.panels import mark, name_columns, name_row, number_last_row, panel_grid
from pgprim.plotting.seeds import over_seeds
from pgprim.plotting.style import (
    ALL,
    BASELINES,
    DASHES,
    ERRORS,
    GREY,
    Look,
    colour,
    look,
    marker,
    shades,
    style,
)
from pgprim.store.labelled import BOUNDS

FIGURES = ("fig4", "gae")

_BASELINES = {"zero": "no baseline", "value": "agent's V", "true": "V*"}
_DIFFERENCES = {"value-zero": "agent's V − none", "true-zero": "V* − none", "true-value": "V* − agent's V"}
_ERRORS = {"lam_bias": "squared bias", "lam_variance": "variance", "lam_error": "their sum"}
_REACHED = ("value", "true")
_EXPLAINED = {"value": "fit_value_explained_variance", "true": "fit_explained_variance"}
_AGENT: Mapping[str, Any] = {"linewidth": 0.6, "alpha": 0.55}
"""A line of one agent where a thick one summarises a few of them."""

_DRAWN = {
    "fig4": ("cosine", "cosine_difference"),
    "gae": (*_ERRORS, "lam_alignment", "signal", "gain_share", "return_variance", *_EXPLAINED.values()),
}
"""What a figure draws."""


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that a figure draws.

    For Fig. 4 it has `cosine_difference_mean`, the mean over agents with its interval between agents, instead of the
    intervals within agents.

    Args:
        figure: One of `FIGURES`.
        ds: All estimates of this probe that are to be drawn.
        params: The parameter file; only `plot.budget` and `plot.level` are used.

    Raises:
        UserError: If `ds` does not hold this probe's estimates, or intervals of different levels.
    """
    chosen = choose_estimates(figure, ds, params, _DRAWN[figure])
    return _between_agents(chosen, params["plot"]["level"]) if figure == "fig4" else chosen


def _between_agents(ds: xr.Dataset, level: float) -> xr.Dataset:
    ds = ds.drop_vars([f"{name}_ci" for name in _DRAWN["fig4"]] + ["bound"], errors="ignore")
    single = ds.cosine_difference.transpose(..., "seed")
    mean, dims = mean_intervals(single.values, level), single.dims[:-1]
    words, attrs = f"mean over agents of the {single.attrs['long_name']}", {"units": single.attrs["units"]}
    ends = attrs | {"long_name": f"{100 * level:g} % interval between agents of the {words}"}
    return ds.assign(
        bound=list(BOUNDS),
        cosine_difference_mean=(dims, mean.value, attrs | {"long_name": words}),
        cosine_difference_mean_ci=((*dims, "bound"), np.stack([mean.low, mean.high], axis=-1), ends),
    ).assign_attrs(level=level)


def plot(ds: xr.Dataset) -> list[Figure]:
    """Draw the pages of the figure that `select` made the dataset for."""
    with style():
        if ds.attrs["figure"] == "fig4":
            return [plot_agreement(ds), plot_differences(ds)]
        return [plot_errors(ds), plot_alignment(ds), plot_shares(ds)]


def plot_agreement(ds: xr.Dataset) -> Figure:
    """Mean pairwise cosine against pairs per estimate: a row per task and algorithm, a column per checkpoint.

    For each baseline a thin line per agent and a thick one for their median.

    Args:
        ds: `cosine` over `(task, algo, seed, iteration, baseline, budget)`.
    """
    rows = [
        (f"{task_label(task)}, {algo_label(algo)}", {"task": task, "algo": algo}) for task, algo in _rows(ds)
    ]
    figure, panels = _budget_grid(ds, rows, "cosine", height=1.25)
    for panel, one in panels:
        for which in _BASELINES:
            draw_medians(panel, one.cosine.sel(baseline=which), BASELINES[which], which)
    medians = [
        Line2D(
            [], [], color=BASELINES[which].colour, marker=BASELINES[which].marker, markersize=4, markeredgewidth=0,
            label=f"{words}, {_lambda_words(ds, which)}", **ALL,
        )
        for which, words in _BASELINES.items()
    ]  # fmt: skip
    shapes = [
        grey_handle("median over agents", **ALL),
        grey_handle("one agent", **_AGENT),
        marked_handle(int(ds.marked)),
    ]
    legend_above(figure, [medians, shapes])
    return figure


def _lambda_words(ds: xr.Dataset, which: str) -> str:
    """λ of a baseline's advantages; returns without a baseline are λ = 1."""
    if which == "zero":
        return "λ = 1"
    return f"λ = {ds.attrs['lam']:g}" if "lam" in ds.attrs else "λ of the agent"


def plot_differences(ds: xr.Dataset) -> Figure:
    """Paired differences of mean pairwise cosines against pairs per estimate, a row per task and difference.

    A column per checkpoint. In the colour of the algorithm a thin line per agent, and a thick one for their mean with
    its interval between agents.

    Args:
        ds: `cosine_difference` over `(task, algo, seed, iteration, difference, budget)`, and
            `cosine_difference_mean` with its intervals.
    """
    rows = [
        (f"{task_label(task)},\n{words}", {"task": task, "difference": which})
        for task in ds.task.values
        for which, words in _DIFFERENCES.items()
    ]
    figure, panels = _budget_grid(ds, rows, "cosine_difference", height=1.1)
    for panel, one in panels:
        for algo in algos_of(ds):
            draw_mean(panel, one.sel(algo=algo), "cosine_difference", look(algo, algos_of(ds)), algo)
    means = algo_handles(algos_of(ds), ", mean over agents", markeredgewidth=0, markersize=3.5, **ALL)
    shapes = [
        grey_handle("one agent", **_AGENT),
        *band_handles(ds, "between agents"),
        marked_handle(int(ds.marked)),
    ]
    legend_above(figure, [means, shapes])
    return figure


def _budget_grid(
    ds: xr.Dataset, rows: Sequence[tuple[str, dict[str, str]]], name: str, height: float
) -> tuple[Figure, list[tuple[Axes, xr.Dataset]]]:
    """Panels over pairs per estimate, a row for each of `rows` and a column per checkpoint, each with what it shows.

    Args:
        ds: What `select` gives.
        rows: Name of each row, and what it selects.
        name: The quantity.
        height: Height of one row [inch].
    """
    iterations = ds.iteration.values
    figure, axes = panel_grid(len(rows), iterations.size, height=height, extra=0.85)
    panels = []
    for line, (words, where) in zip(axes, rows, strict=True):
        for panel, iteration in zip(line, iterations, strict=True):
            panel.axhline(0, color=GREY, linewidth=0.5, zorder=1.4)
            panel.set_xlim(0, 1.04 * max(int(ds.budget.max()), int(ds.marked)))
            panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
            panel.xaxis.set_major_formatter(lambda value, _: count_label(value))
            mark(panel, int(ds.marked))
            panels.append((panel, ds.sel(where | {"iteration": iteration})))
        name_row(line[-1], words)
    name_columns(axes, [f"iteration {iteration}" for iteration in iterations])
    axes[0, 0].set_ylim(_limits(ds, *(each for each in (name, f"{name}_mean") if each in ds)))
    number_last_row(axes)
    figure.supylabel(axis_label(ds[name]))
    figure.supxlabel(axis_label(ds.budget))
    return figure, panels


def draw_medians(panel: Axes, lines: xr.DataArray, look: Look, label: str) -> None:
    """A thin line per seed and a thick one for their median.

    Args:
        panel: The axes.
        lines: Over `(seed, budget)`.
        look: Colour and marker.
        label: Of the artists, with the seed behind it or `median`.
    """
    for seed in lines.seed.values:
        one = lines.sel(seed=seed)
        if np.isfinite(one.values).any():
            panel.plot(one.budget, one, color=look.colour, label=f"{label} {seed}", **_AGENT)
    median = over_seeds(lines)
    if np.isfinite(median.values).any():
        panel.plot(
            median.budget, median, color=look.colour, marker=look.marker, markersize=3.5, markeredgewidth=0,
            label=f"{label} median", **ALL,
        )  # fmt: skip


def plot_errors(ds: xr.Dataset) -> Figure:
    """Squared bias, variance and their sum against λ, in variances of λ = 1: a row per task and algorithm.

    The y axis is a signed root, since unbiased estimates of a squared bias can be 0 or below. The dotted line is the
    median over agents of |G|², the squared error of the estimate 0.
    """
    rows, iterations, names = _rows(ds), ds.iteration.values, tuple(_ERRORS)
    figure, axes = panel_grid(len(rows), iterations.size, height=1.25, extra=0.85, sharey="row")
    places = np.arange(ds.lam.size)
    for row, (task, algo) in enumerate(rows):
        low, high = _limits(ds.sel(task=task, algo=algo), *names, "signal")
        limits = (1.1 * low, 1.1 * high)  # the root compresses values near the ends
        for column, iteration in enumerate(iterations):
            panel, one = axes[row, column], ds.sel(task=task, algo=algo, iteration=iteration)
            hues = shades(colour(algo, algos_of(ds)), len(names))
            for name, hue, shift in zip(names, hues, (-0.15, 0.0, 0.15), strict=True):
                draw_points(
                    panel, one, name, places + shift, Look(hue, ERRORS[name]), name, limits, markersize=4
                )
            signal = float(over_seeds(one.signal))
            panel.axhline(signal, color=GREY, linestyle=DASHES["level"], linewidth=0.9, label="signal")
            _lambda_axis(panel, ds, row == len(rows) - 1)
            if row == 0:
                panel.set_title(f"iteration {iteration}")
        root_axis(axes[row, 0], limits)
        name_row(axes[row, -1], f"{task_label(task)}, {algo_label(algo)}")
    figure.supylabel("Relative to the variance at λ = 1 (square-root scale)")
    figure.supxlabel("λ")
    lines = [
        Line2D([], [], color=hue, marker=ERRORS[name], markersize=4, label=words)
        for (name, words), hue in zip(_ERRORS.items(), shades(GREY, len(names)), strict=True)
    ]
    zero = grey_handle("|G|²: error of the estimate 0, median over agents", linestyle=DASHES["level"])
    legend_above(figure, [lines, [_seeds_handle(), *bar_handles(ds, "within the agent"), zero]])
    return figure


def root_axis(panel: Axes, limits: tuple[float, float]) -> None:
    """A y axis with a signed square-root scale.

    Args:
        panel: The axes.
        limits: What the axis spans.
    """
    panel.set_yscale("function", functions=(_signed_root, _signed_square))
    panel.set_ylim(limits)
    low, high = _signed_root(np.array(limits))
    sizes = [digit * 10.0**power for power in range(9, -7, -1) for digit in (5, 2, 1)]
    ticks = [0.0]
    for tick in (sign * size for size in sizes for sign in (1, -1)):
        gaps = np.abs(_signed_root(np.array(ticks)) - _signed_root(np.array([tick])))
        if limits[0] <= tick <= limits[1] and gaps.min() > 0.15 * (high - low):
            ticks.append(tick)
    panel.yaxis.set_major_locator(FixedLocator(sorted(ticks)))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_locator(FixedLocator([]))


def _signed_root(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return np.sign(values) * np.sqrt(np.abs(values))


def _signed_square(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return np.sign(values) * np.square(values)


def plot_alignment(ds: xr.Dataset) -> Figure:
    """Cosine of an estimate to the expected one of λ = 1 against λ: a row per task, a colour per algorithm.

    The legend counts the agents and checkpoints without a line, because their unbiased estimate of |G|² is not above
    0, and the points at a cosine of ±1, which are estimates beyond it.
    """
    algos, iterations, tasks = algos_of(ds), ds.iteration.values, ds.task.values
    figure, axes = panel_grid(tasks.size, iterations.size, height=1.3, extra=0.75)
    limits = _limits(ds, "lam_alignment")
    for row, task in enumerate(tasks):
        for column, iteration in enumerate(iterations):
            panel, one = axes[row, column], ds.sel(task=task, iteration=iteration)
            for algo, shift in zip(algos, np.linspace(-0.12, 0.12, len(algos)), strict=True):
                places = np.arange(ds.lam.size) + shift
                draw_points(
                    panel, one.sel(algo=algo), "lam_alignment", places, look(algo, algos), algo, limits
                )
            panel.set_ylim(limits)
            _lambda_axis(panel, ds, row == tasks.size - 1)
            if row == 0:
                panel.set_title(f"iteration {iteration}")
        name_row(axes[row, -1], task_label(task))
    figure.supylabel("Cosine to the expected estimate of λ = 1")
    figure.supxlabel("λ")
    legend_above(
        figure,
        [
            algo_handles(algos_of(ds)),
            [_seeds_handle(), *bar_handles(ds, "within the agent")],
            _unseen_handles(ds),
        ],
    )
    return figure


def _unseen_handles(ds: xr.Dataset) -> list[Line2D]:
    """The legend's entries for alignments that are not drawn, and for those that are drawn where they do not lie."""
    measured = np.isfinite(ds.signal)
    absent = int((measured & ds.lam_alignment.isnull().all("lam")).sum())
    clipped = int((abs(ds.lam_alignment) >= 1).sum())
    handles = []
    if absent:
        handles.append(text_handle(f"no line: estimate of |G|² ≤ 0 ({absent} of {int(measured.sum())})"))
    if clipped:
        points = int(ds.lam_alignment.notnull().sum())
        handles.append(text_handle(f"at ±1: estimates beyond ±1 ({clipped} of {points})"))
    return handles


def plot_shares(ds: xr.Dataset) -> Figure:
    """Variance reduction of V and V* against the checkpoint, a row per task.

    First: share of the variance reduction of the best baseline. Second: variance of whole estimates at λ = 1, relative
    to that without a baseline. Third: the ratio of V's to V*'s; the noise scale follows the variance that is left, not
    the share that is gone. Last: explained share of the variance of held-out returns.
    """
    tasks = ds.task.values
    titles = ("share of the possible\nvariance reduction", "variance left,\nno baseline = 1", "variance left,\nV's / V*'s",
              "explained variance\nof returns")  # fmt: skip
    figure, axes = panel_grid(tasks.size, len(titles), height=1.35, extra=0.9, sharey="col")
    ratio = ds.assign(
        ratio=ds.return_variance.sel(subtracted="value") / ds.return_variance.sel(subtracted="true")
    )
    for row, task in enumerate(tasks):
        one = ratio.sel(task=task)
        for which in _REACHED:
            _draw_growth(axes[row, 0], one.sel(subtracted=which), "gain_share", which)
            _draw_growth(axes[row, 1], one.sel(subtracted=which), "return_variance", which)
            _draw_growth(axes[row, 3], one, _EXPLAINED[which], which)
        _draw_growth(axes[row, 2], one, "ratio", None)
        for panel in axes[row, [0, 2]]:
            panel.axhline(1, color=GREY, linewidth=0.8, linestyle=DASHES["level"], zorder=1.5)
        for panel in axes[row]:
            panel.set_xticks(ds.iteration.values)
        name_row(axes[row, -1], task_label(task))
    name_columns(axes, titles)
    number_last_row(axes)
    shares = ds.gain_share.sel(subtracted=list(_REACHED)).values
    axes[0, 0].set_ylim(_around(shares, (0.0, 1.0)))
    axes[0, 3].set_ylim(_around(np.stack([ds[name].values for name in _EXPLAINED.values()]), (0.0, 1.0)))
    for column, values in ((1, ds.return_variance.sel(subtracted=list(_REACHED))), (2, ratio.ratio)):
        _factor_axis(axes[0, column], values.values)
    figure.supxlabel("Iteration")
    hues = [
        Line2D([], [], color=BASELINES[which].colour, linewidth=1.4, label=_BASELINES[which])
        for which in _REACHED
    ]
    symbols = algo_handles(algos_of(ds), color=GREY, linestyle="", markeredgewidth=0)
    equal = grey_handle("best baseline of the state; V's = V*'s", linestyle=DASHES["level"])
    legend_above(figure, [hues, symbols, [*bar_handles(ds, "within the agent"), equal]])
    return figure


def _factor_axis(panel: Axes, values: Float[np.ndarray, "..."]) -> None:
    """A logarithmic y axis over 1 and some positive values, with plain numbers."""
    values = np.append(values[np.isfinite(values) & (values > 0)], 1.0)
    low, high = values.min() / 1.5, values.max() * 1.5
    panel.set_yscale("log")
    panel.set_ylim(low, high)
    panel.yaxis.set_major_locator(LogLocator(subs=(1,) if high / low > 100 else (1, 2, 5)))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter(NullFormatter())


def draw_mean(panel: Axes, ds: xr.Dataset, name: str, look: Look, label: str) -> None:
    """A thin line per seed, and a thick one for their mean with its band, against the pairs per estimate.

    Args:
        panel: The axes.
        ds: The quantity over `(seed, budget)`, and its mean with the ends of its interval over `budget`.
        name: Which quantity; its mean has `_mean` behind the name.
        look: Colour and marker.
        label: Of the artists, with the seed or `mean` behind it.
    """
    for seed in ds.seed.values:
        one = ds[name].sel(seed=seed)
        if np.isfinite(one.values).any():
            panel.plot(one.budget, one, color=look.colour, label=f"{label} {seed}", **_AGENT)
    if np.isfinite(ds[f"{name}_mean"].values).any():
        draw_band(panel, ds.budget, ds, f"{name}_mean", color=look.colour, label=f"{label} mean")
        panel.plot(
            ds.budget, ds[f"{name}_mean"], color=look.colour, marker=look.marker, markersize=3.5, markeredgewidth=0,
            label=f"{label} mean", **ALL,
        )  # fmt: skip


def draw_points(
    panel: Axes,
    ds: xr.Dataset,
    name: str,
    x: Float[np.ndarray, " lam"],
    look: Look,
    label: str,
    limits: tuple[float, float],
    **more: Any,
) -> None:
    """A line per seed with a bar at each point; all points are inside the frame, and bars are cut at it.

    Args:
        panel: The axes.
        ds: The quantity and the ends of its intervals over `(seed, lam)`.
        name: Which quantity.
        x: Where the points lie.
        look: Colour and marker.
        label: Of the artists, with the seed behind it.
        limits: The y axis.
        more: What else the line looks like.
    """
    style = {"color": look.colour, "marker": look.marker, "linewidth": 0.6, "markeredgewidth": 0.8} | more
    for seed in ds.seed.values:
        one, words = ds.sel(seed=seed), f"{label} {seed}"
        draw_bars(panel, x, one, name, limits, color=look.colour, linewidth=0.6, alpha=0.6, label=words)
        if np.isfinite(one[name].values).any():
            panel.plot(x, one[name], label=words, **style)


def _draw_growth(panel: Axes, ds: xr.Dataset, name: str, which: str | None) -> None:
    """Points per algorithm and seed against the checkpoint, moved apart sideways, with their intervals.

    Args:
        panel: The axes.
        ds: The quantity over `(algo, seed, iteration)`.
        name: Which quantity.
        which: The baseline that it belongs to; None if it compares baselines.
    """
    algos, iterations = algos_of(ds), ds.iteration.values.astype(float)
    gap = smallest_gap(iterations)
    lines = [(algo, seed) for algo in algos for seed in ds.seed.values]
    side = {"true": 0.04, "value": -0.04}.get(which, 0.0)
    hue = GREY if which is None else BASELINES[which].colour
    for (algo, seed), shift in zip(lines, np.linspace(-0.25, 0.25, len(lines)) + side, strict=True):
        one, x = ds.sel(algo=algo, seed=seed), iterations + shift * gap
        draw_bars(panel, x, one, name, color=hue, linewidth=0.8)
        panel.plot(
            x, one[name].values, color=hue, linestyle="", marker=marker(algo, algos), markeredgewidth=0,
            label=f"{which or name} {algo} {seed}",
        )  # fmt: skip


def _rows(ds: xr.Dataset) -> list[tuple[str, str]]:
    """Every task with every algorithm, in order."""
    return [(task, algo) for task in ds.task.values for algo in algos_of(ds)]


def _lambda_axis(panel: Axes, ds: xr.Dataset, is_last: bool) -> None:
    """An x axis with equally spaced λ of the grid."""
    panel.set_xlim(-0.5, ds.lam.size - 0.5)
    panel.set_xticks(range(ds.lam.size), [f"{lam:g}" for lam in ds.lam.values], rotation=60)
    panel.tick_params(labelbottom=is_last)


def _limits(ds: xr.Dataset, *names: str) -> tuple[float, float]:
    """Limits of the y axis: all values, 0, and intervals up to 1.5 times this range."""
    low, high = _around(np.concatenate([ds[name].values.ravel() for name in names]), (0.0,))
    reach = 0.5 * (high - low)
    lows, highs = np.concatenate([ends_of(ds, name).reshape(2, -1) for name in names], axis=1)
    return max(low - reach, np.nanmin(lows, initial=low)), min(high + reach, np.nanmax(highs, initial=high))


def _around(values: Float[np.ndarray, "..."], also: Sequence[float]) -> tuple[float, float]:
    shown = np.append(values[np.isfinite(values)], also)
    margin = 0.05 * (shown.max() - shown.min()) or 0.05
    return shown.min() - margin, shown.max() + margin


def _seeds_handle() -> Line2D:
    return grey_handle("one line per agent", linewidth=0.6)
