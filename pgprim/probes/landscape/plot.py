"""Landscapes: the data of the panels of Figs. 5-7 and 13-20, and which module draws which figure.

`maps` draws heat maps and surfaces, `slices` slices along the step and promises, `agreement` the agreement of
surrogate and reward and the share of noise.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from pgprim.core.intervals import Interval
from pgprim.plotting.choose import budgets_of, choose
from pgprim.plotting.labels import algo_label, count_label, task_label
from pgprim.plotting.style import style
from pgprim.plotting.surfaces import reward_surface
from pgprim.probes.landscape import agreement, maps, slices
from pgprim.probes.landscape.alignment import align
from pgprim.store.labelled import label
from pgprim.types.errors import UserError

CONCENTRATION = {"fig5": (150,), "fig19": None, "fig20": None}
"""Iterations of each figure of true reward by the budget; None for all that there are."""

SURROGATE = {"fig6": (0, 300), "fig7": (0, 300)} | {f"fig{number}": None for number in range(13, 19)}
"""The same for the figures of surrogate beside true reward."""

FIGURES = (*CONCENTRATION, *SURROGATE, "trajectories", "alignment", *slices.FIGURES)

PLANES = ["few", "many"]
"""The kinds of landscapes over a plane: of a step from few pairs, and from many."""


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that a figure draws.

    A figure of surfaces has the panels of every row as `shown[row, panel, alpha, beta]`, rewards smoothed as
    `smoothed`, their standard errors as `se`, with trajectories per point and the share of the variance over the
    surface that is noise; rows are checkpoints of each task and algorithm, and what all rows share is an attribute.
    `alignment` has the rank correlations of surrogate and reward, and all shares of noise.

    Args:
        figure: One of `FIGURES`.
        ds: All landscapes that are to be drawn; surfaces are those of the first seed.
        params: The parameter file; only `plot.level` is used.

    Raises:
        UserError: If `ds` does not hold the landscapes.
    """
    level = params["plot"]["level"]
    if figure == "alignment":
        return align(ds, level).assign_attrs(figure=figure, level=level)
    if figure in slices.FIGURES:
        return slices.select(figure, ds)
    kinds = ["few"] if figure in CONCENTRATION or figure == "trajectories" else PLANES
    names = [
        "surrogate",
        "reward",
        "reward_se",
        "reward_half",
        "num_trajectories",
        "step_norm",
        "random_norm",
        "batch_pairs",
    ]
    if figure == "trajectories":
        names += [f"first_{name}" for name in names[1:5]]
    chosen = choose(ds, names)
    chosen = chosen.isel(seed=0).sel(kind=[kind for kind in kinds if kind in chosen.kind])
    wanted = (CONCENTRATION | SURROGATE).get(figure)
    if wanted is not None:
        there = [iteration for iteration in wanted if iteration in chosen.iteration]
        chosen = chosen.sel(iteration=there or chosen.iteration.values[-1:])
    source = ds.encoding.get("source", "the dataset")
    if not np.isfinite(chosen.surrogate).any():
        raise UserError(f"{source}: has no landscape of the kind {kinds[0]!r}; add it to landscape.kinds")
    if not np.isfinite(chosen.reward).any():
        raise UserError(
            f"{source}: no episode ended at any point, and the true reward is the mean return of "
            f"complete episodes; raise landscape.{kinds[0]}.budgets, or give the task a time limit"
        )
    rows = [
        chosen.sel(task=task, algo=algo, iteration=iteration)
        for task in chosen.task.values
        for algo in chosen.algo.values
        for iteration in chosen.iteration.values
    ]
    rows = [row for row in rows if np.isfinite(row.reward).any()]
    panels = [list(_panels(figure, row, level)) for row in rows]
    return _panels_dataset(panels, rows, chosen).assign_attrs(figure=figure, level=level)


def plot(ds: xr.Dataset) -> list[Figure]:
    """Pages of maps, smoothed maps, standard errors and a surface; or of correlations and noise; or of slices."""
    with style():
        if ds.attrs["figure"] == "alignment":
            return agreement.draw_pages(ds)
        if ds.attrs["figure"] in slices.FIGURES:
            return slices.plot(ds)
        return maps.draw_pages(ds)


def _panels(figure: str, row: xr.Dataset, level: float) -> Iterator[dict[str, Any]]:
    """Contents of the panels of one row, from left to right."""
    if figure == "trajectories":
        few = row.sel(kind="few")
        for count in row.trajectories.values:
            some = few.sel(trajectories=count)
            yield _reward_panel(f"up to {count} trajectories", some, "first_", level)
        return
    if figure in CONCENTRATION:
        few = row.sel(kind="few")
        for budget in budgets_of(few.reward):
            yield _reward_panel(f"{count_label(budget)} pairs", few.sel(budget=budget), "", level)
        return
    kinds = [kind for kind in row.kind.values if np.isfinite(row.reward.sel(kind=kind)).any()]
    common = set.intersection(*(set(budgets_of(row.reward.sel(kind=kind))) for kind in kinds))
    for kind in kinds:
        one = row.sel(kind=kind)
        size = f"step from {count_label(float(one.batch_pairs))} pairs"
        yield {"title": f"surrogate\n{size}", "is_reward": 0, "shown": one.surrogate.values, **_about(one)}
        budget = max(common or budgets_of(one.reward))
        title = f"reward, {count_label(budget)} pairs\n{size}"
        yield _reward_panel(title, one.sel(budget=budget), "", level)


def _reward_panel(title: str, one: xr.Dataset, prefix: str, level: float) -> dict[str, Any]:
    """The true reward of one plane for one number of pairs or, with the prefix `first_`, of trajectories."""
    surface = reward_surface(one, level, prefix)
    least, middle, most = np.nanquantile(surface.num, [0, 0.5, 1])
    return {
        "title": title,
        "is_reward": 1,
        "shown": surface.reward,
        "smoothed": surface.smoothed,
        "se": surface.se,
        "trajectories_min": least,
        "trajectories_median": middle,
        "trajectories_max": most,
        "noise_share": surface.noise_share,
        **_about(one),
    }


def _about(one: xr.Dataset) -> dict[str, float]:
    return {name: float(one[name]) for name in ("step_norm", "random_norm")}


PANEL_NUMBERS = {
    "trajectories_min": ("fewest complete trajectories at a point", "episodes"),
    "trajectories_median": ("median of the complete trajectories per point", "episodes"),
    "trajectories_max": ("most complete trajectories at a point", "episodes"),
    "step_norm": ("Euclidean norm of the update step", "1"),
    "random_norm": ("Euclidean norm of the random direction", "1"),
}


DESCRIBED = PANEL_NUMBERS | {
    "shown": ("surrogate or mean return over the plane", "reward, or 1 for the surrogate"),
    "smoothed": ("mean return over the plane, smoothed by a Gaussian process with known noise", "reward"),
    "se": ("standard error of the mean return at each point", "reward"),
    "title": ("what the panel shows", "1"),
    "is_reward": ("1 for the true reward, 0 for the surrogate", "1"),
    "row_name": ("whose row it is", "1"),
    "noise_share": ("share of the variance over the surface that is noise", "1"),
    "alpha": ("multiples of the update step", "1"),
    "beta": ("multiples of the random direction", "1"),
}
"""Long names and units."""


def _panels_dataset(panels: list[list[dict[str, Any]]], rows: list[xr.Dataset], ds: xr.Dataset) -> xr.Dataset:
    size = (len(panels), max(map(len, panels)))
    shown, smoothed, se = np.full((3, *size, ds.alpha.size, ds.beta.size), np.nan)
    numbers = {name: np.full(size, np.nan) for name in PANEL_NUMBERS}
    share = Interval(*np.full((3, *size), np.nan))
    titles, is_reward = np.full(size, "", object), np.zeros(size)
    for row, line in enumerate(panels):
        for column, panel in enumerate(line):
            place = row, column
            shown[place], titles[place], is_reward[place] = panel["shown"], panel["title"], panel["is_reward"]
            smoothed[place], se[place] = panel.get("smoothed", np.nan), panel.get("se", np.nan)
            for name in PANEL_NUMBERS:
                numbers[name][place] = panel.get(name, np.nan)
            for ends, end in zip(share, panel.get("noise_share", ()), strict=False):
                ends[place] = end
    several = {name for name in ("task", "algo") if len({str(row[name].values) for row in rows}) > 1}
    words = [
        " ".join(
            [task_label(str(row.task.values))] * ("task" in several)
            + [algo_label(str(row.algo.values))] * ("algo" in several)
            + [f"iteration {int(row.iteration)}"]
        )
        for row in rows
    ]
    dims = ("row", "panel")
    variables = {
        "shown": ((*dims, "alpha", "beta"), shown),
        "smoothed": ((*dims, "alpha", "beta"), smoothed),
        "se": ((*dims, "alpha", "beta"), se),
        "title": (dims, titles),
        "is_reward": (dims, is_reward),
        "row_name": (("row",), words),
        "noise_share": (dims, share),
        **{name: (dims, values) for name, values in numbers.items()},
    }
    coords = {name: ds[name].values for name in ("alpha", "beta")}
    shared = {name: str(rows[0][name].values) for name in ("task", "algo") if name not in several}
    return label(variables, DESCRIBED, coords, shared | {"seed": int(ds.seed)})
