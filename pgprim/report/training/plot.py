"""Training curves: Fig. 8."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pgprim.core.interquartile_mean import interquartile_mean
from pgprim.plotting.choose import choose
from pgprim.plotting.intervals import band_handles, draw_band
from pgprim.plotting.iterations import average_iterations, iterations_label, sparse_markers
from pgprim.plotting.labels import algos_of, axis_label, task_label
from pgprim.plotting.legends import algo_handles, grey_handle, legend_above
from pgprim.plotting.panels import panel_grid
from pgprim.plotting.published import PUBLISHED_RETURN, published_returns
from pgprim.plotting.style import ABOVE, ALL, ONE, PUBLISHED, look, style
from pgprim.store.labelled import BOUNDS

FIGURES = ("fig8",)
COLUMNS = 3
FEWEST = 5
"""Seeds from which on a mean over them has an interval: that of fewer covers too seldom."""

FAR = 1.5
"""A published return is inside the frame if it is below so many times the highest return, and else at its upper end."""

POINTS = 50
"""Points along a curve at most: an iteration has a handful of episodes, whose returns vary more than agents do."""


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that the figure draws: every seed's return, and the interquartile mean over seeds with its interval.

    Neighbouring iterations are averaged so that at most `POINTS` points are left. The interval is between agents: a
    bootstrap over the seeds that completed an episode there (`core.interquartile_mean`), if they are at least
    `FEWEST`. It covers the variation over seeds, not the noise of one agent's return.

    Args:
        figure: One of `FIGURES`.
        ds: All training records that are to be drawn.
        params: The parameter file; only `plot.level`, `plot.seeds` and `plot.published` are used.

    Raises:
        UserError: If `ds` does not hold training records.
    """
    ds = choose(ds, ["return_mean"])
    ds, width = average_iterations(ds, POINTS)
    level = params["plot"]["level"]
    mean, ends = xr.apply_ufunc(
        _over_seeds,
        ds.return_mean,
        level,
        input_core_dims=[["seed"], []],
        output_core_dims=[[], ["bound"]],
        vectorize=True,
    )
    units = {"units": ds.return_mean.attrs["units"]}
    # The definition is too long for an axis, so it moves to the attribute that CF conventions have for definitions.
    short = {"long_name": "mean episode return", "comment": ds.return_mean.attrs["long_name"]}
    published = published_returns(params["plot"]["published"], ds.task.values, ds.algo.values)
    between = f"{100 * level:g} % interval between agents of the interquartile mean over seeds"
    return ds.assign(
        return_mean=ds.return_mean.assign_attrs(short),
        seeds_mean=mean.assign_attrs(
            units, long_name="interquartile mean over seeds of the mean episode return"
        ),
        seeds_mean_ci=ends.assign_coords(bound=list(BOUNDS)).assign_attrs(units, long_name=between),
        published=(("task", "algo"), published, units | {"long_name": PUBLISHED_RETURN[0]}),
        drawn_seeds=((), params["plot"]["seeds"], {"long_name": "most seeds drawn one by one", "units": "1"}),
    ).assign_attrs(figure=figure, level=level, iterations_per_point=width)


def _over_seeds(returns: np.ndarray, level: float) -> tuple[float, np.ndarray]:
    """The interquartile mean of the seeds that have a number, and the ends of its interval."""
    mean, *ends = interquartile_mean([returns], level, np.random.default_rng(0), num_resamples=1000)
    return mean, np.array(ends if np.isfinite(returns).sum() >= FEWEST else [np.nan, np.nan])


def plot(ds: xr.Dataset) -> Figure:
    """Fig. 8: mean episode return against iteration, a panel per task.

    Thin lines are seeds, at most `drawn_seeds` of them per algorithm; the thick line is the interquartile mean over
    all seeds and the band its interval between agents. Arrowheads at the right are the returns published for the -v2
    tasks, which differ from ours (docs/deviations.md), so they are only roughly comparable.
    """
    with style():
        tasks = ds.task.values
        columns = min(tasks.size, COLUMNS)
        rows = -(-tasks.size // columns)
        figure, axes = panel_grid(rows, columns, height=1.75, extra=0.75, sharey=False)
        for panel, task in zip(axes.flat, tasks, strict=False):
            draw_returns(panel, ds.sel(task=task))
            panel.set_title(task_label(task))
        for panel in axes.flat[tasks.size :]:
            panel.remove()
        for panel in axes[:, 0]:
            panel.set_ylabel(axis_label(ds.return_mean, width=22))
        figure.supxlabel(iterations_label(ds))
        legend_above(figure, _handles(ds))
        return figure


def draw_returns(panel: Axes, ds: xr.Dataset) -> None:
    """One task: the seeds, their interquartile mean and its band, for each algorithm that has any.

    Args:
        panel: The axes to draw into.
        ds: What `select` gives, for one task.
    """
    algos = algos_of(ds)
    for place, algo in enumerate(algos):
        (hue, symbol), one = look(algo, algos), ds.sel(algo=algo)
        seeds = [seed for seed in ds.seed.values if np.isfinite(one.return_mean.sel(seed=seed)).any()]
        if not seeds:
            continue
        draw_band(panel, one.iteration, one, "seeds_mean", color=hue, label=f"{algo} band")
        for seed in seeds[: int(ds.drawn_seeds)]:
            panel.plot(
                one.iteration, one.return_mean.sel(seed=seed), color=hue, label=f"{algo} {seed}", **ONE
            )
        panel.plot(
            one.iteration, one.seeds_mean, color=hue, marker=symbol, markersize=3, markeredgewidth=0,
            markevery=sparse_markers(place, one.iteration.size), label=f"{algo} mean", **ALL,
        )  # fmt: skip
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    panel.set_xlim(float(ds.iteration.min()), float(ds.iteration.max()))
    low, high = float(ds.return_mean.min()), float(ds.return_mean.max())
    near = ds.published.where(ds.published < FAR * high)
    high = max(high, float(near.max().fillna(high)))
    if np.isfinite(high - low):
        panel.set_ylim(low - 0.05 * (high - low) - 1e-9, high + 0.05 * (high - low) + 1e-9)
    _draw_published(panel, {algo: float(ds.published.sel(algo=algo)) for algo in algos})


def _draw_published(panel: Axes, published: Mapping[str, float]) -> None:
    """Arrowheads at the right of a panel at published returns; those above the frame are at its upper end.

    Args:
        panel: The axes, with their limits.
        published: By algorithm, in the order in which they share out colours; NaN where there is none.
    """
    top, places = panel.get_ylim()[1], iter(1 - 0.06 * np.arange(len(published)))
    for algo, value in published.items():
        if np.isnan(value):
            continue
        is_inside = value <= top
        panel.plot(
            1 if is_inside else next(places), min(value, top), color=look(algo, tuple(published)).colour, linestyle="",
            marker=PUBLISHED if is_inside else ABOVE, markersize=6, markeredgewidth=0, clip_on=False,
            transform=panel.get_yaxis_transform(), label=f"{algo} published",
        )  # fmt: skip


def _handles(ds: xr.Dataset) -> list[list]:
    means = algo_handles(algos_of(ds), ", interquartile mean", markersize=3, markeredgewidth=0, **ALL)
    published = grey_handle(
        "published for the -v2 task", linestyle="", marker=PUBLISHED, markersize=6, markeredgewidth=0
    )
    return [
        means,
        [grey_handle("one seed", **ONE), *band_handles(ds, "between agents")],
        [published] if ds.published.notnull().any() else [],
    ]
