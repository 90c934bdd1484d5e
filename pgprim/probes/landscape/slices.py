"""Slices along the step: true reward beside the surrogate, and what a step promises and what it keeps.

A surrogate on the batch that the step was made from is a promise; on batches that it was not made from, and in the true
reward, it shows what is kept.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pgprim.plotting.choose import choose
from pgprim.plotting.intervals import draw_band, draw_bars
from pgprim.plotting.labels import algo_label, count_label, order_algos, task_label
from pgprim.plotting.panels import band_handle, legend_above, panel_grid
from pgprim.plotting.style import DASHES, GREY, SURFACES, colour, marker, style
from pgprim.probes.landscape.alignment import budgets_of

FIGURES = ("slices", "promise")

OF_SLICES = ("slice_surrogate", "slice_fresh", "slice_reward", "slice_step_norm", "slice_batch_pairs")
OF_PROMISES = ("promised", "promised_fresh", "kept", "slice_batch_pairs")

LOOKS = {
    "slice_surrogate": (SURFACES["surrogate"].colour, DASHES["train"], "surrogate on the step's own batch"),
    "slice_fresh": (SURFACES["surrogate"].colour, DASHES["measured"], "surrogate on fresh batches, mean"),
    "slice_reward": (SURFACES["reward"].colour, DASHES["measured"], "true reward"),
}
"""Colour, line style and name of each curve."""


def select(figure: str, ds: xr.Dataset | None) -> xr.Dataset:
    """The dataset that a figure draws: slices of the first seed, or the promises of all, at the largest budget.

    Args:
        figure: One of `FIGURES`.
        ds: All landscapes that are to be drawn.

    Raises:
        UserError: If `ds` does not hold slices.
    """
    chosen = choose(ds, OF_SLICES if figure == "slices" else OF_PROMISES)
    reward = chosen.slice_reward if figure == "slices" else chosen.kept
    budget = budgets_of(reward)[-1]
    # Budgets and points of planes, kinds and iterations without slices.
    chosen = chosen.sel(budget=budget).dropna("iteration", how="all", subset=[reward.name])
    chosen = chosen.dropna("kind", how="all", subset=[reward.name])
    if figure == "slices":
        chosen = chosen.isel(seed=0)
    return chosen.assign_attrs(figure=figure, budget=budget)


def plot(ds: xr.Dataset) -> list[Figure]:
    """A page per kind of step and task with slices, or per kind of step with promises."""
    with style():
        if ds.attrs["figure"] == "promise":
            return [plot_promises(ds.sel(kind=kind)) for kind in ds.kind.values]
        places = [(kind, task) for kind in ds.kind.values for task in ds.task.values]
        pages = [ds.sel(kind=kind, task=task) for kind, task in places]
        return [plot_slices(page) for page in pages if np.isfinite(page.slice_reward).any()]


def plot_slices(ds: xr.Dataset) -> Figure:
    """One task and kind of step: a column per checkpoint, for each algorithm surrogates above the true reward.

    Args:
        ds: What `select` gives, for one task and kind.
    """
    algos = [
        algo for algo in order_algos(ds.algo.values) if np.isfinite(ds.slice_reward.sel(algo=algo)).any()
    ]
    figure, axes = panel_grid(2 * len(algos), ds.iteration.size, height=1.0, extra=0.95, sharey=False)
    for k, algo in enumerate(algos):
        above, below = axes[2 * k], axes[2 * k + 1]
        for column, iteration in enumerate(ds.iteration.values):
            one = ds.sel(algo=algo, iteration=iteration)
            draw_slice(above[column], one, ("slice_surrogate", "slice_fresh"))
            above[column].axhline(0, color=GREY, linewidth=0.5)
            draw_slice(below[column], one, ("slice_reward",))
        above[0].set_ylabel(f"{algo_label(algo)}\nsurrogate")
        below[0].set_ylabel("reward")
    for panel, iteration in zip(axes[0], ds.iteration.values, strict=True):
        panel.set_title(f"iteration {iteration}")
    for panel in axes[:-1].flat:
        panel.tick_params(labelbottom=False)
    size, budget = (count_label(float(number)) for number in (ds.slice_batch_pairs.max(), ds.attrs["budget"]))
    figure.supxlabel(
        f"multiples of the step by {size} pairs, {task_label(str(ds.task.values))}; {budget} pairs per point"
    )
    handles = [
        Line2D([], [], color=hue, linestyle=dashes, label=name) for hue, dashes, name in LOOKS.values()
    ]
    end = Line2D([], [], color=GREY, linewidth=0.6, linestyle=(0, (1, 1.5)), label="the step itself")
    legend_above(figure, [handles[:2], [handles[2], end], [band_handle("95 % interval")]])
    return figure


def draw_slice(panel: Axes, ds: xr.Dataset, names: tuple[str, ...]) -> None:
    """Some curves of one slice with their intervals.

    Args:
        panel: The axes to draw into.
        ds: One agent's slice.
        names: Of `LOOKS`.
    """
    panel.axvline(1, color=GREY, linewidth=0.6, linestyle=(0, (1, 1.5)))
    for name in names:
        hue, dashes, _ = LOOKS[name]
        one = ds[[name, *(ends for ends in [f"{name}_ci"] if ends in ds)]].dropna("along", subset=[name])
        draw_band(panel, one.along, one, name, color=hue, label=f"{name} band")
        panel.plot(one.along, one[name], color=hue, linestyle=dashes, label=name)
    panel.yaxis.set_major_locator(MaxNLocator(nbins=4))
    panel.xaxis.set_major_locator(MaxNLocator(nbins=4))
    panel.tick_params(labelsize=6)


def plot_promises(ds: xr.Dataset) -> Figure:
    """One kind of step: surrogate of the whole step on its own and on fresh batches, and the change of the true reward.

    A column per task; each seed has a point at each checkpoint.

    Args:
        ds: What `select` gives, for one kind.
    """
    figure, axes = panel_grid(2, ds.task.size, height=1.6, extra=0.95, sharey=False)
    algos = tuple(order_algos(ds.algo.values.tolist()))
    iterations = ds.iteration.values.astype(float)
    gap = np.diff(iterations).min() if iterations.size > 1 else 1.0
    num = len(algos) * ds.seed.size
    shifts = 0.6 * gap * (np.arange(num) - (num - 1) / 2) / num
    for column, task in enumerate(ds.task.values):
        for panel in axes[:, column]:
            panel.axhline(0, color=GREY, linewidth=0.5)
            panel.set_xticks(iterations)
            panel.set_xlim(iterations[0] - gap / 2, iterations[-1] + gap / 2)
        for k, (algo, seed) in enumerate((algo, seed) for algo in algos for seed in ds.seed.values):
            one = ds.sel(task=task, algo=algo, seed=seed)
            look = {
                "color": colour(algo, algos),
                "linestyle": "",
                "marker": marker(algo, algos),
                "markersize": 3,
            }
            for panel, name, face in (
                (axes[0, column], "promised", "white"),
                (axes[0, column], "promised_fresh", look["color"]),
                (axes[1, column], "kept", look["color"]),
            ):
                x = iterations + shifts[k]
                draw_bars(panel, x, one, name, color=look["color"], linewidth=0.6)
                panel.plot(x, one[name], markerfacecolor=face, label=f"{name} {algo} {seed}", **look)
        axes[0, column].set_title(task_label(task))
        axes[0, column].tick_params(labelbottom=False)
    axes[0, 0].set_ylabel("surrogate\nof the whole step")
    axes[1, 0].set_ylabel("change of\nthe true reward")
    size = count_label(float(ds.slice_batch_pairs.max()))
    figure.supxlabel(f"Training iteration; steps by {size} pairs")
    kinds = [
        Line2D(
            [],
            [],
            color=colour(algo, algos),
            marker=marker(algo, algos),
            linestyle="",
            label=algo_label(algo),
        )
        for algo in algos
    ]
    faces = [
        Line2D([], [], color=GREY, marker="o", linestyle="", markerfacecolor=face, label=name)
        for face, name in (("white", "on the step's own batch"), (GREY, "on fresh batches, or true"))
    ]
    bar = Line2D(
        [], [], color=GREY, marker="|", markersize=6, linestyle="", label="95 % interval, within the agent"
    )
    legend_above(figure, [kinds, faces, [bar]])
    return figure
