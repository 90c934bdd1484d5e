"""Effects of PPO's implementation choices: main effects and interactions of four switches (paper's first version)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pgprim.core.factorial import best_choice, contrast, contrasts
from pgprim.core.final_return import final_return
from pgprim.plotting.choose import choose
from pgprim.plotting.intervals import bar_handles, reach_of
from pgprim.plotting.labels import axis_label, task_label
from pgprim.plotting.legends import legend_above, text_handle
from pgprim.plotting.panels import name_columns, panel_grid
from pgprim.plotting.style import ALGOS, GREY, style
from pgprim.store.labelled import label, stack_values
from pgprim.store.records import LABELS

FIGURES = ("ablation",)
SWITCHES = {
    "rew_norm": "reward normalisation",
    "init": "orthogonal weights",
    "anneal": "annealing",
    "value_clip": "value clipping",
}
"""What switching on means; a switch that is not here goes by its own name."""

RULES = {
    "best": (*ALGOS["ppo"], "each cell's best rate"),
    "mean": (ALGOS["ppo"].colour, "+", "mean over rates"),
}
"""How a cell's learning rates become one number: PPO's colour, a marker, and words."""

LEVELS = {"off": (GREY, 0.8), "on": (ALGOS["ppo"].colour, 1.5)}
"""Colour and width of the lines of the two halves of the design that a switch makes."""


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The dataset that the figure draws: final returns of all runs, and effects with their intervals.

    With `best`, each cell uses the learning rate with the highest return over the seeds `ablation.choose`, and is
    reported on the other seeds only. With `mean`, each seed counts with its mean over all rates, and all seeds are
    reported, since none of them selected a rate. Intervals are between seeds (`core.factorial.contrast`).

    Args:
        figure: One of `FIGURES`.
        ds: All records of the ablation.
        params: The parameter file; `ablation` and `plot.level`.

    Raises:
        UserError: If `ds` does not hold records of the ablation.
    """
    block = params["ablation"]
    ds = choose(ds, ["return_mean", "diverged"]).squeeze("algo", drop=True)
    ds = ds.transpose("task", "cell", "rate", "seed", "iteration")
    finals = final_return(ds.return_mean.values, ds.diverged.values.astype(bool), block["final"])
    names = list(block["switches"])
    on = np.array([[digit == "1" for digit in cell] for cell in ds.cell.values])
    chooses = np.isin(ds.seed.values, block["choose"])
    coefficients = contrasts(on)
    effects = []
    chosen = np.empty((ds.task.size, len(on)))
    for place, values in enumerate(finals):
        best = best_choice(values, chooses)
        chosen[place] = ds.rate.values[best]
        repeats = {
            "best": list(values[np.arange(len(on)), best][:, ~chooses]),
            "mean": list(values.mean(1)),
        }
        finite = [[cell[np.isfinite(cell)] for cell in repeats[rule]] for rule in RULES]
        effects.append(
            [[contrast(c, cells, params["plot"]["level"]) for c in coefficients.values()] for cells in finite]
        )
    units = ds.return_mean.attrs["units"]
    dims = ("task", "cell", "rate", "seed")
    variables = {
        "effect_size": (("task", "rule", "effect"), stack_values(effects)),
        "final_return": (dims, finals),
        "best_rate": (("task", "cell"), chosen),
        "diverged": (dims, ds.diverged.values),
        "is_on": (("cell", "switch"), on.astype(np.int8)),
        "num_seeds": (("rule",), [int((~chooses).sum()), ds.seed.size]),
    }
    described = {
        "effect_size": ("effect on the final return", units),
        "final_return": ("final return", units),
        "best_rate": ("learning rate that earned most over the seeds that choose", "1"),
        "diverged": tuple(ds.diverged.attrs[key] for key in ("long_name", "units")),
        "is_on": ("switch is on", "1"),
        "num_seeds": ("seeds that report an effect", "1"),
        "rule": ("how a cell's learning rates become one number", "1"),
        "switch": ("switch", "1"),
        "effect": ("switch, or two switches whose interaction it is", "1"),
        **LABELS,
    }
    coords = {name: ds[name].values for name in dims} | {
        "rule": list(RULES),
        "switch": names,
        "effect": [" × ".join(names[k] for k in effect) for effect in coefficients],
    }
    attrs = {"figure": figure, "level": params["plot"]["level"], "iterations": ds.iteration.size}
    selected = label(variables, described, coords, attrs)
    selected.final_return.attrs["comment"] = (
        f"mean return over the last {100 * block['final']:g} % of the iterations"
    )
    return selected


def plot(ds: xr.Dataset) -> list[Figure]:
    """Two pages: effects and two-way interactions with intervals, and final returns split by each switch."""
    with style():
        return [plot_effects(ds), plot_distributions(ds)]


def plot_effects(ds: xr.Dataset) -> Figure:
    """A row per effect, a panel per task: the effect of switching on, for both treatments of learning rates."""
    height = 0.19 * ds.effect.size + 0.4
    figure, axes = panel_grid(1, ds.task.size, height=height, extra=0.75)
    rows = np.arange(ds.effect.size, dtype=float)
    for panel, task in zip(axes[0], ds.task.values, strict=True):
        panel.axvline(0, color=GREY, linewidth=0.8)
        for offset, (rule, (hue, marker, _)) in zip((-0.16, 0.16), RULES.items(), strict=True):
            one = ds.sel(task=task, rule=rule)
            panel.errorbar(
                one.effect_size, rows + offset, xerr=reach_of(one, "effect_size"), fmt=marker, color=hue, markersize=3,
                elinewidth=0.8, label=rule,
            )  # fmt: skip
        panel.set_title(task_label(task))
        panel.axhline(ds.switch.size - 0.5, color=GREY, linewidth=0.4)
        panel.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes[0, 0].set_yticks(rows, [effect_label(name) for name in ds.effect.values])
    axes[0, 0].set_ylim(rows[-1] + 0.6, -0.6)
    figure.supxlabel(f"Effect on the final return [{ds.effect_size.attrs['units']}]")
    marks = [
        Line2D(
            [],
            [],
            color=hue,
            marker=marker,
            linestyle="",
            label=f"{words}, {int(ds.num_seeds.sel(rule=rule))} seeds",
        )
        for rule, (hue, marker, words) in RULES.items()
    ]
    legend_above(figure, [marks, bar_handles(ds, "over seeds")])
    return figure


def plot_distributions(ds: xr.Dataset) -> Figure:
    """A row per task, a panel per switch: the distribution function of returns, with the switch on and off.

    All cells, learning rates and seeds are included, as in the paper's first version.
    """
    figure, axes = panel_grid(ds.task.size, ds.switch.size, height=1.35, extra=0.65)
    for line, task in zip(axes, ds.task.values, strict=True):
        for panel, switch in zip(line, ds.switch.values, strict=True):
            draw_split(panel, ds.sel(task=task), switch)
        words = "share of runs with\nat most this return"
        line[0].set_ylabel(f"{task_label(task)}:\n{words}" if ds.task.size > 1 else words.capitalize())
    name_columns(axes, map(effect_label, ds.switch.values))
    figure.supxlabel(axis_label(ds.final_return))
    handles = [
        Line2D([], [], color=hue, linewidth=width, label=level) for level, (hue, width) in LEVELS.items()
    ]
    count = text_handle(f"{int(ds.diverged.sum())} of {ds.diverged.size} runs diverged")
    legend_above(figure, [[handle] for handle in (*handles, count)])
    return figure


def draw_split(panel: Axes, ds: xr.Dataset, switch: str) -> None:
    """Distribution functions of final returns with a switch off and on.

    Args:
        panel: The axes to draw into.
        ds: What `select` gives, for one task.
        switch: Which.
    """
    is_on = ds.is_on.sel(switch=switch).values.astype(bool)
    for level, (hue, width) in LEVELS.items():
        values = np.sort(ds.final_return.values[is_on == (level == "on")].ravel())
        panel.ecdf(values[np.isfinite(values)], color=hue, linewidth=width, label=level)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=3))
    panel.set_ylim(0, 1)


def effect_label(name: str) -> str:
    """`rew_norm × anneal` -> `reward normalisation × annealing`."""
    return " × ".join(SWITCHES.get(part, part.replace("_", " ")) for part in name.split(" × "))
