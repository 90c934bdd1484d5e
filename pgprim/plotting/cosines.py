"""Cosines against budget, as in Figs. 1, 2, 9 and 10: the common part of the figures of gradients and steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pgprim.core.noise_scale import expected_cosine
from pgprim.plotting.choose import choose_estimates, with_values
from pgprim.plotting.intervals import band_handles, draw_band, draw_bars, ends_of
from pgprim.plotting.labels import algos_of, axis_label, count_label, task_label
from pgprim.plotting.legends import algo_handles, grey_handle, legend_above, marked_handle, text_handle
from pgprim.plotting.panels import budget_axis, cosine_axis, name_row, panel_grid
from pgprim.plotting.seeds import over_seeds
from pgprim.plotting.style import DASHES, look

DIMS = ("task", "algo", "seed", "iteration", "budget")

LEAST_RELIABILITY = 0.5
"""Share of signal in a truth below which a cosine to it is not corrected: the correction divides by its root, so it would
multiply the noise of the cosine, too."""


@dataclass(frozen=True)
class Cosine:
    """Names of the variables of one kind of cosine, all over `DIMS`.

    Attributes:
        name: The cosine, which may have an interval within an agent.
        corrected: For cosines to a truth, the cosine corrected for the noise of that truth.
        power: Exponent of N / (N + B) in the cosine's prediction, with the gradient noise scale B.
        formula: That power in words.
    """

    name: str
    corrected: str | None = None
    power: float = 1.0
    formula: str = "N / (N + B)"

    @property
    def guide(self) -> str:
        """Name of the noise scale of the curve beside this cosine, which differs by cosine so that datasets can be merged."""
        return f"{self.name}_guide"

    @property
    def names(self) -> list[str]:
        """The variables' names."""
        return [name for name in (self.name, self.corrected) if name is not None]


AGREEMENT = Cosine("cosine")
"""Mean pairwise cosine of the estimates (Figs. 1 and 9)."""

TO_TRUTH = Cosine("truth_cosine", "truth_cosine_corrected", 0.5, "√(N / (N + B))")
"""Mean cosine of the estimates to the large-sample estimate (Figs. 2 and 10)."""


def select_cosines(
    figure: str, ds: xr.Dataset | None, params: Mapping[str, Any], kinds: Sequence[Cosine], *extra: str
) -> xr.Dataset:
    """The dataset of a figure of cosines, ready for `plot_cosines`.

    Args:
        figure: The figure's name, kept as an attribute.
        ds: Estimates of all agents and checkpoints.
        params: The parameter file; only `plot.budget` is used.
        kinds: Which cosines the figure draws.
        extra: Further variables to keep.

    Raises:
        UserError: The estimates do not have these cosines.
    """
    names = [name for kind in kinds for name in kind.names]
    more = ["truth_pairs", "truth_reliability"] if any(kind.corrected for kind in kinds) else []
    return choose_estimates(figure, ds, params, [*names, *more, *extra])


def at_largest_budget(ds: xr.Dataset, name: str) -> xr.DataArray:
    """A variable of each agent and checkpoint at the largest budget that has a noise scale.

    The largest budget estimates the noise scale best. If its estimates show no common signal, the noise scale is
    infinite; using a smaller budget then would be a selection by result.

    Args:
        ds: `noise_scale` and the variable, along `budget`.
        name: The variable.
    """
    last = ds.budget.where(ds.noise_scale.notnull()).max("budget")
    long_name = ds[name].attrs["long_name"] + ", at the largest budget"
    return (
        ds[name]
        .where(ds.budget == last)
        .max("budget")
        .assign_attrs(ds[name].attrs | {"long_name": long_name})
    )


def with_guide(ds: xr.Dataset, kind: Cosine) -> xr.Dataset:
    """The dataset of a figure of cosines, with `kind.guide` [pairs], `guide_of`, instead of `noise_scale`."""
    return ds.drop_vars(["noise_scale", "noise_scale_ci"], errors="ignore").assign({kind.guide: guide_of(ds)})


def guide_of(ds: xr.Dataset) -> xr.DataArray:
    """Noise scale of the drawn curve at each budget [pairs].

    Of the seeds that reach that budget it is the median of the noise scales at their largest budgets. So a curve
    follows the same agents as the lines beside it.

    Args:
        ds: `noise_scale` over `DIMS`.
    """
    scale = at_largest_budget(ds, "noise_scale")
    return over_seeds(scale.where(ds.noise_scale.notnull()).assign_attrs(scale.attrs))


def plot_cosines(
    ds: xr.Dataset, kinds: Sequence[Cosine], height: float = 1.35, trained_apart: bool = False
) -> Figure:
    """Panels of cosines against pairs per estimate: a row per task and kind, a column per checkpoint.

    In each panel a line per algorithm and seed with the interval within that agent, the curve that the noise scale
    predicts, and a labelled vertical line at the pairs that training uses per iteration. Corrected cosines are drawn
    where the truth's reliability is at least `LEAST_RELIABILITY`, not where it is less or unknown. A task or checkpoint without
    values has no row or column; other missing combinations stay blank.

    Args:
        ds: `kinds`' variables over `DIMS`, the scalar `marked` [pairs], and the attribute `level` of the intervals;
            with their `guide` [pairs] over task, algorithm, checkpoint and budget where there are such curves.
        kinds: Which cosines to draw.
        height: Height of one row of panels [inch].
        trained_apart: Whether the panels of trained agents have a y axis of their own, from their values.
    """
    ds = _without_unreliable(ds, kinds)
    ds = with_values(ds, [kind.name for kind in kinds], ("task", "iteration", "budget"))
    tasks, iterations, budgets = ds.task.values, ds.iteration.values, ds.budget.values
    marked = int(ds.marked)
    rows = [(task, kind) for task in tasks for kind in kinds]
    figure, axes = panel_grid(len(rows), iterations.size, height, extra=0.65, sharey=not trained_apart)
    for row, (task, kind) in enumerate(rows):
        for column, iteration in enumerate(iterations):
            panel = axes[row, column]
            budget_axis(panel, budgets, marked)
            draw_cosines(panel, ds.sel(task=task, iteration=iteration), kind)
            panel.tick_params(labelbottom=row == len(rows) - 1)
            if row == 0:
                panel.set_title(f"iteration {iteration}")
        axes[row, 0].set_ylabel(axis_label(ds[kind.name], width=int(height * 17)))
        name_row(axes[row, -1], task_label(task))
    if trained_apart:
        _axes_apart(axes, ds, kinds)
    else:
        cosine_axis(axes[0, 0], cosine_limits(ds, kinds))
    figure.supxlabel(axis_label(ds.budget))
    legend_above(figure, _handles(ds, kinds, marked))
    return figure


def _without_unreliable(ds: xr.Dataset, kinds: Sequence[Cosine]) -> xr.Dataset:
    """The dataset without corrected cosines to truths that are too noisy."""
    corrected = [kind.corrected for kind in kinds if kind.corrected is not None]
    return ds.assign({name: ds[name].where(ds.truth_reliability >= LEAST_RELIABILITY) for name in corrected})


def _axes_apart(axes: np.ndarray, ds: xr.Dataset, kinds: Sequence[Cosine]) -> None:
    """The usual y axis for untrained agents, and one for trained agents that spans their values and intervals."""
    is_trained = ds.iteration.values > 0
    trained = ds.isel(iteration=is_trained)
    values = [trained[name].values.ravel() for kind in kinds for name in kind.names]
    values += [ends_of(trained, kind.name).ravel() for kind in kinds]
    low, high = (end(np.concatenate(values), initial=0.0) for end in (np.nanmin, np.nanmax))
    for panel in axes[:, ~is_trained].ravel():
        cosine_axis(panel, cosine_limits(ds, kinds))
    for panel in axes[:, is_trained].ravel():
        panel.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        panel.yaxis.set_major_locator(MaxNLocator(3))
        panel.yaxis.set_major_formatter("{x:g}")
    for columns in (is_trained, ~is_trained):
        for panel in axes[:, columns][:, 1:].ravel():
            panel.tick_params(labelleft=False)


def draw_cosines(panel: Axes, ds: xr.Dataset, kind: Cosine) -> None:
    """One panel: a line, its markers and its band per algorithm and seed, and the noise scale's curve per algorithm.

    Args:
        panel: The axes to draw into.
        ds: `kind`'s variables over `(algo, seed, budget)`, and its `guide` over `(algo, budget)` if there are curves. The
            limits of the x axis are set.
        kind: Which cosine to draw.
    """
    algos = algos_of(ds)
    for algo in algos:
        shade, symbol = look(algo, algos)
        if kind.guide in ds:
            draw_guide(panel, ds[kind.guide].sel(algo=algo), kind, shade, f"{algo} guide")
        for seed in ds.seed.values:
            line = ds.sel(algo=algo, seed=seed)
            line = line.isel(budget=np.isfinite(line[kind.name].values))
            if line.budget.size == 0:
                continue
            x, label = line.budget.values, f"{algo} {seed}"
            draw_band(panel, x, line, kind.name, color=shade, label=label)
            if x.size == 1:  # a band over one budget has no width
                draw_bars(panel, x, line, kind.name, color=shade, alpha=0.4, linewidth=1.5)
            panel.plot(
                x,
                line[kind.name].values,
                color=shade,
                linewidth=0.6,
                marker=symbol,
                markeredgewidth=0,
                label=label,
            )
            if kind.corrected is not None:
                panel.plot(
                    x,
                    line[kind.corrected].values,
                    color=shade,
                    linewidth=0.8,
                    linestyle=DASHES["corrected"],
                    label=label,
                )


def draw_guide(
    panel: Axes, guide: xr.DataArray, kind: Cosine, hue: str | Sequence[float], label: str
) -> None:
    """The curve that a noise scale predicts, in pieces: one where neighbouring budgets have the same scale.

    A piece starts where the one before it ends, and the first and last reach to the limits of the axis.

    Args:
        panel: The axes, with the limits of the x axis set.
        guide: The noise scale over `budget` [pairs]; where it is infinite there is no curve.
        kind: Which cosine the curve predicts.
        hue: Its colour.
        label: Of the artists.
    """
    line, limits = guide.dropna("budget"), panel.get_xlim()
    if not line.size:
        return
    changes = np.flatnonzero(line.values[1:] != line.values[:-1])
    ends = [limits[0], *line.budget.values[changes], limits[1]]
    for start, end, scale in zip(ends[:-1], ends[1:], line.values[[*changes, -1]], strict=True):
        if np.isfinite(scale):
            fine = np.geomspace(start, end, 100)
            panel.plot(
                fine, expected_cosine(fine, float(scale)) ** kind.power, color=hue, linewidth=0.7,
                linestyle=DASHES["formula"], label=label,
            )  # fmt: skip


def cosine_limits(ds: xr.Dataset, kinds: Sequence[Cosine]) -> tuple[float, float]:
    """Limits of a cosine axis: 0 to 1, and as far down as the cosines go.

    The limits include bands down to −0.2; a wider band would compress everything else.
    """
    lines = min(float(np.nanmin(ds[kind.name].values, initial=0)) for kind in kinds)
    bands = min(float(np.nanmin(ends_of(ds, kind.name)[0], initial=0)) for kind in kinds)
    return min(lines, max(bands, -0.2)) - 0.03, 1.03


def _handles(ds: xr.Dataset, kinds: Sequence[Cosine], marked: int) -> list[list]:
    algos = algos_of(ds)
    handles = algo_handles(algos, ", one line per seed", markeredgewidth=0)
    lines = [
        handle
        for algo, handle in zip(algos, handles, strict=True)
        if any(np.isfinite(ds[kind.name].sel(algo=algo)).any() for kind in kinds)
    ]
    shapes = [*band_handles(ds, "within the agent"), marked_handle(marked)]
    guides = []
    if any(kind.guide in ds for kind in kinds):
        words = f"{' and '.join(kind.formula for kind in kinds)}, median B"
        guides.append(grey_handle(words, linewidth=0.7, linestyle=DASHES["formula"]))
    if "truth_pairs" in ds:
        pairs = ds.truth_pairs.values[np.isfinite(ds.truth_pairs.values)]
        sizes = " to ".join(count_label(float(size)) for size in np.unique([pairs.min(), pairs.max()]))
        guides += [
            grey_handle("without the truth's noise", linewidth=0.8, linestyle=DASHES["corrected"]),
            text_handle(f"(its reliability ≥ {LEAST_RELIABILITY:g})"),
        ]
        shapes.append(text_handle(f"truth from {sizes} pairs"))
    return [lines, shapes, guides]
