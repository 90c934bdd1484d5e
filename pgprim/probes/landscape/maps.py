"""Landscapes drawn: heat maps of surrogate and reward, of the reward's standard error, and one large surface."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from pgprim.plotting.labels import algo_label, number_label, task_label
from pgprim.plotting.panels import panel_grid
from pgprim.plotting.style import COLUMN, WIDTH

CONTOURS = 6
"""Contour lines between the ends of a panel's colour scale."""

COLOURS = "viridis"
SURROGATE_COLOURS = "YlOrRd_r"
"""Of surrogates, which have other units than rewards and scales of their own; as in `COLOURS`, light is high."""

ERROR_COLOURS = "Greys"

SMALL = 6.5
"""Type above panels [point]."""

ALONG = np.linspace(0, 1, 21)
"""Points along the step, from the agent before it to the agent after it."""

ARROW = {
    "arrowstyle": "-|>",
    "color": "white",
    "linewidth": 1.0,
    "shrinkA": 0,
    "shrinkB": 0,
    "mutation_scale": 7,
}
"""White with a black outline, so that it is seen on every colour, in grey print, too."""


def draw_pages(ds: xr.Dataset) -> list[Figure]:
    """Pages of raw maps, maps with smoothed rewards, the rewards' standard errors, and one surface.

    Without surrogates each row of raw maps is there twice: on one colour scale, and again on a scale per panel, because
    a few outlying points of the smallest sample set the common one.

    Args:
        ds: What `plot.select` gives for a figure of surfaces.
    """
    smoothed = ds.assign(shown=ds.smoothed.where(ds.is_reward > 0, ds.shown))
    raw = ds if (ds.is_reward == 0).any() else _rows_twice(ds)
    return [draw_maps(raw), draw_maps(smoothed, smoothed=True), draw_errors(ds), draw_surface(ds)]


def _rows_twice(ds: xr.Dataset) -> xr.Dataset:
    """Each row and then itself again, marked by `own_scale`."""
    rows = np.repeat(np.arange(ds.sizes["row"]), 2)
    return ds.isel(row=rows).assign(own_scale=("row", np.tile([False, True], ds.sizes["row"])))


def draw_maps(ds: xr.Dataset, smoothed: bool = False) -> Figure:
    """Heat maps of the planes with the step as an arrow. Rewards in a row share a colour scale; surrogates do not.

    Surrogates have other colours than rewards. In a row marked by `own_scale` rewards do not share a scale, either.
    Contours are drawn where there is no noise: of surrogates, and of smoothed rewards.

    Args:
        ds: What `plot.select` gives, with what is to be drawn as `shown`.
        smoothed: Whether the rewards are smoothed.
    """
    figure, axes = _maps_grid(ds, "rewards smoothed by a Gaussian process" if smoothed else "")
    bars: dict[int, ScalarMappable] = {}
    for row, column, scale in scales(ds):
        panel, shown = axes[row, column], ds.shown.values[row, column]
        is_reward = bool(ds.is_reward.values[row, column])
        mesh = _draw_map(panel, ds, shown, scale, COLOURS if is_reward else SURROGATE_COLOURS)
        if is_reward and not _has_own_scale(ds, row):
            bars[row] = mesh
        if (smoothed or not is_reward) and np.nanmax(shown) > np.nanmin(shown):
            levels = np.linspace(scale.vmin, scale.vmax, CONTOURS + 2)[1:-1]
            look = {"colors": "black", "linewidths": 0.4, "linestyles": "solid", "alpha": 0.6}
            panel.contour(ds.alpha, ds.beta, shown.T, levels, **look)
        size = _size_words(ds, row, column, smoothed)
        panel.set_title(_caption(ds, row, column, size), fontsize=SMALL, linespacing=1.1)
    for row, mesh in bars.items():
        _draw_bar(figure, mesh, axes[row], "reward")
    return figure


def draw_errors(ds: xr.Dataset) -> Figure:
    """Standard errors of the rewards: white is 0, black a quarter of the range of the row's rewards or more.

    On a surface of pure noise it is about a quarter: 49 normal numbers span about 4.5 standard deviations. Points
    with fewer than two complete episodes have no standard error and are blank.
    """
    rewards = ds.isel(panel=np.flatnonzero((ds.is_reward > 0).any("row")))
    figure, axes = _maps_grid(rewards, "standard error of the reward; black: a quarter of the row's range")
    bars: dict[int, ScalarMappable] = {}
    for row, column, of_rewards in scales(rewards):
        panel, se = axes[row, column], rewards.se.values[row, column]
        scale = Normalize(0, (of_rewards.vmax - of_rewards.vmin) / 4)
        bars[row] = _draw_map(panel, rewards, se, scale, ERROR_COLOURS)
        panel.set_title(_caption(rewards, row, column, _error_words(se)), fontsize=SMALL, linespacing=1.1)
    for row, mesh in bars.items():
        _draw_bar(figure, mesh, axes[row], "SE", extend="max")
    return figure


def draw_surface(ds: xr.Dataset) -> Figure:
    """One large surface: the raw reward around the last checkpoint, coloured by the surrogate of the same step.

    Of several planes it shows that of the step from few pairs; of several numbers of pairs, the largest. Without a
    surrogate, the colour repeats the height. The step is the arrow along the front edge.
    """
    row, (column, beside) = ds.row.size - 1, _largest(ds)
    shown = ds.shown.values[row, column]
    painted = shown if beside is None else ds.shown.values[row, beside]
    scale = _limits(painted)
    alpha, beta = np.meshgrid(ds.alpha.values, ds.beta.values, indexing="ij")
    figure = Figure(figsize=(WIDTH, 3.9))
    panel = figure.add_axes((0.01, 0.05, 0.86, 0.88), projection="3d", computed_zorder=False)
    faces = (painted[:-1, :-1] + painted[1:, :-1] + painted[:-1, 1:] + painted[1:, 1:]) / 4
    colours = COLOURS if beside is None else SURROGATE_COLOURS
    paint = colormaps[colours](scale(np.pad(faces, ((0, 1), (0, 1)), mode="edge")))
    panel.plot_surface(
        alpha, beta, shown, facecolors=paint, linewidth=0.2, edgecolor="0.3", rstride=1, cstride=1, shade=False
    )  # fmt: skip
    # Points without a complete episode have no height: there the arrow lies at the bottom.
    height = np.interp(ALONG, ds.alpha.values, np.nan_to_num(shown[:, 0], nan=np.nanmin(shown)))
    _draw_step(panel, height, ds.beta.values[0])
    panel.view_init(elev=28, azim=-128)
    panel.set_box_aspect((1, 1, 0.72), zoom=0.98)
    panel.tick_params(labelsize=7, pad=0)
    panel.set_xlabel("multiples of the update step", fontsize=8, labelpad=1)
    panel.set_ylabel("multiples of the random direction", fontsize=8, labelpad=1)
    panel.set_zlabel("mean return [reward]", fontsize=8, labelpad=3)
    for axis in ("x", "y", "z"):
        panel.locator_params(axis=axis, nbins=4)
    bar = figure.colorbar(ScalarMappable(scale, colours), cax=figure.add_axes((0.87, 0.22, 0.022, 0.5)))
    bar.set_label("mean return [reward]" if beside is None else "surrogate [1]", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_linewidth(0.4)
    title = str(ds.title.values[row, column]).replace("\n", ", ")
    words = f"{_headline(ds)}\n{ds.row_name.values[row]}: {title}, {_counts(ds, row, column)}"
    figure.suptitle(words, y=0.985, fontsize=8.5)
    return figure


def _draw_step(panel: Axes, height: np.ndarray, beta: float) -> None:
    """The step as an arrow on a surface, at its height at the points `ALONG` of the edge β."""
    for width, hue in ((4.0, "black"), (2.2, "white")):
        edge = np.full(ALONG.size, beta)
        panel.plot(ALONG, edge, height, color=hue, linewidth=width, zorder=5, label="step")
    head = {"marker": ">", "markersize": 8, "color": "white", "markeredgecolor": "black"}
    panel.plot([1], [beta], height[-1:], zorder=6, **head)
    outline = [withStroke(linewidth=2, foreground="white")]
    panel.text(1, beta, height[-1], "  the step\n", fontsize=8, zorder=7, path_effects=outline)


def scales(ds: xr.Dataset) -> Iterator[tuple[int, int, Normalize]]:
    """Row, column and colour scale of each panel with data: a row's rewards share one, each surrogate has its own."""
    for row, column in np.ndindex(*ds.title.shape):
        one = ds.shown.values[row, column]
        if np.isfinite(one).any():
            is_reward = ds.is_reward.values[row]
            shares = is_reward[column] and not _has_own_scale(ds, row)
            yield row, column, _limits(ds.shown.values[row][is_reward > 0] if shares else one)


def _has_own_scale(ds: xr.Dataset, row: int) -> bool:
    return "own_scale" in ds and bool(ds.own_scale.values[row])


def _limits(values: np.ndarray) -> Normalize:
    low, high = np.nanmin(values), np.nanmax(values)
    return Normalize(low, high if high > low else low + 1)


def _largest(ds: xr.Dataset) -> tuple[int, int | None]:
    """The panel of the last row that is drawn as a surface, and that of its surrogate, if any."""
    shows = np.isfinite(ds.shown.values[-1]).any((1, 2))
    is_reward = ds.is_reward.values[-1] > 0
    rewards, others = np.flatnonzero(shows & is_reward), np.flatnonzero(shows & ~is_reward)
    if not others.size:
        return int(rewards[-1]), None
    return int(rewards[0]), int(others[others < rewards[0]][-1])


def _maps_grid(ds: xr.Dataset, note: str) -> tuple[Figure, np.ndarray]:
    """Panels with both axes named, those without data taken away; one or two columns make a narrow page."""
    rows, columns = ds.title.shape
    figure, axes = panel_grid(rows, columns, height=1.5, extra=0.9, sharey=False)
    is_narrow = columns <= 2
    if is_narrow:
        figure.set_figwidth(COLUMN)
    for row, column in np.ndindex(rows, columns):
        panel = axes[row, column]
        if not np.isfinite(ds.shown.values[row, column]).any():
            panel.remove()
            continue
        panel.tick_params(labelsize=SMALL, labelleft=column == 0, labelbottom=row == rows - 1)
    for row in range(rows):
        axes[row, 0].set_ylabel(_row_words(ds, row), fontsize=8)
    figure.supxlabel("multiples of the update step (arrow: the step itself)")
    figure.supylabel("multiples of the random direction")
    headline = _headline(ds).replace(": ", "\n") if is_narrow else _headline(ds)
    if note:
        headline += "\n" + (note.replace("; ", "\n") if is_narrow else note)
    figure.suptitle(headline, fontsize=8.5)
    return figure, axes


def _draw_map(
    panel: Axes, ds: xr.Dataset, shown: np.ndarray, scale: Normalize, colours: str
) -> ScalarMappable:
    mesh = panel.pcolormesh(
        ds.alpha, ds.beta, shown.T, cmap=colours, norm=scale, shading="nearest", rasterized=True
    )
    arrow = panel.annotate("", (1, 0), (0, 0), arrowprops=ARROW)
    arrow.arrow_patch.set_path_effects([withStroke(linewidth=2.2, foreground="black")])
    panel.set_aspect("equal")
    panel.grid(False)
    ticks = np.linspace(float(ds.alpha.min()), float(ds.alpha.max()), 4)
    panel.set_xticks(ticks)
    panel.set_yticks(ticks)
    return mesh


def _draw_bar(
    figure: Figure, mesh: ScalarMappable, axes: np.ndarray, name: str, extend: str = "neither"
) -> None:
    there = [panel for panel in axes if panel.get_figure() is not None]
    bar = figure.colorbar(mesh, ax=there, location="right", fraction=0.03, pad=0.01, aspect=14, extend=extend)
    bar.ax.tick_params(labelsize=SMALL)
    bar.ax.set_title(name, fontsize=SMALL, loc="left")  # clear of the next panel's words
    bar.outline.set_linewidth(0.4)
    bar.ax.locator_params(nbins=5)


def _row_words(ds: xr.Dataset, row: int) -> str:
    """The row's name, its step's norm if no headline and no surrogate has it, and whether its panels have own scales."""
    words = [str(ds.row_name.values[row])]
    own = _norms(ds.step_norm.values[row])
    shows = np.isfinite(ds.shown.values[row]).any((1, 2))
    has_surrogate = (shows & (ds.is_reward.values[row] == 0)).any()
    if len(own) == 1 and len(_norms(ds.step_norm.values)) > 1 and not has_surrogate:
        words.append(f"‖step‖ {own[0]}")
    if _has_own_scale(ds, row):
        words.append("own scales")
    return "\n".join(words)


def _norms(norms: np.ndarray) -> list[str]:
    """The different norms among some, with two digits."""
    return list(dict.fromkeys(number_label(norm) for norm in norms[np.isfinite(norms)]))


def _caption(ds: xr.Dataset, row: int, column: int, size: str) -> str:
    """The column's name, above the first row and where it changes; then the panel's numbers, a reward's with `size`."""
    shown = ds.shown.values[row, column]
    if _has_own_scale(ds, row):
        return f"from {number_label(np.nanmin(shown))} to {number_label(np.nanmax(shown))}"
    titles = ds.title.values[:, column]
    head = f"{titles[row]}\n" if row == 0 or titles[row] != titles[0] else ""
    if ds.is_reward.values[row, column]:
        return f"{head}{_counts(ds, row, column)}\n{size}"
    ends = f"from {number_label(np.nanmin(shown))} (dark) to {number_label(np.nanmax(shown))}"
    return f"{head}‖step‖ = {number_label(ds.step_norm.values[row, column])}\n{ends}"


def _size_words(ds: xr.Dataset, row: int, column: int, smoothed: bool) -> str:
    """The range of a panel's rewards and, of raw ones, the median standard error of a point and the share of noise."""
    shown, se = (ds[name].values[row, column] for name in ("shown", "se"))
    words = f"range {number_label(np.nanmax(shown) - np.nanmin(shown))}"
    if smoothed:
        return f"{words} once smoothed"
    error = number_label(np.nanmedian(se)) if np.isfinite(se).any() else "unknown"
    share = float(ds.noise_share.values[row, column])
    noise = f"{_percent(share)} of the variance" if np.isfinite(share) else "unknown"
    return f"SE {error}, {words}\nnoise: {noise}"


def _percent(share: float) -> str:
    """A share in whole per cent; an unbiased estimate can lie outside 0 to 1."""
    if share > 0.99:
        return "> 99 %"
    return "< 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _error_words(se: np.ndarray) -> str:
    known = se[np.isfinite(se)]
    return f"SE {number_label(known.min())} to {number_label(known.max())}" if known.size else "SE unknown"


def _counts(ds: xr.Dataset, row: int, column: int) -> str:
    """Trajectories per point in words."""
    least, most = (int(ds[f"trajectories_{name}"].values[row, column]) for name in ("min", "max"))
    return f"{least} trajectories per point" if least == most else f"{least}-{most} trajectories/point"


def _headline(ds: xr.Dataset) -> str:
    names = [algo_label(ds.attrs["algo"])] if "algo" in ds.attrs else []
    names += [task_label(ds.attrs["task"])] if "task" in ds.attrs else []
    agents = f"{', '.join(names)}: " if names else ""
    norms = _norms(ds.step_norm.values)
    step = f"‖step‖ {norms[0]}, " if len(norms) == 1 else ""
    random = number_label(float(np.nanmax(ds.random_norm)))
    return f"{agents}{step}‖random direction‖ {random}"
