"""Training with more pairs per iteration, at several learning rates (the paper's text)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter

from pgprim.core.final_return import final_return
from pgprim.core.interval_arrays import intervals_over
from pgprim.core.intervals import t_interval
from pgprim.plotting.choose import choose
from pgprim.plotting.intervals import bar_handles, reach_of
from pgprim.plotting.iterations import average_iterations
from pgprim.plotting.labels import axis_label, count_label, task_label
from pgprim.plotting.legends import legend_above
from pgprim.plotting.panels import panel_grid
from pgprim.plotting.style import GREY, colour, marker, shades, style
from pgprim.store.labelled import label
from pgprim.store.records import LABELS
from pgprim.types.variants import regime_iterations

FIGURES = ("sample_regime",)
POINTS = 25
"""Points along a curve of returns at most: neighbouring iterations are averaged."""


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that the figure draws: curves of every number of pairs and rate, and final returns.

    Curves are means over seeds, along the iterations of each run. The interval of the final return is between agents.

    Args:
        figure: One of `FIGURES`.
        ds: All records of the study.
        params: The parameter file: `regime` and `plot.level`.

    Raises:
        UserError: If `ds` does not hold records of the study.
    """
    block = params["regime"]
    ds = choose(ds, ["return_mean", "half_cosine", "diverged"]).squeeze("algo", drop=True)
    ds = ds.transpose("task", "pairs", "rate", "seed", "iteration")
    counts = [regime_iterations(block, int(pairs)) for pairs in ds.pairs.values]
    dims = ("task", "pairs", "rate")
    finals = np.empty([ds.sizes[name] for name in (*dims, "seed")])
    for place, count in enumerate(counts):
        one = ds.isel(pairs=place, iteration=slice(0, count))
        finals[:, place] = final_return(
            one.return_mean.values, one.diverged.values.astype(bool), block["final"]
        )
    level = params["plot"]["level"]
    curves = {"return_curve": ds.return_mean, "agreement_curve": ds.half_cosine}
    variables = {
        "final_mean": (dims, intervals_over(finals, lambda values: t_interval(values, level))),
        "final_return": ((*dims, "seed"), finals),
        "num_iterations": (("pairs",), counts),
        "diverged": ((*dims, "seed"), ds.diverged.values),
        **{
            name: ((*dims, "iteration"), array.mean("seed", skipna=True).values)
            for name, array in curves.items()
        },
    }
    units = ds.return_mean.attrs["units"]
    described = {
        "final_mean": ("mean final return over seeds", units),
        "final_return": ("final return", units),
        "num_iterations": ("iterations of a run", "1"),
        "diverged": tuple(ds.diverged.attrs[key] for key in ("long_name", "units")),
        "return_curve": ("mean episode return", units),
        "agreement_curve": ("cosine between gradients of the batch's halves", ds.half_cosine.attrs["units"]),
        **LABELS,
    }
    coords = {name: ds[name].values for name in (*dims, "seed", "iteration")}
    selected = label(variables, described, coords, {"figure": figure, "level": level})
    selected.final_return.attrs["comment"] = (
        f"mean return over the last {100 * block['final']:g} % of the iterations"
    )
    return selected


def plot(ds: xr.Dataset) -> list[Figure]:
    """A page of curves per task, and a page of final returns against the learning rate."""
    with style():
        return [*(plot_curves(ds.sel(task=task)) for task in ds.task.values), plot_finals(ds)]


def plot_curves(ds: xr.Dataset) -> Figure:
    """One task, a column per learning rate: return against pairs and iterations, and agreement of the halves."""
    figure, axes = panel_grid(3, ds.rate.size, height=1.3, extra=0.95, sharey="row")
    for column, rate in zip(axes.T, ds.rate.values, strict=True):
        for place, look in enumerate(regime_looks(ds)):
            one = ds.sel(rate=rate).isel(pairs=place, iteration=slice(0, int(ds.num_iterations[place])))
            draw_run(column, one, look)
        column[0].set_title(f"learning rate × {rate:g}")
        for panel in (column[0], column[2]):
            panel.set_xlim(0, float((ds.pairs * ds.num_iterations).max()))
            panel.xaxis.set_major_locator(MaxNLocator(nbins=4))
            panel.xaxis.set_major_formatter(lambda value, _: count_label(value))
        column[1].set_xscale("log")
        column[1].set_xlim(1, float(ds.num_iterations.max()))
        column[1].xaxis.set_major_formatter("{x:g}")
        column[1].xaxis.set_minor_formatter(NullFormatter())
        column[0].set_xlabel("Pairs so far")
        column[1].set_xlabel("Iterations so far")
        column[2].set_xlabel("Pairs so far")
        column[2].axhline(0, color=GREY, linewidth=0.6)
    for panel, name in zip(axes[:, 0], ("return_curve", "return_curve", "agreement_curve"), strict=True):
        panel.set_ylabel(axis_label(ds[name], width=22))
    legend_above(figure, [[handle] for handle in _handles(ds)])
    figure.suptitle(task_label(str(ds.task.values)), x=0.02, ha="left")
    return figure


def draw_run(column: np.ndarray, ds: xr.Dataset, look: Mapping[str, Any]) -> None:
    """One number of pairs at one learning rate, into the three panels of a column.

    Args:
        column: Axes of return by pairs, return by iterations, and agreement.
        ds: What `select` gives, for one task, number of pairs and rate, along the iterations of its runs.
        look: Colour, marker and its size.
    """
    name = f"{int(ds.pairs)}"
    smooth, _ = average_iterations(ds.return_curve, POINTS)
    for panel, so_far in ((column[0], smooth.iteration * ds.pairs), (column[1], smooth.iteration + 1)):
        panel.plot(so_far, smooth, **look, label=name)
    measured = np.isfinite(ds.agreement_curve.values)
    column[2].plot((ds.iteration * ds.pairs)[measured], ds.agreement_curve[measured], **look, label=name)


def plot_finals(ds: xr.Dataset) -> Figure:
    """A panel per task: the mean final return against the learning rate, a line per number of pairs."""
    figure, axes = panel_grid(1, ds.task.size, height=1.8, extra=0.7, sharey=False)
    for panel, task in zip(axes[0], ds.task.values, strict=True):
        draw_finals(panel, ds.sel(task=task))
        panel.set_title(task_label(task))
    axes[0, 0].set_ylabel(axis_label(ds.final_mean, width=22))
    figure.supxlabel("Learning rate of the policy, in multiples of the task's own")
    legend_above(figure, [_handles(ds), bar_handles(ds, "between agents")])
    return figure


def draw_finals(panel: Axes, ds: xr.Dataset) -> None:
    """Final returns of one task.

    Args:
        panel: The axes to draw into.
        ds: What `select` gives, for one task.
    """
    rates = ds.rate.values
    for place, look in enumerate(regime_looks(ds)):
        one = ds.isel(pairs=place)
        beside = rates * 1.04 ** (place - (ds.pairs.size - 1) / 2)
        panel.errorbar(
            beside, one.final_mean, yerr=reach_of(one, "final_mean"), **look, elinewidth=0.7, label=f"{int(one.pairs)}",
        )  # fmt: skip
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(rates))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlim(rates.min() / 1.4, rates.max() * 1.4)


def regime_looks(ds: xr.Dataset) -> list[dict[str, Any]]:
    """PPO's colour and marker, darker and larger for more pairs."""
    hues, sizes = shades(colour("ppo"), ds.pairs.size), np.linspace(2, 4.5, ds.pairs.size)
    return [
        {"color": hue, "marker": marker("ppo"), "markersize": size, "markeredgewidth": 0}
        for hue, size in zip(hues, sizes, strict=True)
    ]


def _handles(ds: xr.Dataset) -> list[Line2D]:
    return [
        Line2D([], [], **look, label=f"{count_label(int(pairs))} pairs per iteration")
        for pairs, look in zip(ds.pairs.values, regime_looks(ds), strict=True)
    ]
