"""The three findings of the front page: a headline, one sentence with the numbers, and a picture of their data."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pgprim.plotting.choose import trained
from pgprim.plotting.cosines import at_largest_budget
from pgprim.plotting.labels import (
    algo_label,
    count_label,
    number_label,
    order_algos,
    order_tasks,
    task_label,
)
from pgprim.plotting.style import GREY, look, style

SIZE = (4.6, 2.5)
"""Width and height of a picture [inch]."""

SCREEN = {"font.family": "DejaVu Sans", "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8}
SCREEN |= {"xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7.5, "svg.hashsalt": "pgprim"}
SCREEN |= {"lines.linewidth": 1.4, "lines.markersize": 4}


@dataclass(frozen=True)
class Finding:
    """One of the front page's findings.

    Attributes:
        headline: The conclusion from the numbers, or only the subject without data.
        text: The numbers; a plain note where there are none.
        svg: The picture, None where there are no data.
        figure: The figure of the study that shows more.
        view: The view of the page that shows all.
    """

    headline: str
    text: str
    svg: str | None
    figure: str
    view: str


def findings(
    results: Mapping[str, xr.Dataset | None],
    slices: list[Mapping[str, Any]],
    pairs: int,
    algos: tuple[str, ...],
) -> list[Finding]:
    """The three findings, from the available results.

    Args:
        results: Datasets of the probes `gradient`, `value` and `floors`.
        slices: From `collect.slices`.
        pairs: State-action pairs that training uses per iteration.
        algos: All algorithms of the page, in the order in which they share out colours.
    """
    return [
        _gradients(results.get("gradient"), pairs, algos),
        _values(results.get("value"), results.get("floors"), algos),
        _promises(slices, algos),
    ]


def _gradients(ds: xr.Dataset | None, pairs: int, algos: tuple[str, ...]) -> Finding:
    subject = "How much do gradient estimates agree?"
    if ds is None or not np.isfinite(trained(ds).cosine).any():
        return Finding(
            subject, "There are no gradient estimates of trained agents yet.", None, "fig1", "gradients"
        )
    ds = trained(ds)
    at = ds.sel(budget=pairs, method="nearest")
    cosines = at.cosine.values[np.isfinite(at.cosine.values)]
    middle = float(np.median(cosines))
    headline = (
        "Two gradient estimates of the same policy hardly agree"
        if middle < 0.5
        else "Gradient estimates of the same policy agree"
    )
    text = (
        f"Estimates from {count_label(int(at.budget))} state-action pairs have a mean pairwise cosine of {number_label(middle)} "
        f"(median of {len(cosines)} trained checkpoints; {number_label(cosines.min())} to {number_label(cosines.max())}). "
        f"{_noise_scale(at_largest_budget(ds, 'noise_scale').values)} Training uses {count_label(pairs)} pairs per iteration."
    )
    svg = _svg(lambda figure: _draw_gradients(figure, ds, pairs, algos))
    return Finding(headline, text, svg, "fig1", "gradients")


def _noise_scale(scales: np.ndarray) -> str:
    """The median noise scale in a sentence, and how many are infinite.

    Args:
        scales: Noise scales at the checkpoints' largest budgets [pairs], NaN without such a checkpoint.
    """
    scales = scales[~np.isnan(scales)]
    if not scales.size:
        return "The gradient noise scale was not estimated."
    middle, infinite = float(np.median(scales)), int(np.isinf(scales).sum())
    without = f"at {infinite} of {scales.size} checkpoints the estimates show no common signal, even at the largest budget"
    if np.isinf(middle):
        return f"The median gradient noise scale is infinite: {without}."
    text = f"The gradient noise scale has a median of {count_label(float(f'{middle:.2g}'))} pairs"
    return f"{text}, but {without}." if infinite else f"{text}."


def _draw_gradients(figure: Figure, ds: xr.Dataset, pairs: int, algos: tuple[str, ...]) -> None:
    panels = _panels(figure, ds)
    for panel, task in panels:
        for algo in order_algos(ds.algo.values):
            lines = (
                ds.cosine.sel(task=task, algo=algo)
                .stack(agent=("seed", "iteration"))
                .dropna("agent", how="all")
            )
            if not lines.agent.size:
                continue
            shade, symbol = look(algo, algos)
            panel.fill_between(
                ds.budget, lines.min("agent"), lines.max("agent"), color=shade, alpha=0.15, lw=0
            )
            # Agents that lack the largest budgets would make the median jump where they end.
            everywhere = lines.dropna("agent")
            panel.plot(
                ds.budget,
                (everywhere if everywhere.agent.size else lines).median("agent"),
                color=shade,
                marker=symbol,
                label=algo_label(algo),
            )
        panel.axvline(pairs, color=GREY, lw=0.8, ls="--")
        panel.set(xscale="log", ylim=(min(0.0, *panel.get_ylim()), 1))
    panels[0][0].set_ylabel("cosine between two estimates")
    figure.supxlabel("state-action pairs per estimate (dashed: training)", fontsize=8)


def _values(ds: xr.Dataset | None, floors: xr.Dataset | None, algos: tuple[str, ...]) -> Finding:
    subject = "How wrong are value networks?"
    if ds is None or not np.isfinite(trained(ds).total_re.sel(target="returns", part="held_out")).any():
        return Finding(subject, "There are no value errors of trained agents yet.", None, "fig3", "values")
    held_out = _kinds(trained(ds).total_re.sel(part="held_out"))
    errors = {
        "targets": held_out.sel(target="gae", definition="as_text"),
        "returns, cut": held_out.sel(target="returns", definition="as_text"),
        "returns, not cut": held_out.sel(target="returns", definition="exact"),
    }
    if floors is not None and np.isfinite(trained(floors).floor_total).any():
        errors["Vπ, returns not cut"] = _kinds(trained(floors).floor_total).sel(
            target="returns", definition="exact"
        )
    errors = {
        name: error.drop_vars(["target", "definition", "part"], errors="ignore")
        for name, error in errors.items()
    }
    kinds = int(np.isfinite(errors["targets"]).sum())
    better = int((errors["targets"] < errors["returns, cut"]).sum())
    headline = (
        "Value networks fit their targets better than the returns"
        if 2 * better > kinds
        else "Value networks fit returns no worse than their targets"
    )
    text = (
        f"On fresh pairs their relative error (sum of errors over sum of targets) is {_range(errors['targets'])} against the training targets and "
        f"{_range(errors['returns, cut'])} against the paper's returns, which are cut at the end of a batch; the former is "
        f"smaller in {better} of {kinds} kinds of agents. Against returns that are not cut it is "
        f"{_range(errors['returns, not cut'])}"
    )
    if (floor := errors.get("Vπ, returns not cut")) is not None:
        text += f", and that of the policy's true value function {_range(floor)}, because single returns are noisy"
    text += "."
    svg = _svg(lambda figure: _draw_values(figure, errors, algos))
    return Finding(headline, text, svg, "fig3", "values")


def _kinds(values: xr.DataArray) -> xr.DataArray:
    """The median of each task and algorithm over seeds and iterations."""
    return values.median(["iteration", "seed"])


def _range(values: xr.DataArray) -> str:
    low, high = (_percent(end) for end in (float(values.min()), float(values.max())))
    return low if low == high else f"{low.removesuffix(' %')} to {high}"


def _draw_values(figure: Figure, errors: Mapping[str, xr.DataArray], algos: tuple[str, ...]) -> None:
    together = xr.Dataset(dict(errors))
    panels = _panels(figure, together)
    names = list(errors)
    for panel, task in panels:
        measured = order_algos(together.algo.values)
        for place, algo in enumerate(measured):
            shade, symbol = look(algo, algos)
            values = [
                float(errors[name].sel(task=task, algo=algo)) if algo in errors[name].algo else np.nan
                for name in names
            ]
            shift = 0.18 * (place - (len(measured) - 1) / 2)
            panel.plot(
                values,
                np.arange(len(names)) + shift,
                ls="",
                marker=symbol,
                color=shade,
                label=algo_label(algo),
            )
        panel.set(yticks=range(len(names)), yticklabels=names, xscale="log")
        panel.tick_params(axis="y", length=0)
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.grid(axis="y", visible=False)
    figure.supxlabel("relative error on fresh pairs, Σ|error| / Σ|target|", fontsize=8)


def _promises(slices: list[Mapping[str, Any]], algos: tuple[str, ...]) -> Finding:
    subject = "Does a step keep what it promises?"
    few = [one for one in slices if one["kind"] == "few" and one["iteration"] > 0]
    few = [
        one
        for one in few
        if one.get("promised") is not None and one.get("promised_fresh_unclipped") is not None
    ]
    if not few:
        return Finding(subject, "There are no slices of trained agents yet.", None, "promise", "landscapes")
    own, fresh = (
        float(np.median([one[name] for one in few])) for name in ("promised", "promised_fresh_unclipped")
    )
    headline = (
        "What a step promises is mostly overfitting"
        if own > 0 and fresh < own / 2
        else "What a step promises holds on fresh batches"
    )
    pairs = count_label(few[0]["pairs"])
    text = (
        f"A step made from {pairs} pairs promises a surrogate gain of {number_label(own)} on its own batch. On fresh batches "
        f"of the same size the gain is {number_label(fresh)}, without clipping (medians of {len(few)} trained checkpoints)."
    )
    kept = [one for one in few if len(one.get("kept_ci", ())) == 2 and None not in one["kept_ci"]]
    if kept:
        better = sum(one["kept_ci"][0] > 0 for one in kept)
        worse = sum(one["kept_ci"][1] < 0 for one in kept)
        text += f" The true return clearly rises along {better} of {len(kept)} such steps and clearly falls along {worse}."
    svg = _svg(lambda figure: _draw_promises(figure, few, algos))
    return Finding(headline, text, svg, "promise", "landscapes")


def _draw_promises(figure: Figure, few: list[Mapping[str, Any]], algos: tuple[str, ...]) -> None:
    panel = figure.subplots()
    for algo in order_algos({one["algo"] for one in few}):
        shade, symbol = look(algo, algos)
        points = [(one["promised"], one["promised_fresh_unclipped"]) for one in few if one["algo"] == algo]
        panel.plot(
            *zip(*points, strict=True),
            ls="",
            marker=symbol,
            color=shade,
            alpha=0.8,
            label=algo_label(algo),
        )
    ends = [0.0, max(one["promised"] for one in few)]
    panel.plot(ends, ends, color=GREY, lw=0.8, ls="--", label="as promised")
    panel.axhline(0, color=GREY, lw=0.8)
    panel.set(xlabel="surrogate gain on the step's own batch", ylabel="on fresh batches, unclipped")
    panel.legend()


def _panels(figure: Figure, ds: xr.Dataset) -> list[tuple[Axes, str]]:
    """One panel per task side by side with a shared scale; the legend of what is drawn stands above after drawing."""
    tasks = order_tasks(ds.task.values)
    row = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for panel, task in zip(row, tasks, strict=True):
        panel.set_title(task_label(task))
    return list(zip(row, tasks, strict=True))


def _svg(draw: Callable[[Figure], None]) -> str:
    """The picture as SVG text; the same picture is always the same text."""
    with style(), matplotlib.rc_context(SCREEN):
        figure = Figure(figsize=SIZE, layout="constrained")
        draw(figure)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        if figure.axes[0].get_legend() is None and handles:
            figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": "pgprim"})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _percent(error: float) -> str:
    return f"{100 * error:.2g} %" if error < 1 else f"{100 * error:.0f} %"
