"""How well value networks predict: Figs. 3, 11 and 12 in three definitions, with what a perfect one would show."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pgprim.plotting.choose import choose
from pgprim.plotting.labels import algo_label, order_algos, task_label
from pgprim.plotting.panels import legend_above, name_row, panel_grid
from pgprim.plotting.style import GREY, colour, marker, style

PARTS = {"fig3": "held_out", "fig11": "train", "fig12": "held_out"}
FIGURES = tuple(PARTS)
ELSEWHERE = {"fig12": "walker2d"}
"""The task that a figure leaves to another, Fig. 3, unless there is no other task."""

PAGES = {
    "as_text": "As in the text: sums cut at time limits and at the end of the batch",
    "as_code": "As in the released code: the same without each episode's last pair, the error to GAE's target squared",
    "exact": "Exact: rolled on past the end of the batch, states shortly before a time limit left out",
}
COLUMNS = {"gae": "GAE MRE", "returns": "Returns MRE"}
PART_LABELS = {"train": "the update's own pairs", "held_out": "held-out pairs of the same policy"}
FLOOR = (0, (3, 1.5))
"""Line style of what V^π itself would show."""


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that the figure draws: every agent's errors, and over its seeds the mean of the floors.

    Args:
        figure: One of `FIGURES`.
        ds: All value prediction errors and floors that are to be drawn.
        params: The parameter file; not used.

    Raises:
        UserError: If `ds` does not hold value prediction errors and floors.
    """
    ds = choose(ds, ["mre", "floor", "squared_error", "squared_value"])
    if figure in ELSEWHERE:
        left = [task for task in ds.task.values if task != ELSEWHERE[figure]]
        ds = ds.sel(task=left or ds.task.values)
    part = PARTS[figure]
    errors = ds.mre.sel(part=part, drop=True)
    known = ds.squared_value > 0
    noise_free = np.sqrt(ds.squared_error.clip(min=0) / ds.squared_value.where(known))
    over_seeds = "mean over seeds of the "
    chosen = {
        "mre": errors.assign_attrs(ds.mre.attrs),
        "floor": _over_seeds(ds.floor).assign_attrs(
            long_name=f"{over_seeds}mean relative error that V^π itself would show", units="1"
        ),
        "noise_free": _over_seeds(noise_free).assign_attrs(
            long_name=f"{over_seeds}root mean square of V − V^π over that of V^π, free of the returns' noise",
            units="1",
        ),
    }
    return xr.Dataset(chosen).assign_attrs(figure=figure, part=part)


def _over_seeds(values: xr.DataArray) -> xr.DataArray:
    """The mean over the seeds that have a number."""
    known = values.notnull()
    count = known.sum("seed")
    return values.fillna(0.0).sum("seed") / count.where(count > 0)


def plot(ds: xr.Dataset) -> list[Figure]:
    """A page per definition: a row per task, errors against value targets and against returns.

    A line per algorithm and seed, on a binary logarithm. The dashed line is what V^π itself would show, at the
    checkpoints at which it was measured: against returns that is the returns' noise and what cuts leave out; against
    value targets, which the agent's own V_old enters, it is their noise and their bias, and no bound. Crosses on the
    page of exact returns are how far V is from V^π after the update, the returns' noise taken out.

    Floors are of the held-out pairs in every figure: the update's own come from the same policy.
    """
    with style():
        return [plot_page(ds, definition) for definition in PAGES]


def plot_page(ds: xr.Dataset, definition: str) -> Figure:
    """One page.

    Args:
        ds: What `select` gives.
        definition: One of `PAGES`.
    """
    tasks = ds.task.values
    figure, axes = panel_grid(tasks.size, len(COLUMNS), height=1.35, extra=1.15)
    one = ds.sel(definition=definition)
    for row, task in zip(axes, tasks, strict=True):
        for panel, target in zip(row, COLUMNS, strict=True):
            draw_errors(
                panel, one.sel(task=task, target=target), crosses=(target, definition) == ("returns", "exact")
            )
        name_row(row[-1], task_label(task))
        row[0].set_ylabel("Mean relative error")
    for panel, title in zip(axes[0], COLUMNS.values(), strict=True):
        panel.set_title(title)
    for panel in axes[:-1].flat:
        panel.tick_params(labelbottom=False)
    binary_axis(axes[0, 0])
    words = f"{PAGES[definition]}\n(on {PART_LABELS[ds.attrs['part']]})"
    figure.supxlabel(f"Training iteration\n\n{words}")
    legend_above(figure, _handles(ds, definition == "exact"))
    return figure


def draw_errors(panel: Axes, ds: xr.Dataset, crosses: bool) -> None:
    """One task, target and definition: a line per algorithm and seed, and the floor of each algorithm.

    Args:
        panel: The axes to draw into.
        ds: What `select` gives, for one task, target and definition.
        crosses: Whether to draw the noise-free error.
    """
    algos = tuple(order_algos(ds.algo.values.tolist()))
    for algo in algos:
        hue, one = colour(algo, algos), ds.sel(algo=algo)
        for seed in ds.seed.values:
            line = one.mre.sel(seed=seed)
            line = line.isel(iteration=np.isfinite(line.values))
            panel.plot(line.iteration, line, color=hue, linewidth=0.8, label=f"{algo} {seed}")
        floor = one.floor.where(one.floor > 0)
        floor = floor.isel(iteration=np.isfinite(floor.values))
        panel.plot(
            floor.iteration, floor, color=hue, linewidth=0.9, linestyle=FLOOR, marker=marker(algo, algos),
            markersize=3.5, markerfacecolor="white", label=f"{algo} floor",
        )  # fmt: skip
        if crosses:
            error = one.noise_free.where(one.noise_free > 0)
            panel.plot(
                error.iteration, error, color=hue, linestyle="", marker="x", markersize=4, label=f"{algo} V"
            )
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    low, high = float(ds.iteration.min()), float(ds.iteration.max())
    panel.set_xlim(low - 0.02 * (high - low) - 0.1, high + 0.02 * (high - low) + 0.1)


def binary_axis(panel: Axes) -> None:
    """A logarithmic y axis of base 2, powers below 1 written as fractions."""
    panel.set_yscale("log", base=2)
    panel.yaxis.set_major_locator(LogLocator(base=2, numticks=7))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _power(value: float) -> str:
    """0.25 -> `1/4`, 8 -> `8`."""
    return f"{value:g}" if value >= 1 else f"1/{round(1 / value)}"


def _handles(ds: xr.Dataset, exact: bool) -> list[list]:
    algos = tuple(order_algos(ds.algo.values.tolist()))
    hues = [
        Line2D(
            [], [], color=colour(algo, algos), linewidth=1.1, label=f"{algo_label(algo)}, one line per seed"
        )
        for algo in algos
    ]
    floor = Line2D(
        [], [], color=GREY, linestyle=FLOOR, marker="o", markersize=3.5, markerfacecolor="white",
        label="what V$^π$ itself would show",
    )  # fmt: skip
    error = Line2D(
        [], [], color=GREY, linestyle="", marker="x", markersize=4, label="V against V$^π$, noise-free (RMS)"
    )
    return [hues, [floor, error] if exact else [floor]]
