"""The pictures of an audit's page, one per section, and one of how the numbers change over checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.ticker import MaxNLocator

from pgprim.core.noise_scale import expected_cosine
from pgprim.plotting.intervals import draw_band, ends_of
from pgprim.plotting.style import DASHES, GREY, OTHERS, SURFACES
from pgprim.store.datasets import load_dataset

AUDITED = OTHERS[0].colour
SURROGATE, REWARD = SURFACES["surrogate"].colour, SURFACES["reward"].colour

Report = Mapping[str, Any]
"""The content of `audit.json`."""


def draw_section(figure: FigureBase, key: str, folder: Path, report: Report) -> None:
    """Draw a section's picture.

    Args:
        figure: Target figure.
        key: The section.
        folder: Of the checkpoint's datasets.
        report: From `findings.audit_findings`.
    """
    {"gradient": _gradient, "critic": _critic, "step": _step, "trust_region": _trust_region}[key](
        figure, folder, report
    )


def draw_history(figure: FigureBase, report: Report) -> None:
    """Agreement, critic and divergence over the audited checkpoints, and over the updates between them."""
    rows, updates = report["history"]["checkpoints"], report["history"]["updates"]
    panels = figure.subplots(1, 3)
    titles = {
        "cosine": "cosine of two gradients",
        "value_error": "error of V against returns",
        "kl_mean": "mean KL [nat]",
    }
    variables = {"value_error": "mre", "kl_mean": "kl_mean"}
    for panel, (key, title) in zip(panels, titles.items(), strict=True):
        if key in variables and updates:
            numbers = np.array(updates[variables[key]], float)
            panel.plot(
                updates["iteration"], numbers, "o", color=GREY, markersize=3, label="updates of the series"
            )
        numbers = np.array([row["numbers"][key] for row in rows], float)
        at = [row["iteration"] for row in rows]
        _bars(panel, at, *numbers.T, color=AUDITED, label="audited")
        panel.set_title(title)
        panel.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        panel.set_xlabel("iteration")
        panel.set_ylim(bottom=min(0.0, panel.get_ylim()[0]))
    panels[1].legend(loc="best")


def _gradient(figure: FigureBase, folder: Path, report: Report) -> None:
    ds, pairs = load_dataset(folder / "gradient.nc").squeeze(drop=True), report["agent"]["pairs"]
    panel = figure.subplots()
    panel.axvline(pairs, color=GREY, linewidth=0.6, linestyle=DASHES["level"])
    for goal in (0.5, 0.9):
        panel.axhline(goal, color=GREY, linewidth=0.4)
    scale = float(ds.truth_noise_scale)
    span = np.geomspace(ds.budget.values[0], max(ds.budget.values[-1], 20 * scale if scale < 1e7 else 0), 100)
    panel.plot(span, expected_cosine(span, scale), color=GREY, linestyle="--", label="by the noise scale")
    draw_band(panel, ds.budget, ds, "cosine", color=AUDITED)
    panel.plot(ds.budget, ds.cosine, color=AUDITED, marker="o", label="measured, with interval")
    panel.set_xscale("log")
    panel.set_ylim(min(0.0, float(np.nanmin(ds.cosine))), 1.0)
    panel.set_xlabel("pairs per estimate (dotted: the agent's batch)")
    panel.set_ylabel("cosine of two gradients")
    panel.legend(loc="upper left")


def _critic(figure: FigureBase, folder: Path, report: Report) -> None:
    errors, buys = figure.subplots(1, 2)
    numbers = {one["key"]: one for one in _section(report, "critic")["findings"]}
    rows = [
        ("against\nreturns", "value_error"),
        ("a perfect\nV", "floor"),
        ("without\nnoise", "true_error"),
    ]
    for place, (_, key) in enumerate(rows):
        ends = [
            np.nan if numbers[key][end] is None else 100 * numbers[key][end]
            for end in ("value", "low", "high")
        ]
        _bars(errors, [place], *([end] for end in ends), color=(AUDITED, GREY, REWARD)[place])
    errors.set_xticks(range(len(rows)), [name for name, _ in rows], fontsize=6.5)
    errors.set_xlim(-0.6, len(rows) - 0.4)
    errors.set_ylim(bottom=0)
    errors.set_title("error of V [%]")
    ds = load_dataset(folder / "baselines.nc").sel(budget=report["agent"]["pairs"]).squeeze(drop=True)
    _bars(buys, range(3), ds.cosine.values, *ends_of(ds, "cosine"), color=AUDITED)
    buys.set_xticks(range(3), ["no\nbaseline", "the agent's\ncritic", "a fitted\ncritic"], fontsize=6.5)
    buys.set_xlim(-0.6, 2.6)
    buys.set_title("cosine of two gradients")


def _step(figure: FigureBase, folder: Path, report: Report) -> None:
    ds = load_dataset(folder / "slice.nc").squeeze(drop=True)
    above, below = figure.subplots(1, 2)
    fresh = "slice_fresh_unclipped"
    draw_band(above, ds.along, ds, fresh, color=SURROGATE)
    above.plot(ds.along, ds.slice_surrogate, color=SURROGATE, linestyle=DASHES["train"], label="own batch")
    above.plot(ds.along, ds[fresh], color=SURROGATE, label="fresh batches, unclipped")
    above.axhline(0, color=GREY, linewidth=0.5)
    above.set_title("surrogate")
    above.legend(loc="best")
    draw_band(below, ds.along, ds, "slice_reward", color=REWARD)
    below.plot(ds.along, ds.slice_reward, color=REWARD)
    below.set_title("true reward")
    for panel in (above, below):
        panel.axvline(1, color=GREY, linewidth=0.6, linestyle=DASHES["level"])
        panel.xaxis.set_major_locator(MaxNLocator(nbins=4))
        panel.yaxis.set_major_locator(MaxNLocator(nbins=4))
    figure.supxlabel("multiples of the step (dotted: the step itself)")


def _trust_region(figure: FigureBase, folder: Path, report: Report) -> None:
    ds = load_dataset(folder / "trust_region.nc").squeeze(drop=True)
    kl, ratios = figure.subplots(1, 2, width_ratios=(1, 1.6))
    settings = report["agent"]["settings"]
    for place, name in enumerate(("kl_mean", "kl_max")):
        _fresh_batches(kl, place, ds[name].values)
        kl.plot(
            place,
            ds.attrs[f"own_{name}"],
            "P",
            color=SURROGATE,
            markersize=5,
            label="own batch" if place == 0 else None,
        )
    for bound, name in ((settings.get("delta"), "δ"), (settings.get("target_kl"), "target KL")):
        if bound is not None:
            kl.axhline(bound, color=GREY, linewidth=0.8, linestyle="--", label=name)
    kl.set_yscale("log")
    kl.set_xticks((0, 1), ("mean", "largest"))
    kl.set_xlim(-0.6, 1.6)
    kl.set_title("KL [nat]")
    quantiles = {"1 %": "ratio_q01", "median": "ratio_q50", "99 %": "ratio_q99", "largest": "ratio_max"}
    for place, name in enumerate(quantiles.values()):
        _fresh_batches(ratios, place, ds[name].values)
    ratios.plot(3, ds.attrs["own_ratio_max"], "P", color=SURROGATE, markersize=5, label="own batch")
    eps = settings.get("eps")
    for bound in () if eps is None else (1 - eps, 1 + eps):
        ratios.axhline(bound, color=GREY, linewidth=0.8, linestyle="--", label="1 ± ε" if bound > 1 else None)
    ratios.set_xticks(range(4), quantiles)
    ratios.set_xlim(-0.5, 3.5)
    ratios.set_title(r"ratio $\pi_{new}/\pi_{old}$")
    ratios.legend(loc="upper left")


def _fresh_batches(panel: Axes, place: int, values: np.ndarray) -> None:
    """Points of all fresh batches, spread around a place of the x axis; the first place has the legend's entry."""
    shift = np.linspace(-0.15, 0.15, len(values))
    label = "fresh batches" if place == 0 else None
    panel.plot(place + shift, values, "o", color=AUDITED, markersize=2, label=label)


def _bars(panel: Axes, x: Any, value: Any, low: Any, high: Any, **look: Any) -> None:
    """Points with their intervals."""
    value, low, high = (np.asarray(each, float) for each in (value, low, high))
    reach = np.nan_to_num(np.abs(np.stack([value - low, high - value])))
    panel.errorbar(x, value, reach, marker="o", markersize=3.5, linestyle="", capsize=2, **look)


def _section(report: Report, key: str) -> Mapping[str, Any]:
    return next(section for section in report["sections"] if section["key"] == key)
