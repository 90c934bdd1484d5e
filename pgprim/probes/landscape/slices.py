"""Slices along the step: true reward beside the surrogate, and the step's promise.

The surrogate on the step's own batch is its promise; the surrogate on fresh batches and the true reward show what it
keeps. PPO clips its surrogate, which can only lower it: where the fresh batches hold no gain, the clipped surrogate is
negative. So the unclipped one is drawn beside it, and promises are compared with that.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pgprim.plotting.choose import budgets_of, choose, with_values
from pgprim.plotting.intervals import draw_band, draw_bars
from pgprim.plotting.iterations import smallest_gap
from pgprim.plotting.labels import algo_label, algos_of, count_label, task_label
from pgprim.plotting.legends import algo_handles, band_handle, grey_handle, legend_above, text_handle
from pgprim.plotting.panels import name_row, number_last_row, panel_grid
from pgprim.plotting.style import DASHES, FACES, GREY, SURFACES, colour, marker
from pgprim.types.errors import UserError

FIGURES = ("slices", "promise")

OF_SURROGATES = ("slice_surrogate", "slice_fresh", "slice_fresh_unclipped")
OF_SLICES = (*OF_SURROGATES, "slice_reward", "slice_step_norm", "slice_batch_pairs")
OF_PROMISES = ("promised", "promised_fresh_unclipped", "kept", "slice_batch_pairs")

LOOKS = {
    "slice_surrogate": (SURFACES["surrogate"].colour, DASHES["train"], "surrogate on the step's own batch"),
    "slice_fresh": (SURFACES["surrogate"].colour, DASHES["measured"], "surrogate on fresh batches, mean"),
    "slice_fresh_unclipped": (GREY, DASHES["measured"], "the same, unclipped"),
    "slice_reward": (SURFACES["reward"].colour, DASHES["measured"], "true reward"),
}
"""Colour, line style and name of each curve."""


def select(figure: str, ds: xr.Dataset | None) -> xr.Dataset:
    """The dataset that a figure draws: slices of the first seed, or the promises of all, at the largest budget.

    Args:
        figure: One of `FIGURES`.
        ds: All landscapes that are to be drawn.

    Raises:
        UserError: If `ds` does not hold slices, or no episode ended at any of their points.
    """
    chosen = choose(ds, OF_SLICES if figure == "slices" else OF_PROMISES)
    if figure == "slices":
        chosen = chosen.isel(seed=0)
    reward = chosen.slice_reward if figure == "slices" else chosen.kept
    if not (budgets := budgets_of(reward)):
        source = ds.encoding.get("source", "the dataset")
        raise UserError(
            f"{source}: no episode ended at any point of a slice, and the true reward is the mean return of complete "
            "episodes; raise landscape.slice_few.budgets and landscape.slice_many.budgets, or give the task a time limit"
        )
    budget = budgets[-1]
    # Drop budgets and points of planes, and kinds and iterations without slices.
    chosen = with_values(chosen.sel(budget=budget), [reward.name], ("iteration", "kind"))
    return chosen.assign_attrs(figure=figure, budget=budget)


def plot(ds: xr.Dataset) -> list[Figure]:
    """A page per task and algorithm with slices, or per kind of step with promises."""
    if ds.attrs["figure"] == "promise":
        return [plot_promises(ds.sel(kind=kind)) for kind in ds.kind.values]
    places = [(task, algo) for task in ds.task.values for algo in algos_of(ds)]
    pages = [ds.sel(task=task, algo=algo) for task, algo in places]
    return [plot_slices(page) for page in pages if np.isfinite(page.slice_reward).any()]


def plot_slices(ds: xr.Dataset) -> Figure:
    """One agent, a row per checkpoint: surrogates and true reward along the steps from few and from many pairs.

    The rewards of a row share an axis, so that the two steps compare; surrogates have their own.

    Args:
        ds: What `select` gives, for one task and algorithm.
    """
    ds = with_values(ds, ["slice_reward"], ("iteration",))
    kinds = ds.kind.values
    # An objective without clipping is drawn once.
    is_clipped = not np.array_equal(ds.slice_fresh, ds.slice_fresh_unclipped, equal_nan=True)
    surrogates = OF_SURROGATES if is_clipped else OF_SURROGATES[:2]
    figure, axes = panel_grid(ds.iteration.size, 2 * len(kinds), height=1.1, extra=1.15, sharey=False)
    for line, iteration in zip(axes, ds.iteration.values, strict=True):
        for other in line[3::2]:
            other.sharey(line[1])
        for k, kind in enumerate(kinds):
            one = ds.sel(kind=kind, iteration=iteration)
            left, right = line[2 * k : 2 * k + 2]
            draw_slice(left, one, surrogates, 0.0)
            draw_slice(right, one, ("slice_reward",), float(one.slice_reward.sel(along=0, method="nearest")))
            left.set_ylabel("surrogate [1]", fontsize=7)
            right.set_ylabel("return [reward]", fontsize=7)
        name_row(line[-1], f"iteration {iteration}")
    for k, kind in enumerate(kinds):
        size = count_label(float(ds.slice_batch_pairs.sel(kind=kind).max()))
        for panel, what in zip(axes[0, 2 * k : 2 * k + 2], ("surrogate", "true reward"), strict=True):
            panel.set_title(f"step from {size} pairs:\n{what}", fontsize=7.5)
    number_last_row(axes)
    figure.supxlabel("α, multiples of the update step (line at 1: the step itself)")
    handles = {
        name: Line2D([], [], color=hue, linestyle=dashes, label=label)
        for name, (hue, dashes, label) in LOOKS.items()
    }
    of_surrogates = [handles[name] for name in surrogates]
    zero = grey_handle("without a step", linestyle=DASHES["level"], linewidth=0.7)
    whose = f"{algo_label(str(ds.algo.values))}, {task_label(str(ds.task.values))}"
    words = [text_handle(whose), text_handle(f"{count_label(float(ds.attrs['budget']))} pairs per point")]
    band = band_handle("95 % interval, about ± 2 SE")
    legend_above(figure, [words, of_surrogates, [handles["slice_reward"], zero, band]])
    return figure


def draw_slice(panel: Axes, ds: xr.Dataset, names: tuple[str, ...], without: float) -> None:
    """Some curves of one slice with their intervals.

    Args:
        panel: The axes to draw into.
        ds: One agent's slice.
        names: Of `LOOKS`.
        without: The value without a step, where a thin line stands.
    """
    panel.axvline(1, color=GREY, linewidth=0.5, zorder=1.5)
    panel.axhline(
        without, color=GREY, linestyle=DASHES["level"], linewidth=0.7, zorder=1.5, label="without a step"
    )
    for name in names:
        hue, dashes, _ = LOOKS[name]
        one = choose(ds, [name]).dropna("along", subset=[name])
        draw_band(panel, one.along, one, name, color=hue, label=f"{name} band")
        panel.plot(one.along, one[name], color=hue, linestyle=dashes, label=name)
    panel.yaxis.set_major_locator(MaxNLocator(nbins=4))
    panel.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    panel.tick_params(labelsize=6.5)


ROWS = {
    "promised": ("train", "promised on the\nstep's own batch\n(surrogate) [1]"),
    "promised_fresh_unclipped": ("held_out", "kept on\nfresh batches\n(unclipped) [1]"),
    "kept": ("held_out", "kept: change of\nthe true reward\n[reward]"),
}
"""Face of the markers and words at the axis of each row of promises."""


def plot_promises(ds: xr.Dataset) -> Figure:
    """One kind of step: its surrogate on its own and on fresh batches, and the change of the true reward.

    A column per task; each agent has a point at each checkpoint. Both surrogates share a scale.

    Args:
        ds: What `select` gives, for one kind.
    """
    figure, axes = panel_grid(len(ROWS), ds.task.size, height=1.25, extra=0.95, sharey=False)
    algos = algos_of(ds)
    iterations = ds.iteration.values.astype(float)
    gap = smallest_gap(iterations)
    agents = [(algo, seed) for algo in algos for seed in ds.seed.values]
    x = iterations + 0.8 * gap * ((np.arange(len(agents)) + 0.5) / len(agents) - 0.5)[:, None]
    for column, task in enumerate(ds.task.values):
        axes[1, column].sharey(axes[0, column])
        for panel, (name, (face, _)) in zip(axes[:, column], ROWS.items(), strict=True):
            panel.axhline(0, color=GREY, linewidth=0.5)
            panel.grid(False, axis="x")
            for middle in (iterations[1:] + iterations[:-1]) / 2:
                panel.axvline(middle, color="0.9", linewidth=0.5)
            panel.set_xticks(iterations)
            panel.set_xlim(iterations[0] - gap / 2, iterations[-1] + gap / 2)
            panel.tick_params(labelbottom=name == "kept")
            panel.yaxis.set_major_locator(MaxNLocator(nbins=5))
            for places, (algo, seed) in zip(x, agents, strict=True):
                one, hue = ds.sel(task=task, algo=algo, seed=seed), colour(algo, algos)
                draw_bars(panel, places, one, name, color=hue, linewidth=0.7)
                panel.plot(
                    places, one[name], color=hue, linestyle="", marker=marker(algo, algos), markersize=2.6,
                    markerfacecolor="white" if FACES[face] == "none" else hue, label=f"{name} {algo} {seed}",
                )  # fmt: skip
        axes[0, column].set_title(task_label(task))
    for panel, (_, words) in zip(axes[:, 0], ROWS.values(), strict=True):
        panel.set_ylabel(words, fontsize=7.5)
    size = count_label(float(ds.slice_batch_pairs.max()))
    figure.supxlabel(f"Training iteration; steps from {size} pairs")
    faces = [text_handle("hollow: on the step's own batch"), text_handle("filled: on fresh batches, or true")]
    bar = grey_handle("95 % interval, within the agent", marker="|", markersize=6, linestyle="")
    legend_above(figure, [algo_handles(algos, markersize=4, linestyle=""), faces, [bar]])
    return figure
