"""Landscapes: Figs. 5-7 and 13-20 as surfaces and heat maps, and how far surrogate and reward agree, as numbers.

Slices along the step and what a step promises and keeps are drawn in `slices`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from pgprim.core.intervals import Interval
from pgprim.core.smoothing import moderated_se, smooth
from pgprim.core.surface_noise import noise_share
from pgprim.plotting.choose import choose
from pgprim.plotting.intervals import bar_handles, draw_bars
from pgprim.plotting.labels import algo_label, count_label, task_label
from pgprim.plotting.panels import legend_above, name_row, panel_grid
from pgprim.plotting.style import BATCHES as LOOK_OF
from pgprim.plotting.style import GREY, WIDTH, shades, style
from pgprim.probes.landscape import slices
from pgprim.probes.landscape.alignment import align, budgets_of
from pgprim.store.labelled import label
from pgprim.types.errors import UserError

CONCENTRATION = {"fig5": (150,), "fig19": None, "fig20": None}
"""Iterations of each figure of true reward by the budget; None for all that there are."""

SURROGATE = {"fig6": (0, 300), "fig7": (0, 300)} | {f"fig{number}": None for number in range(13, 19)}
"""The same for the figures of surrogate beside true reward."""

FIGURES = (*CONCENTRATION, *SURROGATE, "trajectories", "alignment", *slices.FIGURES)

BATCHES = {"few": "step by few pairs", "many": "step by many pairs"}
LOOKS = {
    "few": ("plane of a step by few pairs", *LOOK_OF["few"]),
    "many": ("plane of a step by many pairs", *LOOK_OF["many"]),
    "slice_few": ("slice along a step by few pairs", LOOK_OF["few"].colour, "4"),
    "slice_many": ("slice along a step by many pairs", LOOK_OF["many"].colour, "H"),
    "steps": ("independent steps", GREY, "."),
}
"""Name, colour and marker of what a rank correlation is over."""

ROW, HEAD = 1.45, 0.5
"""Height of a row of surfaces, and of what is above the first [inch]."""

CONTOURS = 6
COLOURS = "viridis"


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that a figure draws.

    A figure of surfaces has the panels of every row as `shown[row, panel, alpha, beta]`, rewards smoothed as `smoothed`,
    with what is written above them: trajectories per point, and the share of the variance over the surface that is noise.
    `alignment` has the rank correlations of surrogate and reward, and all shares of noise.

    Args:
        figure: One of `FIGURES`.
        ds: All landscapes that are to be drawn; of several agents' the first one's are drawn.
        params: The parameter file; of it only `plot.level` is used.

    Raises:
        UserError: If `ds` does not hold the landscapes.
    """
    level = params["plot"]["level"]
    if figure == "alignment":
        return align(ds, level).assign_attrs(figure=figure, level=level)
    if figure in slices.FIGURES:
        return slices.select(figure, ds)
    kinds = ["few"] if figure in CONCENTRATION or figure == "trajectories" else list(BATCHES)
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
    """Surfaces, heat maps and these smoothed, a page each; or rank correlations and shares of noise; or slices."""
    with style():
        if ds.attrs["figure"] == "alignment":
            return [plot_correlations(ds), plot_noise(ds)]
        if ds.attrs["figure"] in slices.FIGURES:
            return slices.plot(ds)
        smoothed = ds.assign(shown=ds.smoothed.where(ds.is_reward > 0, ds.shown))
        note = ", rewards smoothed by a Gaussian process"
        return [plot_surfaces(ds), plot_heat_maps(ds), plot_heat_maps(smoothed, note)]


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
        size = f"step by {count_label(float(one.batch_pairs))} pairs"
        yield {"title": f"surrogate\n{size}", "is_reward": 0, "shown": one.surrogate.values, **_about(one)}
        budget = max(common or budgets_of(one.reward))
        title = f"reward, {count_label(budget)} pairs\n{size}"
        yield _reward_panel(title, one.sel(budget=budget), "", level)


def _reward_panel(title: str, one: xr.Dataset, prefix: str, level: float) -> dict[str, Any]:
    """The true reward of one plane for one number of pairs or, with the prefix `first_`, of trajectories."""
    reward, se, num = (
        one[f"{prefix}{name}"].transpose("alpha", "beta").values
        for name in ("reward", "reward_se", "num_trajectories")
    )
    halves = one[f"{prefix}reward_half"].transpose("alpha", "beta", "half").values
    least, middle, most = np.nanquantile(num, [0, 0.5, 1])
    return {
        "title": title,
        "is_reward": 1,
        "shown": reward,
        "smoothed": _smooth(one, reward, se, num),
        "trajectories_min": least,
        "trajectories_median": middle,
        "trajectories_max": most,
        "noise_share": noise_share(halves.reshape(-1, 2), level),
        **_about(one),
    }


def _smooth(one: xr.Dataset, reward: np.ndarray, se: np.ndarray, num: np.ndarray) -> np.ndarray:
    """The surface behind the noise; not a number where no point has two episodes."""
    if not (num > 1).any():
        return np.full_like(reward, np.nan)
    axes = np.meshgrid(one.alpha.values, one.beta.values, indexing="ij")
    points = np.stack([axis.ravel() for axis in axes], axis=1)
    error = moderated_se(se.ravel(), np.nan_to_num(num.ravel()))
    return smooth(points, reward.ravel(), error).mean.reshape(reward.shape)


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
    shown, smoothed = np.full((2, *size, ds.alpha.size, ds.beta.size), np.nan)
    numbers = {name: np.full(size, np.nan) for name in PANEL_NUMBERS}
    share = Interval(*np.full((3, *size), np.nan))
    titles, is_reward = np.full(size, "", object), np.zeros(size)
    for row, line in enumerate(panels):
        for column, panel in enumerate(line):
            place = row, column
            shown[place], titles[place], is_reward[place] = panel["shown"], panel["title"], panel["is_reward"]
            smoothed[place] = panel.get("smoothed", np.nan)
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
        "title": (dims, titles),
        "is_reward": (dims, is_reward),
        "row_name": (("row",), words),
        "noise_share": (dims, share),
        **{name: (dims, values) for name, values in numbers.items()},
    }
    coords = {name: ds[name].values for name in ("alpha", "beta")}
    attrs = {"task": str(rows[0].task.values), "algo": str(rows[0].algo.values), "seed": int(ds.seed)}
    return label(variables, DESCRIBED, coords, attrs | {"algos_differ": int("algo" in several)})


def plot_surfaces(ds: xr.Dataset) -> Figure:
    """3-D surfaces as in the paper: the step along one axis, the random direction along the other."""
    rows, columns = ds.title.shape
    height = ROW * rows + HEAD
    figure = Figure(figsize=(WIDTH, height))
    grid = figure.subplots(
        rows, columns, squeeze=False, subplot_kw={"projection": "3d", "computed_zorder": False}
    )
    alpha, beta = np.meshgrid(ds.alpha.values, ds.beta.values, indexing="ij")
    for row, column, scale in _scales(ds):
        panel, shown = grid[row, column], ds.shown.values[row, column]
        panel.plot_surface(
            alpha, beta, shown, cmap=COLOURS, norm=scale, linewidth=0.1, edgecolor="0.3", rstride=1, cstride=1
        )
        panel.plot(
            ds.alpha, np.full(ds.alpha.size, ds.beta.values[0]), shown[:, 0], color="red", linewidth=1.0
        )
        panel.set_zlim(scale.vmin, scale.vmax)
        panel.view_init(elev=28, azim=-128)
        panel.set_box_aspect(None, zoom=0.88 if columns > 3 else 1.02)
        panel.tick_params(labelsize=5, pad=-4)
        panel.tick_params(axis="z", pad=-2)
        panel.set_xlabel("step", fontsize=6, labelpad=-11)
        panel.set_ylabel("random", fontsize=6, labelpad=-11)
        panel.set_title(_caption(ds, row, column), fontsize=6.5, y=0.97, pad=0)
        for axis, bins in (("x", 3), ("y", 3), ("z", 4)):
            panel.locator_params(axis=axis, nbins=bins)
    _remove_blank(ds, grid)
    for row, name in enumerate(ds.row_name.values):
        middle = 1 - (HEAD + ROW * (row + 0.5)) / height
        figure.text(0.985, middle, name, rotation=270, ha="right", va="center", fontsize=8)
    figure.subplots_adjust(
        left=0.03, right=0.95, bottom=0.06 / height, top=1 - (HEAD + 0.1) / height, wspace=0.12, hspace=0.12
    )
    figure.suptitle(_headline(ds), y=1 - 0.06 / height, va="top", fontsize=8.5)
    return figure


def plot_heat_maps(ds: xr.Dataset, note: str = "") -> Figure:
    """The same seen from above, with contours and the step; one colour scale per row for all that compares."""
    rows, columns = ds.title.shape
    figure, axes = panel_grid(rows, columns, height=1.55, extra=0.55, sharey=False)
    extent = (float(ds.alpha.min()), float(ds.alpha.max()))
    drawn: dict[tuple[int, bool], ScalarMappable] = {}
    for row, column, scale in _scales(ds):
        panel, shown = axes[row, column], ds.shown.values[row, column]
        mesh = panel.pcolormesh(
            ds.alpha, ds.beta, shown.T, cmap=COLOURS, norm=scale, shading="nearest", rasterized=True
        )
        drawn[row, bool(ds.is_reward[row, column])] = mesh
        if np.ptp(shown[np.isfinite(shown)]) > 0:
            panel.contour(
                ds.alpha, ds.beta, shown.T, CONTOURS, colors="white", linewidths=0.4, linestyles="solid"
            )
        panel.annotate(
            "",
            (1, 0),
            (0, 0),
            arrowprops={
                "arrowstyle": "-|>",
                "color": "red",
                "linewidth": 1.0,
                "shrinkA": 0,
                "shrinkB": 0,
                "mutation_scale": 6,
            },
        )
        panel.set_title(_caption(ds, row, column), fontsize=6.5)
        panel.set_aspect("equal")
        panel.grid(False)
        panel.set_xticks(np.linspace(*extent, 4))
        panel.set_yticks(np.linspace(*extent, 4))
        panel.tick_params(labelsize=6, labelleft=column == 0, labelbottom=row == rows - 1)
    _remove_blank(ds, axes)
    for (row, is_reward), mesh in drawn.items():
        bar = figure.colorbar(
            mesh, ax=axes[row, :].tolist(), location="right", fraction=0.03, pad=0.01, aspect=14
        )
        bar.ax.tick_params(labelsize=5.5)
        bar.ax.set_title("reward" if is_reward else "surr.", fontsize=6)
        bar.outline.set_linewidth(0.4)
        bar.ax.locator_params(nbins=5)
    for row in range(rows):
        axes[row, 0].set_ylabel(str(ds.row_name.values[row]), fontsize=8)
    figure.supxlabel("multiples of the update step (arrow: the step itself)")
    figure.supylabel("multiples of the random direction")
    figure.suptitle(_headline(ds) + note, fontsize=8.5)
    return figure


def _scales(ds: xr.Dataset) -> Iterator[tuple[int, int, Normalize]]:
    """Row, column and colour scale of each panel that shows anything."""
    for row, column in np.ndindex(*ds.title.shape):
        if not np.isfinite(ds.shown.values[row, column]).any():
            continue
        alike = ds.is_reward.values[row] == ds.is_reward.values[row, column]
        values = ds.shown.values[row][alike]
        low, high = np.nanmin(values), np.nanmax(values)
        yield row, column, Normalize(low, high if high > low else low + 1)


def _remove_blank(ds: xr.Dataset, grid: np.ndarray) -> None:
    for place in np.ndindex(*grid.shape):
        if not np.isfinite(ds.shown.values[place]).any():
            grid[place].remove()


def _caption(ds: xr.Dataset, row: int, column: int) -> str:
    """The column's name above the first row; the step's norm, or the trajectories per point and the share of noise."""
    head = f"{ds.title.values[row, column]}\n" if row == 0 else ""
    if not ds.is_reward.values[row, column]:
        return f"{head}‖step‖ = {ds.step_norm.values[row, column]:.2g}"
    least, middle, most = (
        ds[f"trajectories_{name}"].values[row, column] for name in ("min", "median", "max")
    )
    count = f"{middle:.0f} traj." if least == most else f"{least:.0f}-{most:.0f} traj."
    share = ds.noise_share.values[row, column]
    return head + count + (f", noise {100 * share:.2g} %" if np.isfinite(share) else "")


def _headline(ds: xr.Dataset) -> str:
    algo = "" if ds.attrs["algos_differ"] else f"{algo_label(ds.attrs['algo'])}, "
    norms = ds.step_norm.values[np.isfinite(ds.step_norm.values)]
    sizes = f"{norms.min():.2g}" if np.ptp(norms) == 0 else f"{norms.min():.2g} to {norms.max():.2g}"
    random = float(np.nanmax(ds.random_norm))
    return f"{algo}{task_label(ds.attrs['task'])}: ‖step‖ {sizes}, ‖random direction‖ {random:.2g}"


def plot_correlations(ds: xr.Dataset) -> Figure:
    """Rank correlation along the step against the checkpoint: a row per algorithm, a column per task."""
    figure, panels = _grid(
        ds, "rank correlation of surrogate\nand reward along the step", "Training iteration"
    )
    iterations = ds.iteration.values.astype(float)
    gap = np.diff(iterations).min() if iterations.size > 1 else 1.0
    for panel, agents in panels:
        panel.axhline(0, color=GREY, linewidth=0.6)
        for shift, (kind, (_, hue, symbol)) in zip(
            np.linspace(-0.24, 0.24, len(LOOKS)), LOOKS.items(), strict=True
        ):
            for seed in ds.seed.values:
                one = agents.sel(kind=kind, seed=seed)
                x = iterations + shift * gap
                panel.plot(x, one.correlation, color=hue, marker=symbol, linewidth=0.6, label=kind)
                draw_bars(panel, x, one, "correlation", color=hue, linewidth=0.8)
                panel.plot(
                    x, one.ceiling, color=hue, linestyle="", marker="_", markersize=5, label=f"{kind} ceiling"
                )
        panel.set_xticks(iterations)
        panel.set_ylim(-1.05, 1.05)
    ceiling = Line2D(
        [],
        [],
        color=GREY,
        marker="_",
        markersize=6,
        linestyle="",
        label="√(1 − share of noise along the step)",
    )
    kinds = _kind_handles()
    legend_above(figure, [kinds[:3], [*kinds[3:], *bar_handles(ds, "within the agent"), ceiling]])
    return figure


def plot_noise(ds: xr.Dataset) -> Figure:
    """Share of noise in a surface against the pairs per point: a row per algorithm, a column per task."""
    figure, panels = _grid(ds, "share of noise in\nthe reward's variance", "State-action pairs per point")
    for panel, agents in panels:
        panel.axhline(1, color=GREY, linewidth=0.6)
        for kind, (_, hue, symbol) in LOOKS.items():
            for iteration, shade in zip(ds.iteration.values, shades(hue, ds.iteration.size), strict=True):
                one = (
                    agents.sel(kind=kind, iteration=iteration)
                    .isel(seed=0)
                    .dropna("budget", subset=["noise_share"])
                )
                panel.plot(
                    one.budget, one.noise_share, color=shade, marker=symbol, linewidth=0.6,
                    label=f"{kind} {iteration}",
                )  # fmt: skip
                draw_bars(panel, one.budget, one, "noise_share", color=shade, linewidth=0.6)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(FixedLocator(ds.budget.values.tolist()))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count_label(float(value))))
        panel.xaxis.set_minor_locator(FixedLocator([]))
        panel.set_ylim(-0.05, 1.5)
    checkpoints = [
        Line2D([], [], color=shade, linewidth=1.5, label=f"iteration {iteration}")
        for iteration, shade in zip(ds.iteration.values, shades(GREY, ds.iteration.size), strict=True)
    ]
    kinds = _kind_handles()
    legend_above(figure, [kinds[:3], kinds[3:], checkpoints])
    return figure


def _grid(ds: xr.Dataset, quantity: str, against: str) -> tuple[Figure, list[tuple[Axes, xr.Dataset]]]:
    """Panels in a row per algorithm and a column per task, each with what it shows."""
    figure, axes = panel_grid(ds.algo.size, ds.task.size, height=1.45, extra=1.0)
    for panel, task in zip(axes[0], ds.task.values, strict=True):
        panel.set_title(task_label(task))
    for line, algo in zip(axes, ds.algo.values, strict=True):
        line[0].set_ylabel(quantity)
        name_row(line[-1], algo_label(algo))
    for panel in axes[:-1].flat:
        panel.tick_params(labelbottom=False)
    figure.supxlabel(against)
    places = ((row, column) for row in range(ds.algo.size) for column in range(ds.task.size))
    return figure, [(axes[place], ds.isel(algo=place[0], task=place[1])) for place in places]


def _kind_handles() -> list[Line2D]:
    return [
        Line2D([], [], color=hue, marker=symbol, linewidth=0.6, label=name)
        for name, hue, symbol in LOOKS.values()
    ]
