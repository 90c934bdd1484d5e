"""Errors of value networks: Figs. 3, 11 and 12 in three definitions, with the floors of a perfect network."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from pgprim.plotting.choose import choose
from pgprim.plotting.intervals import BAND
from pgprim.plotting.iterations import sparse_markers
from pgprim.plotting.labels import algos_of, task_label
from pgprim.plotting.legends import algo_handles, band_handle, grey_handle, legend_above
from pgprim.plotting.panels import name_columns, name_row, number_last_row, panel_grid
from pgprim.plotting.seeds import over_seeds
from pgprim.plotting.style import ALL, FLOOR, NOISE_FREE, ONE, look, style

PARTS = {"fig3": "held_out", "fig11": "train", "fig12": "held_out"}
FIGURES = tuple(PARTS)
ELSEWHERE = {"fig12": "walker2d"}
"""The task that a figure leaves to another, Fig. 3, unless there is no other task."""

PAGES = {
    "as_text": "As in the text: sums cut at time limits and at the end of the batch",
    "as_code": "As in the released code: the same without each episode's last pair, the error to GAE's target squared",
    "exact": "Exact: rolled on past the end of the batch, states shortly before a time limit left out",
}
"""Definitions, the paper's first: each has a page of mean relative errors."""

ROBUST = ("as_text", "exact")
"""Definitions that also have a page of what outliers do not rule."""

TARGETS = {"gae": "GAE", "returns": "returns"}
AT_FLOOR = {"mre": ("floor", "error"), "total_re": ("floor_total", "error_total")}
"""What V^π would show of a statistic, and what V shows at the very pairs at which that was measured."""

MEANS = [(target, "mre", f"{words[0].upper()}{words[1:]} MRE") for target, words in TARGETS.items()]
"""Columns of a page of means: target, statistic and title."""

MANY = 5
"""Most agents that are drawn as thin lines; of more, a band shows the middle half."""

OUTLIERS_APART = [
    (target, name, f"{words}:\n{title}")
    for target, words in TARGETS.items()
    for name, title in (("median_re", "median"), ("total_re", "Σ|error| / Σ|target|"))
]
"""Columns of a page of what outliers do not rule."""

SQUARED = "GAE: error² / |target| [value units]"
"""Title of the column that has the error of the released code against value targets."""

PART_LABELS = {"train": "the update's own pairs", "held_out": "held-out pairs of the same policy"}


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that the figure draws: every agent's errors, and medians over agents of them and of the floors.

    Args:
        figure: One of `FIGURES`.
        ds: All value prediction errors and floors that are to be drawn.
        params: The parameter file; not used.

    Raises:
        UserError: If `ds` does not hold value prediction errors and floors.
    """
    errors, floors = ("mre", "median_re", "total_re"), [name for pair in AT_FLOOR.values() for name in pair]
    ds = choose(ds, [*errors, *floors, "squared_error", "squared_value"])
    if figure in ELSEWHERE:
        left = [task for task in ds.task.values if task != ELSEWHERE[figure]]
        ds = ds.sel(task=left or ds.task.values)
    chosen = {
        name: ds[name].sel(part=PARTS[figure], drop=True).assign_attrs(ds[name].attrs) for name in errors
    }
    chosen |= {f"{name}_median": over_seeds(chosen[name]) for name in errors}
    chosen |= {name: over_seeds(ds[name]) for name in floors}
    noise_free = np.sqrt(ds.squared_error.clip(min=0) / ds.squared_value.where(ds.squared_value > 0))
    words = "root mean square of V − V^π over that of V^π, free of the returns' noise"
    chosen["noise_free"] = over_seeds(noise_free.assign_attrs(long_name=words, units="1"))
    return xr.Dataset(chosen).assign_attrs(figure=figure, part=PARTS[figure])


def plot(ds: xr.Dataset) -> list[Figure]:
    """A page of mean relative errors per definition, then pages of medians and of ratios of sums.

    A row per task, errors against value targets and against returns, on a binary logarithm. Thin lines are agents, or a
    band their interquartile range where there are more than `MANY`; thick lines are their median. At checkpoints with floors, a short bar is the error of V^π itself, and a large marker
    the error of V on the same pairs. Against returns the bar comes from the returns' noise and the cuts. Against
    value targets, which contain the agent's own V_old, it comes from their noise and bias and is no lower bound.
    Crosses on the page of exact returns are the distance of V from V^π after the update, without the returns' noise.

    All figures show the floors of held-out pairs; the update's own pairs come from the same policy.
    """
    with style():
        means = [plot_page(ds, definition, MEANS) for definition in PAGES]
        return means + [plot_page(ds, definition, OUTLIERS_APART) for definition in ROBUST]


def plot_page(ds: xr.Dataset, definition: str, columns: list[tuple[str, str, str]]) -> Figure:
    """One page.

    Args:
        ds: What `select` gives.
        definition: One of `PAGES`.
        columns: Target, statistic and title of each column.
    """
    tasks = ds.task.values
    is_squared = [_is_squared(target, name, definition) for target, name, _ in columns]
    figure, axes = panel_grid(
        tasks.size, len(columns), height=1.5, extra=1.15, sharey=False if any(is_squared) else "row"
    )
    one = ds.sel(definition=definition)
    for row, task in zip(axes, tasks, strict=True):
        for panel, (target, name, _) in zip(row, columns, strict=True):
            draw_errors(panel, one.sel(task=task, target=target), name, definition)
        name_row(row[-1], task_label(task))
        if any(is_squared):
            for panel, column, squared in zip(row, columns, is_squared, strict=True):
                panel.set_ylabel("Error² / |target|" if squared else "Relative error")
                binary_axis(panel, _limits(one.sel(task=task), definition, [column]))
        else:
            row[0].set_ylabel("Relative error")
            binary_axis(row[0], _limits(one.sel(task=task), definition, columns))
    name_columns(
        axes, [SQUARED if one else title for one, (*_, title) in zip(is_squared, columns, strict=True)]
    )
    number_last_row(axes)
    words = f"{PAGES[definition]}\n(on {PART_LABELS[ds.attrs['part']]})"
    figure.supxlabel(f"Training iteration\n\n{words}")
    legend_above(figure, _handles(ds, any(_has_crosses(t, name, definition) for t, name, _ in columns)))
    return figure


def _is_squared(target: str, name: str, definition: str) -> bool:
    """Whether this error is squared, and so has the unit of values, as in the released code."""
    return (target, name, definition) == ("gae", "mre", "as_code")


def _has_crosses(target: str, name: str, definition: str) -> bool:
    """Whether the noise-free V − V^π is comparable with this error."""
    return (target, name, definition) == ("returns", "mre", "exact")


def draw_errors(panel: Axes, ds: xr.Dataset, name: str, definition: str) -> None:
    """One task, target and definition: a line per agent or their middle half, their median, and the floor, per algorithm.

    Args:
        panel: The axes to draw into.
        ds: What `select` gives, for one task, target and definition.
        name: The statistic: `mre`, `median_re` or `total_re`.
        definition: One of `PAGES`.
    """
    algos = algos_of(ds)
    for place, algo in enumerate(algos):
        (hue, symbol), one = look(algo, algos), ds.sel(algo=algo)
        if _are_many(ds):
            agents = one[name].dropna("iteration", how="all")
            if agents.iteration.size:
                low, high = agents.quantile([0.25, 0.75], "seed").transpose("quantile", "iteration").values
                panel.fill_between(
                    agents.iteration, low, high, color=hue, label=f"{algo} middle half", **BAND
                )
        else:
            for seed in ds.seed.values:
                x, y = _known(one[name].sel(seed=seed))
                if x.size:
                    panel.plot(x, y, color=hue, label=f"{algo} {seed}", **ONE)
        x, y = _known(one[f"{name}_median"])
        panel.plot(
            x, y, color=hue, marker=symbol, markersize=3, markeredgewidth=0,
            markevery=sparse_markers(place, x.size), label=f"{algo} median", **ALL,
        )  # fmt: skip
        if name in AT_FLOOR:
            floor, error = AT_FLOOR[name]
            panel.plot(
                *_known(one[error]), color=hue, linestyle="", marker=symbol, markersize=5, markeredgecolor="white",
                markeredgewidth=0.6, zorder=3, label=f"{algo} at floor",
            )  # fmt: skip
            panel.plot(
                *_known(one[floor]), color=hue, linestyle="", marker=FLOOR, markersize=8, markeredgewidth=1.6, zorder=3,
                label=f"{algo} floor",
            )  # fmt: skip
        if _has_crosses(str(ds.target.values), name, definition):
            panel.plot(
                *_known(one.noise_free), color=hue, linestyle="", marker=NOISE_FREE, markersize=4.5,
                markeredgewidth=1.1, zorder=3, label=f"{algo} V",
            )  # fmt: skip
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    low, high = float(ds.iteration.min()), float(ds.iteration.max())
    panel.set_xlim(low - 0.03 * (high - low) - 0.1, high + 0.03 * (high - low) + 0.1)


def _are_many(ds: xr.Dataset) -> bool:
    """Whether there are so many agents that a line for each would be a hatch."""
    return ds.sizes["seed"] > MANY


def _known(line: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Iterations and values of a line where it is finite and positive, as a logarithmic axis needs."""
    is_known = np.isfinite(line.values) & (line.values > 0)
    return line.iteration.values[is_known], line.values[is_known]


def _limits(ds: xr.Dataset, definition: str, columns: list[tuple[str, str, str]]) -> tuple[float, float]:
    """Limits of a row's y axis: all medians over agents, floors and crosses, with half an octave around them.

    Single agents may leave the frame: in one iteration of one agent a mean of ratios can be a hundred times its usual
    size.
    """
    shown = [
        ds[variable].sel(target=target).values.ravel()
        for target, name, _ in columns
        for variable in (f"{name}_median", *AT_FLOOR.get(name, ()))
    ]
    if any(_has_crosses(target, name, definition) for target, name, _ in columns):
        shown.append(ds.noise_free.values.ravel())
    values = np.concatenate(shown)
    values = values[np.isfinite(values) & (values > 0)]
    if values.size == 0:
        return 0.5, 2.0
    return values.min() / np.sqrt(2), values.max() * np.sqrt(2)


def binary_axis(panel: Axes, limits: tuple[float, float]) -> None:
    """A logarithmic y axis of base 2, powers below 1 written as fractions."""
    panel.set_yscale("log", base=2)
    panel.set_ylim(limits)
    panel.yaxis.set_major_locator(LogLocator(base=2, numticks=7))
    panel.yaxis.set_major_formatter(lambda value, _: _power(value))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _power(value: float) -> str:
    """0.25 -> `1/4`, 8 -> `8`."""
    return f"{value:g}" if value >= 1 else f"1/{round(1 / value)}"


def _handles(ds: xr.Dataset, crosses: bool) -> list[list]:
    medians = algo_handles(algos_of(ds), ", median over agents", markersize=3, markeredgewidth=0, **ALL)
    # Floors are measured on held-out pairs; the lines of a figure of the update's own pairs are not.
    words = "held-out pairs" if ds.attrs["part"] == "train" else "pairs"
    shapes = [
        band_handle("middle half of the agents") if _are_many(ds) else grey_handle("one agent", **ONE),
        grey_handle(
            "what V$^π$ itself would show", linestyle="", marker=FLOOR, markersize=8, markeredgewidth=1.6
        ),
        grey_handle(f"V at the bar's {words}", linestyle="", marker="o", markersize=5),
    ]
    cross = grey_handle(
        "V against V$^π$, noise-free (RMS)",
        linestyle="",
        marker=NOISE_FREE,
        markersize=4.5,
        markeredgewidth=1.1,
    )
    return [medians, shapes, [cross] if crosses else []]
