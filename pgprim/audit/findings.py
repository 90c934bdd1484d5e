"""Numbers and sentences of an audit, from its datasets alone.

`audit_findings` returns the content of `audit.json`:

    agent       file, written_by, name, task, env_id, iteration, pairs (of its batch), settings, assumed, left_out, and
                fidelity: grad_cosine, value_error, logp_error
    level       nominal coverage of all intervals
    size        pairs of the pool and of its streams, and how many streams
    headline    one sentence per section, a short answer to its question
    sections    in order, each with key, question, and findings
    history     iteration and findings' numbers of every audited checkpoint, by key; and of updates between a series'
                checkpoints by probe and variable

A finding has `key`, `title`, `value`, `low`, `high` (null where nothing can be said, or where the number is infinite:
the sentence says which), `unit`, `over` (what the interval is over), `sentence`, `source` (`file` below the audit's
folder, `variable`, `at`: coordinates, and `how` it was made of the variable) and `study` (`sentence`, and `median`,
`lowest`, `highest`, `checkpoints`, `source` where the study's datasets are at hand; null where the study has no
dataset of the kind).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, isnan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import t as student

from pgprim.audit.study import look_up
from pgprim.core.intervals import UNKNOWN, Interval, t_interval
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import load_dataset
from pgprim.store.labelled import interval
from pgprim.types.levels import LEVEL

HALF, NINE = 0.5, 0.9
"""Cosines for which the page gives the batch size."""

DATASETS = ("gradient", "steps", "floors", "baselines", "slice", "value", "trust_region")
"""Results of a whole audit of one checkpoint, by the names of their files."""


class Number(NamedTuple):
    """A number with its interval and its source (see the module)."""

    value: float
    low: float
    high: float
    source: dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One number, with its meaning and source."""

    key: str
    title: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    over: str
    sentence: str
    source: dict[str, Any]
    study: dict[str, Any] | None


def audit_findings(out: Path, iteration: int, study: Path) -> dict[str, Any]:
    """All findings at one checkpoint, and the numbers of the other checkpoints in the folder.

    Args:
        out: The audit's folder.
        iteration: The checkpoint.
        study: Folder of the study's datasets.
    """
    folder = out / str(iteration)
    checkpoint = load_checkpoint(folder / "checkpoint.safetensors")
    adopted, parameters = (json.loads((folder / name).read_text()) for name in ("adopted.json", "plan.json"))
    sections = _Sections(folder, checkpoint.task, checkpoint.settings, study).all()
    sample = parameters["sample"]
    return {
        "agent": {
            "file": adopted["file"],
            "written_by": adopted["written_by"],
            "name": checkpoint.algo,
            "task": checkpoint.task,
            "env_id": checkpoint.env_id,
            "iteration": iteration,
            "pairs": checkpoint.settings["pairs"],
            "settings": checkpoint.settings,
            "assumed": adopted["assumed"],
            "left_out": adopted["left_out"],
            "fidelity": {name: adopted[name] for name in ("grad_cosine", "value_error", "logp_error")},
        },
        "level": LEVEL,
        "size": {
            "streams": sample["streams"],
            "stream_pairs": sample["pairs"],
            "pairs": sample["streams"] * sample["pairs"],
        },
        "headline": [section["headline"] for section in sections],
        "sections": sections,
        "history": {"checkpoints": _history(out), "updates": _updates(out)},
    }


def show(value: float | None, unit: str = "") -> str:
    """A number as the page shows it, with its unit."""
    suffix = f" {unit}" if unit not in ("", "1") else ""
    if value is None or isnan(value):
        return "unknown"
    if not isfinite(value):
        return "∞" + suffix
    if abs(value) >= 1e6:
        text = f"{value / 1e6:.3g} million"
    elif abs(value) >= 1000:
        text = f"{round(value):,}".replace(",", "\u2009")
    else:
        text = f"{value:.3g}"
    return text.replace("-", "−") + suffix


def show_interval(low: float | None, high: float | None) -> str:
    """`[low, high]`; empty without an interval."""
    if low is None and high is None:
        return ""
    return f"[{show(low)}, {show(np.inf if high is None else high)}]"


class _Sections:
    """The sections of one checkpoint."""

    def __init__(
        self, folder: Path, task: str, settings: Mapping[str, Any], study: Path | None = None
    ) -> None:
        self.folder, self.task, self.settings, self.study = folder, task, settings, study
        self.pairs = settings["pairs"]
        self.ds = {name: load_dataset(folder / f"{name}.nc") for name in DATASETS}

    def all(self) -> list[dict[str, Any]]:
        """All sections, in the order of the page."""
        return [self.gradient(), self.critic(), self.step(), self.trust_region()]

    def gradient(self) -> dict[str, Any]:
        pairs = self.pairs
        cosine = self.read("gradient", "cosine", budget=pairs)
        scale = self.read("gradient", "truth_noise_scale")
        truth = self.read("gradient", "truth_cosine_corrected", budget=pairs)
        steps = self.read("steps", "cosine", budget=pairs)
        share = show(100 * max(0.0, cosine.value)) + " %"
        findings = [
            self.finding(
                "cosine", "Agreement of two gradients", cosine, "1", "streams of this agent",
                f"Two gradient estimates from {show(pairs)} pairs each, the agent's own batch size, have a mean cosine of "
                f"{show(cosine.value)}: about {share} of an estimate's squared length is signal, the rest is noise.",
            ),
            self.finding(
                "truth_cosine", "Agreement with the true gradient", truth, "1", "streams of this agent",
                f"An estimate has a mean cosine of {show(truth.value)} to the gradient of a very large sample.",
            ),
            self.finding(
                "noise_scale", "Gradient noise scale", scale, "pairs", "streams of this agent",
                f"Signal and noise of an estimate are equal at {show(scale.value)} pairs, "
                f"{show(scale.value / pairs)} times the agent's batch."
                if isfinite(scale.value) else
                "The whole pool shows no signal: the noise scale is larger than any number of pairs measured here.",
            ),
            *(self.batch_for(goal, scale) for goal in (HALF, NINE)),
            self.finding(
                "steps_cosine", "Agreement of two update steps", steps, "1", "streams of this agent",
                f"Two whole updates of the agent, each from its own {show(pairs)} pairs, have a mean cosine of "
                f"{show(steps.value)}."
                if isfinite(steps.value) else "Too few updates moved the policy to measure their agreement.",
            ),
        ]  # fmt: skip
        if cosine.low <= 0:
            headline = "At its own batch size its gradients cannot be told from noise."
        elif cosine.value < HALF:
            headline = f"Its gradients are mostly noise: {share} signal at its own batch size."
        else:
            headline = f"Its gradients are mostly signal: {share} at its own batch size."
        return _section("gradient", "Are its gradients signal?", headline, findings)

    def batch_for(self, goal: float, scale: Number) -> Finding:
        """Pairs at which two estimates have a cosine: N / (N + B) = c."""
        factor = goal / (1 - goal)
        how = f"times {factor:g}: N / (N + B) = {goal:g}"
        batch = Number(*(factor * end for end in scale[:3]), scale.source | {"how": how})
        sentence = (
            f"Two estimates would have a cosine of {goal:g} from {show(batch.value)} pairs each, "
            f"{show(batch.value / self.pairs)} times the agent's batch."
            if isfinite(batch.value)
            else f"No batch size can be extrapolated for a cosine of {goal:g}."
        )
        title = f"Batch for a cosine of {goal:g}"
        return self.finding(f"batch_for_{goal:g}", title, batch, "pairs", "streams of this agent", sentence)

    def critic(self) -> dict[str, Any]:
        where = {"target": "returns", "definition": "exact"}
        error = self.over_batches("value", "mre", **where)
        total = self.over_batches("value", "total_re", **where)
        floors = self.ds["floors"].squeeze(drop=True)
        exact, states = floors.sel(where), int(floors.attrs["num_states"])
        bound = _by_error(float(exact.floor), float(exact.floor_se), states)
        floor = self.number(bound, "floors", "floor", where, "with floor_se")
        squared = _by_error(float(floors.squared_error), float(floors.squared_error_se), states)
        root = Interval(*(float(np.sqrt(max(0.0, end) / float(floors.squared_value))) for end in squared))
        how = "√(squared_error / squared_value), with squared_error_se"
        rms = self.number(root, "floors", "squared_error", {}, how)
        at = {"budget": self.pairs}
        buys = self.read("baselines", "cosine_difference", difference="true-value", **at)
        own, true = (self.read("baselines", "cosine", baseline=name, **at) for name in ("value", "true"))
        gain = self.read("baselines", "gain_share", subtracted="value")
        verdict = _by_sign(
            buys,
            above="A better critic would make gradients agree more.",
            below="A critic fitted to returns makes gradients agree less than the agent's own.",
            either="The data do not show whether a better critic would help at this batch size.",
            unknown="The data do not determine how much a better critic would help.",
        )
        findings = [
            self.finding(
                "value_error", "Error of V against returns", error, "1", "fresh batches of this agent",
                f"After an update the mean relative error of V against returns of fresh pairs is {show(100 * error.value)} %. The ratio of sums, "
                f"Σ|V − R| / Σ|R|, is {show(100 * total.value)} % {show_interval(100 * total.low, 100 * total.high)}.",
            ),
            self.finding(
                "floor", "Floor of this error", floor, "1", "states of this agent",
                f"Because single returns are noisy, a perfect V would have an error of {show(100 * floor.value)} %. On the same "
                f"states the error of the agent's V is {show(100 * float(exact.error))} %.",
            ),
            self.finding(
                "true_error", "Error of V without the returns' noise", rms, "1", "states of this agent",
                f"The error of V against the true value function is {show(100 * rms.value)} % of the function's size "
                "(root mean square).",
            ),
            self.finding(
                "better_critic", "Gain from a better critic", buys, "1", "streams of this agent",
                f"With a critic fitted to many returns of this policy, the cosine of two gradients from "
                f"{show(self.pairs)} pairs would be {show(true.value)} instead of {show(own.value)}. {verdict}",
            ),
            self.finding(
                "gain_share", "Variance reduction by the critic", gain, "1", "streams of this agent",
                f"The agent's critic achieves {show(100 * gain.value)} % of the variance reduction of gradient estimates that is "
                "possible with a state baseline."
                + (" Below 0 it increases the variance." if gain.value < 0 else "")
                if isfinite(gain.value) else
                "The variance reduction by the critic is unknown, because no return is complete.",
            ),
        ]  # fmt: skip
        headline = (
            f"Its critic has an error of {show(100 * rms.value)} % of the values' size. {verdict}"
            if isfinite(rms.value)
            else verdict
        )
        return _section("critic", "Is its critic right?", headline, findings)

    def step(self) -> dict[str, Any]:
        ds = self.ds["slice"]
        budget = int(ds.budget.values[-1])
        promised, fresh = self.read("slice", "promised"), self.read("slice", "promised_fresh_unclipped")
        kept = self.read("slice", "kept", budget=budget)
        reward = self.read("slice", "slice_reward", along=0.0, budget=budget)
        gains = _by_sign(
            kept,
            above="The true reward rises with it.",
            below="The true reward falls with it.",
            either="A change of the true reward cannot be told from noise.",
            unknown="Too few episodes were completed to see whether the true reward rises.",
        )
        promise = _by_sign(
            fresh,
            above="Part of its promise holds on fresh batches.",
            below="On fresh batches the surrogate falls: its promise is overfitting.",
            either="On fresh batches its surrogate gain cannot be told from noise.",
            unknown="The data do not determine whether its promise holds on fresh batches.",
        )
        findings = [
            self.finding(
                "reward", "Mean return of the agent", reward, "reward", "episodes of this agent",
                f"The agent's stochastic policy has a mean return of {show(reward.value)} per episode.",
            ),
            self.finding(
                "promised", "Promise of the step (own batch)", promised, "1", "blocks of the step's own batch",
                f"The agent's next step raises the surrogate by {show(promised.value)} on the batch it was made from.",
            ),
            self.finding(
                "promised_fresh", "Promise on fresh batches", fresh, "1", "fresh batches of this agent",
                f"On fresh batches of the same size the same step changes the unclipped surrogate by {show(fresh.value)}. {promise}",
            ),
            self.finding(
                "kept", "Gain of the step in true reward", kept, "reward", "episodes of this agent",
                f"The mean return after the step minus that before is {show(kept.value)}. {gains}",
            ),
        ]  # fmt: skip
        return _section("step", "Does its step gain what it promises?", f"{promise} {gains}", findings)

    def trust_region(self) -> dict[str, Any]:
        ds, settings = self.ds["trust_region"], self.settings
        own = {name: float(ds.attrs[f"own_{name}"]) for name in ("kl_mean", "ratio_max", "clip_fraction")}
        mean = self.over_batches("trust_region", "kl_mean")
        largest = self.over_batches("trust_region", "ratio_max")
        share = self.over_batches("trust_region", "clip_fraction")
        delta, eps, target = (settings.get(name) for name in ("delta", "eps", "target_kl"))
        bound, name = (delta, "δ") if delta is not None else (target, "target KL")
        against = "" if bound is None else f" Its {name} is {show(bound)}."
        beyond = (
            "" if eps is None else f" Its clip range allows 1 + ε = {show(1 + eps)}, but does not enforce it."
        )
        findings = [
            self.finding(
                "kl_mean", "Mean KL of an update", mean, "nat", "fresh batches of this agent",
                f"One update moves the policy by a mean KL divergence of {show(mean.value)} on fresh pairs, and of "
                f"{show(own['kl_mean'])} on its own.{against}",
            ),
            self.finding(
                "ratio_max", "Largest ratio", largest, "1", "fresh batches of this agent",
                f"The largest ratio π_new / π_old of {show(self.pairs)} fresh pairs is {show(largest.value)} on average; "
                f"on its own pairs it is {show(own['ratio_max'])}.{beyond}",
            ),
            self.finding(
                "clip_fraction", "Share of ratios beyond 1 ± 0.2", share, "1", "fresh batches of this agent",
                f"{show(100 * share.value)} % of the ratios on fresh pairs differ from 1 by more than 0.2, and "
                f"{show(100 * own['clip_fraction'])} % of those on its own pairs.",
            ),
        ]  # fmt: skip
        if bound is None:
            headline = f"An update moves it by a mean KL of {show(mean.value)}, with ratios up to {show(largest.value)}."
        elif mean.high <= bound:
            headline = f"Its updates keep their {name} of {show(bound)} on fresh pairs."
        elif mean.low > bound:
            headline = f"Its updates break their {name} of {show(bound)} on fresh pairs."
        else:
            headline = f"Whether its updates keep their {name} of {show(bound)} on fresh pairs is undecided."
        return _section("trust_region", "How far does an update move it?", headline, findings)

    def read(self, name: str, variable: str, **at: Any) -> Number:
        """A number of a dataset with its interval."""
        ds = self.ds[name]
        one = {key: value for key, value in at.items() if key in ds[variable].dims}
        value, ends = ds[variable].sel(one).squeeze(drop=True), interval(ds, variable)
        low, high = (float(end.sel(one).squeeze(drop=True)) for end in ends) if ends else (np.nan, np.nan)
        return self.number(Interval(float(value), low, high), name, variable, at)

    def over_batches(self, name: str, variable: str, **at: Any) -> Number:
        """The mean over fresh batches of a quantity that is not negative, with Student's t interval."""
        values = self.ds[name][variable].sel(at).squeeze(drop=True).values.ravel()
        values = values[np.isfinite(values)]
        mean = t_interval(values, LEVEL) if values.size else UNKNOWN
        positive = Interval(mean.value, float(np.maximum(mean.low, 0.0)), mean.high)
        return self.number(positive, name, variable, at, "mean over batches")

    def number(self, ends: Interval, name: str, variable: str, at: dict[str, Any], how: str = "") -> Number:
        source = {"file": f"{self.folder.name}/{name}.nc", "variable": variable, "at": at}
        return Number(*ends, source | ({"how": how} if how else {}))

    def finding(self, key: str, title: str, number: Number, unit: str, over: str, sentence: str) -> Finding:
        value, low, high = (float(end) if isfinite(end) else None for end in number[:3])
        study = self.study and look_up(self.study, key, self.task, self.pairs, show)
        return Finding(key, title, value, low, high, unit, over, sentence, number.source, study)


def _section(key: str, question: str, headline: str, findings: list[Finding]) -> dict[str, Any]:
    return {
        "key": key,
        "question": question,
        "headline": headline,
        "findings": [asdict(one) for one in findings],
    }


def _by_sign(number: Number, *, above: str, below: str, either: str, unknown: str) -> str:
    """The sentence for an interval above 0, below 0, around 0, or without ends."""
    if not isfinite(number.low):
        return unknown
    return above if number.low > 0 else below if number.high < 0 else either


def _by_error(value: float, error: float, count: int) -> Interval:
    """A positive number with a Student's t interval from its standard error over states."""
    half = student.ppf(0.5 + LEVEL / 2, count - 1) * error
    return Interval(value, float(np.maximum(0.0, value - half)), value + half)


def _history(out: Path) -> list[dict[str, Any]]:
    """Numbers of all checkpoints that were audited, by rising iteration."""
    rows = []
    for folder in sorted((file.parent for file in out.glob("*/trust_region.nc")), key=_iteration):
        if _iteration(folder) >= 0 and _is_whole(folder):
            checkpoint = load_checkpoint(folder / "checkpoint.safetensors")
            sections = _Sections(folder, checkpoint.task, checkpoint.settings).all()
            numbers = {
                one["key"]: [one[name] for name in ("value", "low", "high")]
                for section in sections
                for one in section["findings"]
            }
            rows.append({"iteration": checkpoint.iteration, "numbers": numbers})
    return rows


def _is_whole(folder: Path) -> bool:
    return all((folder / f"{name}.nc").exists() for name in DATASETS)


def _iteration(folder: Path) -> int:
    return int(folder.name) if folder.name.isdigit() else -1


def _updates(out: Path) -> dict[str, Any]:
    """Findings on the updates between a series' checkpoints, on fresh pairs; empty without a series."""
    numbers: dict[str, Any] = {}
    for name, variables in (
        ("value", ("mre", "total_re")),
        ("trust_region", ("kl_mean", "ratio_max", "clip_fraction")),
    ):
        path = out / "series" / f"{name}.nc"
        if path.exists():
            ds = load_dataset(path).sel(part="held_out")
            if name == "value":
                ds = ds.sel(target="returns", definition="exact")
            numbers["iteration"] = ds.iteration.values.tolist()
            for variable in variables:
                numbers[variable] = _listed(ds[variable].isel(seed=0, task=0, algo=0))
    return numbers


def _listed(values: xr.DataArray) -> list[float | None]:
    return [float(value) if isfinite(value) else None for value in values.values]
