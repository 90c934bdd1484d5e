"""Effects of the released code's handling of time limits and cuts: on training, and on each probe's result."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pgprim.core.finite import finite_mean
from pgprim.core.interval_arrays import mean_intervals
from pgprim.plotting.choose import budgets_of, choose
from pgprim.plotting.intervals import ends_of
from pgprim.plotting.iterations import average_iterations, iterations_label
from pgprim.plotting.labels import algo_label, algos_of, axis_label, count_label, task_label
from pgprim.plotting.legends import algo_handles, grey_handle, legend_above, marked_handle, text_handle
from pgprim.plotting.panels import budget_axis, name_columns, panel_grid
from pgprim.plotting.style import DASHES, WIDTH, colour, marker, shades, style
from pgprim.store.labelled import label
from pgprim.types.errors import UserError
from pgprim.types.variants import other_semantics

FIGURES = ("semantics",)
SEMANTICS = {"exact": DASHES["measured"], "paper": DASHES["paper"]}
"""Line styles."""

NAMES = {"exact": "exact", "paper": "released code's"}
"""How the figure calls the semantics."""

TRAINING = {
    "return_mean": "mean episode return",
    "value_loss": "value loss after the update",
    "explained_variance": "explained variance before the update",
}
"""Rows of the page on training: short names of the records."""

COMPARED = ("between_cosine", "norm_ratio", "cosine_by_semantics", "truth_cosine_by_semantics")
POINTS = 50
"""Points along a curve of training at most: neighbouring iterations are averaged."""

DEFINITIONS = {"exact": "exact", "paper": "as_text"}
"""Which definition of `probes.value` belongs to which semantics."""

_LABEL_WIDTH, _ROW_HEIGHT = 2.3, 0.165  # inch


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that the figure draws: curves of training, comparisons of estimates, and a table of both.

    Training with the other semantics starts from the same initial agents as training itself, and probes estimate with
    both semantics from the same pairs. So differences are within seeds; their interval is between seeds.

    Args:
        figure: One of `FIGURES`.
        ds: Training records, records with the other semantics, and comparisons; optionally value prediction errors.
        params: The parameter file: `semantics`, `train.semantics`, `plot.budget` and `plot.level`.

    Raises:
        UserError: If `ds` does not hold these.
    """
    block, own = params["semantics"], params["train"]["semantics"]
    optional = ["mre"] if ds is not None and "mre" in ds else []
    names = [*TRAINING, *(f"other_{name}" for name in TRAINING), *COMPARED, *optional]
    ds = choose(ds, names)
    ds = ds.sel(
        task=[task for task in ds.task.values if task in block["tasks"]],
        algo=[algo for algo in ds.algo.values if algo in block["algos"]],
    )
    curves = _training(ds, own, block["train_iterations"])
    quantities = {
        f"training: {words}": _last(curves[name], block["final"])
        for name, words in zip(TRAINING, ("final return", "value loss", "explained variance"), strict=True)
    }
    marked = params["plot"]["budget"]
    for probe in ds.probe.values:
        one = ds.sel(probe=probe)
        budget = min(budgets_of(one.cosine_by_semantics), key=lambda size: abs(size - marked))
        for name, words in (("cosine", "pairwise cosine"), ("truth_cosine", "cosine to the truth")):
            array = one[f"{name}_by_semantics"].sel(budget=budget)
            quantities[f"{probe} at {count_label(budget)} pairs: {words}"] = array
    if optional:
        held_out = ds.mre.sel(part="held_out")
        for target, words in (("gae", "GAE"), ("returns", "returns")):
            array = held_out.sel(target=target, definition=list(DEFINITIONS.values())).drop_vars("target")
            array = array.rename(definition="semantics").assign_coords(semantics=list(DEFINITIONS))
            quantities[f"{words} MRE, held-out pairs"] = array
    coarse, width = average_iterations(curves, POINTS)
    coarse = coarse.rename(iteration="training_iteration")
    compared = ds[list(COMPARED)].dropna("iteration", how="all")
    table = _table(quantities, params["plot"]["level"])
    merged = xr.merge([coarse, compared, table], combine_attrs="override", join="outer")
    attrs = {
        "figure": figure,
        "level": params["plot"]["level"],
        "marked": marked,
        "iterations_per_point": width,
    }
    return merged.drop_vars("definition", errors="ignore").assign_attrs(attrs)


def _training(ds: xr.Dataset, own: str, num_iterations: int) -> xr.Dataset:
    """Records of both semantics along `semantics`, for the iterations that both have."""
    iterations = [k for k in ds.iteration.values if k < num_iterations]
    if not iterations:
        raise UserError(
            "no training iteration is below semantics.train_iterations; give the training records"
        )
    records = {}
    for name, words in TRAINING.items():
        both = {own: ds[name], other_semantics(own): ds[f"other_{name}"]}
        array = xr.concat([both[one].sel(iteration=iterations) for one in SEMANTICS], "semantics")
        records[name] = array.assign_attrs(long_name=words, units=ds[name].attrs["units"])
    return xr.Dataset(records).assign_coords(semantics=list(SEMANTICS))


def _last(array: xr.DataArray, share: float) -> xr.DataArray:
    """The last share of the iterations."""
    return array.isel(iteration=slice(-max(1, round(share * array.sizes["iteration"])), None))


def _table(quantities: dict[str, xr.DataArray], level: float) -> xr.Dataset:
    """Means over seeds of each quantity with both semantics, and the mean difference with its interval over seeds."""
    tasks, algos = (next(iter(quantities.values()))[name].values for name in ("task", "algo"))
    seeds = []
    for array in quantities.values():
        values = array.transpose("semantics", "task", "algo", "seed", ...).values
        seeds.append(finite_mean(values.reshape(*values.shape[:4], -1), axis=4))
    exact, paper = np.stack(seeds, axis=1)
    has_both = np.isfinite(exact) & np.isfinite(paper)
    exact, paper = (np.where(has_both, values, np.nan) for values in (exact, paper))
    dims = ("quantity", "task", "algo")
    variables = {
        "table_exact": (dims, finite_mean(exact, axis=3)),
        "table_paper": (dims, finite_mean(paper, axis=3)),
        "table_difference": (dims, mean_intervals(paper - exact, level)),
    }
    described = {
        "table_exact": ("mean over seeds with semantics exact", "1"),
        "table_paper": ("mean over seeds with semantics paper", "1"),
        "table_difference": ("mean over seeds of paper less exact", "1"),
        "quantity": ("what is compared", "1"),
    }
    return label(
        variables, described, {"quantity": list(quantities), "task": tasks, "algo": algos}, {"level": level}
    )


def plot(ds: xr.Dataset) -> list[Figure]:
    """Three pages: training with both semantics, estimates with both from the same pairs, and the table."""
    with style():
        return [plot_training(ds), plot_estimates(ds), plot_table(ds)]


def plot_training(ds: xr.Dataset) -> Figure:
    """A row per record, a column per task: thin lines are seeds, thick ones their mean."""
    algos = algos_of(ds)
    figure, axes = panel_grid(len(TRAINING), ds.task.size, height=1.3, extra=0.75, sharey=False)
    for line, name in zip(axes, TRAINING, strict=True):
        for panel, task in zip(line, ds.task.values, strict=True):
            for algo in algos:
                draw_curves(panel, ds[name].sel(task=task, algo=algo), colour(algo, algos))
        line[0].set_ylabel(axis_label(ds[name], width=22))
    name_columns(axes, map(task_label, ds.task.values))
    for panel in axes.flat:
        panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    figure.supxlabel(iterations_label(ds))
    seed = grey_handle("one seed", linewidth=0.4)
    legend_above(figure, [algo_handles(algos, marker="", linewidth=1.1), _semantics_handles(), [seed]])
    return figure


def draw_curves(panel: Axes, array: xr.DataArray, hue: str) -> None:
    """One record of one algorithm on one task with both semantics.

    Args:
        panel: The axes to draw into.
        array: The record along `semantics`, `seed` and `training_iteration`.
        hue: The algorithm's colour.
    """
    array = array.transpose("semantics", "seed", "training_iteration")
    for name, dashes in SEMANTICS.items():
        one = array.sel(semantics=name)
        for seed in one.values:
            panel.plot(
                one.training_iteration,
                seed,
                color=hue,
                linestyle=dashes,
                linewidth=0.4,
                alpha=0.5,
                label="seed",
            )
        panel.plot(
            one.training_iteration,
            finite_mean(one.values),
            color=hue,
            linestyle=dashes,
            linewidth=1.1,
            label=name,
        )


def plot_estimates(ds: xr.Dataset) -> Figure:
    """A column per task: for each probe the cosine between the semantics' vectors, and the agreement within each."""
    algos = algos_of(ds)
    figure, axes = panel_grid(2 * ds.probe.size, ds.task.size, height=1.3, extra=0.75, sharey="row")
    for place, probe in enumerate(ds.probe.values):
        near, agree = axes[2 * place], axes[2 * place + 1]
        for column, task in enumerate(ds.task.values):
            one = ds.sel(probe=probe, task=task)
            for algo in algos:
                draw_budgets(near[column], one.between_cosine.sel(algo=algo), algo, algos, "-")
                for name, dashes in SEMANTICS.items():
                    array = one.cosine_by_semantics.sel(algo=algo, semantics=name)
                    draw_budgets(agree[column], array, algo, algos, dashes)
            for panel in (near[column], agree[column]):
                budget_axis(panel, ds.budget.values, int(ds.attrs["marked"]))
        low, high = near[0].get_ylim()
        near[0].set_ylim(low, high + 0.12 * (high - low))  # room for the mark above lines at 1
        near[0].set_ylabel(f"{task_label(probe)}: cosine\nbetween semantics")
        agree[0].set_ylabel(f"{task_label(probe)}:\npairwise cosine")
    name_columns(axes, map(task_label, ds.task.values))
    figure.supxlabel(axis_label(ds.budget))
    others = [marked_handle(int(ds.attrs["marked"])), text_handle("darker: later checkpoints")]
    legend_above(figure, [algo_handles(algos, marker="", linewidth=1.1), _semantics_handles(), others])
    return figure


def draw_budgets(panel: Axes, array: xr.DataArray, algo: str, algos: tuple[str, ...], dashes: Any) -> None:
    """One line per checkpoint, darker for later ones, the mean over seeds.

    Args:
        panel: The axes to draw into.
        array: Along `seed`, `iteration` and `budget`.
        algo: Whose colour and marker it has.
        algos: All that are drawn.
        dashes: Line style.
    """
    hues = shades(colour(algo, algos), array.iteration.size)
    means = finite_mean(array.transpose("seed", "iteration", "budget").values)
    for iteration, values, hue in zip(array.iteration.values, means, hues, strict=True):
        measured = np.isfinite(values)
        if measured.any():
            panel.plot(
                array.budget[measured], values[measured], color=hue, linestyle=dashes, marker=marker(algo, algos),
                label=f"{algo} {int(iteration)}",
            )  # fmt: skip


def plot_table(ds: xr.Dataset) -> Figure:
    """The table, a row per quantity: per task and algorithm both semantics, and the difference with its interval."""
    groups = [(task, algo) for task in ds.task.values for algo in ds.algo.values]
    lines = [(group, name) for group in groups for name in ds.quantity.values]
    heads = (*NAMES.values(), f"difference [{100 * ds.attrs['level']:g} % interval]")
    figure = Figure(figsize=(WIDTH, (len(lines) + len(groups) + 1.8) * _ROW_HEIGHT))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(len(lines) + len(groups) + 0.4, -1.4))
    axes.set_axis_off()
    centres = (_LABEL_WIDTH + 0.4, _LABEL_WIDTH + 1.05, _LABEL_WIDTH + 2.3)
    for centre, head in zip(centres, heads, strict=True):
        axes.text(centre, -0.6, head, ha="center", va="center", weight="bold")
    y = 0
    for group in groups:
        title = f"{task_label(group[0])}, {algo_label(group[1])}"
        axes.text(0.08, y + 0.55, title, va="center", style="italic")
        for name in ds.quantity.values:
            y += 1
            one = ds.sel(task=group[0], algo=group[1], quantity=name)
            numbers = [float(one[f"table_{key}"]) for key in ("exact", "paper", "difference")]
            numbers += ends_of(one, "table_difference").tolist()
            axes.text(0.2, y + 0.5, str(name), va="center")
            for centre, text in zip(centres, row_text(*numbers), strict=True):
                axes.text(centre, y + 0.5, text, ha="center", va="center")
        y += 1
    for line, weight in ((-1.15, 1.0), (-0.05, 0.6), (y + 0.2, 1.0)):
        axes.plot([0.05, WIDTH - 0.05], [line, line], color="black", linewidth=weight)
    return figure


def row_text(exact: float, paper: float, difference: float, low: float, high: float) -> tuple[str, str, str]:
    """Three cells: both numbers, and the difference with its interval where there is one; a dash for none."""
    if not np.isfinite(exact):
        return "–", "–", "–"
    ends = f" [{_signed(low)}, {_signed(high)}]" if np.isfinite(low) else ""
    return _short(exact), _short(paper), f"{_signed(difference)}{ends}"


def _short(number: float, sign: str = "") -> str:
    """Three significant digits, and all digits before the decimal point."""
    text = f"{number:{sign}.0f}" if abs(number) >= 1000 else f"{number:{sign}.3g}"
    return text.replace("-", "−")


def _signed(number: float) -> str:
    return _short(number, "+")


def _semantics_handles() -> list[Line2D]:
    return [grey_handle(f"{NAMES[name]} semantics", linestyle=dashes) for name, dashes in SEMANTICS.items()]
