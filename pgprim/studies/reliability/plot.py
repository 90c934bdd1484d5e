"""Reliability of the algorithms, and its prediction by their primitives (the opening of the talk).

Four pages: repeated runs, runs with other step sizes, trained agents in perturbed tasks, and rank correlations of
primitives with returns.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from pgprim.plotting.choose import choose, with_values
from pgprim.plotting.intervals import band_handles, bar_handles, draw_band, draw_bars, ends_of, interval_words
from pgprim.plotting.labels import algo_label, algos_of, axis_label, count_label, task_label
from pgprim.plotting.legends import algo_handles, grey_handle, legend_above, seed_handle, text_handle
from pgprim.plotting.panels import name_columns, number_last_row, panel_grid
from pgprim.plotting.published import published_handles
from pgprim.plotting.style import ALL, DASHES, GREY, ONE, colour, marker, style
from pgprim.studies.reliability.seeds import PRIMITIVES
from pgprim.studies.reliability.summary import perturbed_tasks, relations, repeated_runs, step_sizes

FIGURES = ("reliability",)
SIDE = 0.13
"""Seeds beside the interquartile mean are spread over so much of a row."""

FEWEST = 5
"""Fewest seeds of a kind whose rank correlation is drawn: of three seeds it can only be ±1 or ±0.5."""

PERTURBED = {
    "mass": "Masses",
    "friction": "Friction",
    "gravity": "Gravity",
    "gain": "Actuator gain",
    "noise": "Sensor noise",
}
"""Quantities and their titles; those of other names go by these."""


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that the figure draws.

    Args:
        figure: One of `FIGURES`.
        ds: Final returns and primitives of seeds, records of the study, and returns in perturbed tasks.
        params: The parameter file: `reliability.final`, `plot.level` and `plot.published`.

    Raises:
        UserError: If `ds` does not hold these.
    """
    level = params["plot"]["level"]
    of_seeds, of_runs = ["seed_return", *PRIMITIVES], ["return_mean", "diverged"]
    of_tasks = ["scaled_retained", "noisy_retained"]
    ds, agent = choose(ds, [*of_seeds, *of_runs, *of_tasks]), ("task", "algo", "seed")
    seeds = with_values(ds[of_seeds], ["seed_return"], agent)
    runs = with_values(ds[of_runs], ["return_mean"], (*agent, "multiple", "iteration"))
    perturbed = with_values(ds[of_tasks], ["scaled_retained"], (*agent, "iteration"))
    last = perturbed.isel(iteration=-1)
    parts = {
        "runs": repeated_runs(seeds, params["plot"]["published"], level),
        "steps": step_sizes(runs, params["reliability"]["final"], level),
        "tried": perturbed_tasks(last, level),
        "relations": relations(seeds, level),
    }
    merged = xr.merge(parts.values(), join="outer", combine_attrs="override")
    attrs = {
        "figure": figure,
        "level": level,
        "iteration": int(last.iteration),
        "iterations": runs.iteration.size,
    }
    return choose(merged, list(merged.data_vars)).assign_attrs(attrs)


def plot(ds: xr.Dataset) -> list[Figure]:
    """Four pages: repeated runs, other step sizes, perturbed tasks, and predictors of a run's return."""
    with style():
        return [plot_runs(ds), plot_steps(ds), plot_tried(ds), plot_relations(ds)]


def plot_runs(ds: xr.Dataset) -> Figure:
    """A column per task, and one for all tasks in multiples of published returns; seeds above performance profiles."""
    tasks, algos = _tasks(ds, "seed_return"), _algos(ds, "seed_return")
    has_scores = bool(np.isfinite(ds.score_iqm).any())
    figure, axes = panel_grid(2, len(tasks) + has_scores, height=1.25, extra=0.75, sharey="row")
    for column, task in zip(axes.T, tasks, strict=False):
        one = ds.sel(task=task)
        for place, algo in enumerate(algos):
            draw_seeds(column[0], place, one.sel(algo=algo), "seed_return", "return_iqm", colour(algo, algos))
            published = float(one.published.sel(algo=algo))
            if np.isfinite(published):
                ends, dots = (place - 0.4, place + 0.4), DASHES["level"]
                column[0].vlines(
                    published, *ends, color=colour(algo, algos), linestyle=dots, label="published"
                )
            draw_profile(column[1], one.profile_at, one.sel(algo=algo), "profile", algo, algos)
        column[0].set_title(task_label(task))
        column[1].set_xlabel(axis_label(ds.profile_at))
    if has_scores:
        for place, algo in enumerate(algos):
            one, hue = ds.sel(algo=algo), colour(algo, algos)
            draw_seeds(axes[0, -1], place, one, "score", "score_iqm", hue)
            draw_profile(axes[1, -1], ds.score_profile_at, one, "score_profile", algo, algos)
        axes[0, -1].set_title("All tasks")
        axes[1, -1].set_xlabel(axis_label(ds.score_profile_at))
    for upper, lower in axes.T:
        upper.sharex(lower)
        upper.tick_params(labelbottom=False)
        lower.xaxis.set_major_locator(MaxNLocator(nbins=4))
        lower.xaxis.set_major_formatter(lambda value, _: count_label(value).replace("-", "−"))
        lower.set_xlim(left=float(min(0, lower.dataLim.x0)))
    axes[0, 0].set_yticks(range(len(algos)), [algo_label(algo) for algo in algos])
    axes[0, 0].set_ylim(len(algos) - 0.45, -0.55)
    axes[1, 0].set_ylim(0, 1)
    axes[1, 0].set_ylabel("Share of seeds above")
    seed = seed_handle()
    mean = grey_handle(
        "interquartile mean and interval", marker="|", markersize=8, linewidth=ALL["linewidth"]
    )
    legend_above(figure, [[seed, mean], [*published_handles(ds), *band_handles(ds, "between agents")]])
    return figure


def draw_seeds(panel: Axes, place: int, ds: xr.Dataset, name: str, mean: str, hue: str) -> None:
    """A row of seeds, and across it their interquartile mean with its interval.

    Args:
        panel: The axes to draw into.
        place: Of the row.
        ds: What `select` gives, of one algorithm.
        name: The seeds' variable.
        mean: Their interquartile mean's.
        hue: Colour.
    """
    values = ds[name].values.ravel()
    values = np.sort(values[np.isfinite(values)])
    spread = place + SIDE * (np.arange(len(values)) % 3 - 1)
    panel.plot(
        values, spread, "o", color=hue, markersize=2, alpha=ONE["alpha"], markeredgewidth=0, label="seeds"
    )
    look = {"color": hue, "label": "mean"}
    panel.plot(float(ds[mean]), place, marker="|", markersize=11, markeredgewidth=ALL["linewidth"], **look)
    draw_reach(panel, place, ds, mean, hue)


def draw_reach(panel: Axes, place: int, ds: xr.Dataset, name: str, hue: str) -> None:
    """The interval of a number as a horizontal bar, if it has both ends.

    Args:
        panel: The axes to draw into.
        place: Of the row.
        ds: The number and its interval.
        name: Its variable.
        hue: Colour.
    """
    low, high = ends_of(ds, name)
    if np.isfinite([low, high]).all():
        panel.hlines(place, low, high, color=hue, linewidth=1.0)


def draw_profile(
    panel: Axes, at: xr.DataArray, ds: xr.Dataset, name: str, algo: str, algos: tuple[str, ...]
) -> None:
    """A performance profile with its band.

    Args:
        panel: The axes to draw into.
        at: Thresholds.
        ds: What `select` gives, of one algorithm and task.
        name: The profile's variable.
        algo: The algorithm.
        algos: All that are drawn.
    """
    hue = colour(algo, algos)
    draw_band(panel, at, ds, name, color=hue, label=f"{algo} band")
    panel.plot(at, ds[name], color=hue, linewidth=ALL["linewidth"], drawstyle="steps-pre", label=algo)


def plot_steps(ds: xr.Dataset) -> Figure:
    """A panel per task: final returns against the step size, a line per algorithm through interquartile means."""
    tasks, algos = _tasks(ds, "tuned_return"), _algos(ds, "tuned_return")
    figure, axes = panel_grid(1, len(tasks), height=1.8, extra=0.75, sharey=False)
    for panel, task in zip(axes[0], tasks, strict=True):
        for place, algo in enumerate(algos):
            draw_steps(
                panel, ds.sel(task=task, algo=algo), algo, algos, 1.05 ** (place - (len(algos) - 1) / 2)
            )
        panel.set_title(task_label(task))
        panel.set_xscale("log")
        panel.axvline(1, color=GREY, linewidth=0.6)
        panel.xaxis.set_major_locator(FixedLocator(ds.multiple.values))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_locator(NullLocator())
    axes[0, 0].set_ylabel(f"Final return after {ds.attrs['iterations']}\niterations [reward]")
    figure.supxlabel("Step size in multiples of the task's own: PPO's learning rate, TRPO's δ")
    seed = seed_handle()
    means = algo_handles(algos, ", interquartile mean", **ALL)
    legend_above(figure, [means, [seed, *bar_handles(ds, "between agents")]])
    return figure


def draw_steps(panel: Axes, ds: xr.Dataset, algo: str, algos: tuple[str, ...], beside: float) -> None:
    """One algorithm on one task.

    Args:
        panel: The axes to draw into.
        ds: What `select` gives, of one algorithm and task.
        algo: The algorithm.
        algos: All that are drawn.
        beside: Factor that moves its points sideways.
    """
    hue, at = colour(algo, algos), ds.multiple.values * beside
    for seed in ds.tuned_return.transpose("seed", "multiple").values:
        panel.plot(
            at, seed, "o", color=hue, markersize=2, alpha=ONE["alpha"], markeredgewidth=0, label="seeds"
        )
    panel.plot(at, ds.tuned_iqm, color=hue, marker=marker(algo, algos), markersize=4, **ALL, label=algo)
    draw_bars(panel, at, ds, "tuned_iqm", color=hue, linewidth=1.0)


def plot_tried(ds: xr.Dataset) -> Figure:
    """A row per task, a column per perturbation: the share of its return that an agent keeps."""
    tasks, algos = _tasks(ds, "scaled_mean"), _algos(ds, "scaled_mean")
    columns = [*ds.quantity.values, "noise"]
    figure, axes = panel_grid(len(tasks), len(columns), height=1.05, extra=0.85, sharey="row")
    for row, task in zip(axes, tasks, strict=True):
        for panel, name in zip(row, columns, strict=True):
            for algo in algos:
                one = ds.sel(task=task, algo=algo)
                kind, dim = ("noisy", "noise") if name == "noise" else ("scaled", "factor")
                draw_tried(panel, one if name == "noise" else one.sel(quantity=name), kind, dim, algo, algos)
            ticks = ds.noise.values if name == "noise" else ds.factor.values
            panel.xaxis.set_major_locator(
                FixedLocator([ticks[0], 1 if ticks[0] else ticks[-1] / 2, ticks[-1]])
            )
            panel.xaxis.set_major_formatter("{x:g}")
            panel.axhline(1, color=GREY, linewidth=0.6)
        row[0].set_ylabel(task_label(task))
        row[0].set_ylim(bottom=0)
    name_columns(axes, [PERTURBED.get(name, name) for name in columns])
    number_last_row(axes)
    figure.supylabel("Return over that in the task as it is")
    figure.supxlabel("Multiple of the task's own; noise in standard deviations of the observation")
    seed = grey_handle("one seed", **ONE)
    legend_above(figure, [algo_handles(algos, " mean", **ALL), [seed, *band_handles(ds, "between agents")]])
    return figure


def draw_tried(panel: Axes, ds: xr.Dataset, kind: str, dim: str, algo: str, algos: tuple[str, ...]) -> None:
    """One algorithm on one task under one perturbation.

    Args:
        panel: The axes to draw into.
        ds: What `select` gives, of one algorithm, task and quantity.
        kind: `scaled` or `noisy`.
        dim: Dimension of the strength.
        algo: The algorithm.
        algos: All that are drawn.
    """
    hue, at = colour(algo, algos), ds[dim].values
    draw_band(panel, at, ds, f"{kind}_mean", color=hue, label=f"{algo} band")
    for seed in ds[f"{kind}_retained"].transpose("seed", dim).values:
        panel.plot(at, seed, color=hue, **ONE, label="seed")
    panel.plot(at, ds[f"{kind}_mean"], color=hue, marker=marker(algo, algos), **ALL, label=algo)


def plot_relations(ds: xr.Dataset) -> Figure:
    """Rank correlations of the primitives with the final return over seeds: for each primitive, pooled within kinds.

    Below it a row per kind of agents with at least `FEWEST` seeds; of fewer, a rank correlation takes only a few values.
    """
    algos, rows = algos_of(ds), []
    for primitive in ds.primitive.values:
        one = ds.sel(primitive=primitive)
        rows.append((f"{str(primitive).capitalize()}; kinds pooled", one, "pooled", GREY, "|"))
        for task in _tasks(ds, "seed_return"):
            for algo in _algos(ds, "seed_return"):
                kind, words = one.sel(task=task, algo=algo), f"{task_label(task)}, {algo_label(algo)}"
                if int(kind.num_seeds) >= FEWEST:
                    rows.append((words, kind, "correlation", colour(algo, algos), marker(algo, algos)))
    figure, axes = panel_grid(1, 1, height=0.17 * len(rows) + 0.3, extra=0.6)
    panel = axes[0, 0]
    panel.axvline(0, color=GREY, linewidth=0.6)
    for place, (_, one, name, hue, shape) in enumerate(rows):
        if name == "pooled" and place:
            panel.axhline(place - 0.5, color=GREY, linewidth=0.4)
        draw_correlation(panel, place, one, name, hue, shape)
    panel.set_xlim(-1.05, 1.05)
    panel.xaxis.set_major_locator(FixedLocator([-1, -0.5, 0, 0.5, 1]))
    panel.set_yticks(range(len(rows)), [words for words, *_ in rows])
    panel.set_ylim(len(rows) - 0.4, -0.6)
    figure.supxlabel("Rank correlation with the final return over seeds")
    bar = grey_handle(interval_words(ds, "between agents"), linewidth=1.0)
    few = text_handle(f"kinds with fewer than {FEWEST} seeds: only pooled")
    legend_above(figure, [[bar], [few]])
    return figure


def draw_correlation(panel: Axes, place: int, ds: xr.Dataset, name: str, hue: str, shape: str) -> None:
    """A point with its interval.

    Args:
        panel: The axes to draw into.
        place: Of the row.
        ds: What `select` gives, of one primitive, and of one kind unless the correlation is pooled.
        name: The correlation's variable.
        hue: Colour.
        shape: Marker.
    """
    value = float(ds[name])
    if np.isfinite(value):
        panel.plot(value, place, color=hue, marker=shape, markersize=8 if shape == "|" else 4, label=name)
        draw_reach(panel, place, ds, name, hue)


def _tasks(ds: xr.Dataset, name: str) -> list[str]:
    """The tasks of which a variable has values."""
    return ds[name].dropna("task", how="all").task.values.tolist()


def _algos(ds: xr.Dataset, name: str) -> tuple[str, ...]:
    """The algorithms of which a variable has values."""
    return algos_of(ds[name].dropna("algo", how="all"))
