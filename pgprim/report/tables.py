"""The numbers behind docs/findings.md: a table per section, from the data of the figures that are computed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pgprim.core.final_return import final_return
from pgprim.core.intervals import Interval
from pgprim.core.stratified import stratified_mean
from pgprim.plotting.choose import trained
from pgprim.plotting.labels import algo_label, count_label, order_algos, order_tasks, task_label
from pgprim.report.claims.claim import SLACK, common_budget
from pgprim.report.claims.trust_regions import share_of_iterations
from pgprim.store.labelled import interval

Params = Mapping[str, Any]
Row = list[str]


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        figures: The figures whose data it shows, in groups: each group that is computed whole has rows.
        columns: Headings.
        rows: (data of each figure of a group, parameters) ↦ rows.
    """

    figures: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...]
    rows: Callable[..., Iterator[Row]]


def markdown(name: str, figures: Mapping[str, xr.Dataset], params: Params) -> str:
    """A table of `TABLES` as Markdown, or a sentence if none of its figures is computed.

    Args:
        name: One of `TABLES`.
        figures: Data of all figures that are computed, by name.
        params: The parameter file.
    """
    table = TABLES[name]
    groups = [[figures[one] for one in group] for group in table.figures if figures.keys() >= set(group)]
    rows = [row for datasets in groups for row in table.rows(*datasets, params)]
    if not rows:
        commands = " ".join(f"figures/{figure}.pdf" for group in table.figures for figure in group)
        return f"*Not computed yet; `snakemake {commands}` computes it.*"
    lines = [list(table.columns), ["---"] * len(table.columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spread(values: xr.DataArray, digits: int = 2) -> str:
    """Median and range of all finite values: `0.31 (0.2 to 0.45)`; a dash without any.

    Args:
        values: Of agents.
        digits: Significant digits.
    """
    finite = values.values[np.isfinite(values.values)]
    if not finite.size:
        return "–"
    middle, low, high = (
        _number(float(value), digits) for value in (np.median(finite), finite.min(), finite.max())
    )
    return middle if low == high else f"{middle} ({low} to {high})"


def _number(value: float, digits: int) -> str:
    if abs(value) >= 1e4:
        return count_label(float(f"{value:.{digits}g}"))
    rounded = float(f"{value:.{digits}g}") if abs(value) < 10**digits else round(float(value))
    text = np.format_float_positional(rounded, trim="-")
    return text.replace("-", "−")


def _interval(number: Interval, digits: int = 2) -> str:
    """`0.31 [0.2, 0.45]`, without the interval where there is none; a dash without a value."""
    value, low, high = (_number(end, digits) if np.isfinite(end) else "–" for end in number)
    return value if low == high == "–" else f"{value} [{low}, {high}]"


def _interval_of(ds: xr.Dataset, name: str, digits: int = 2) -> str:
    return _interval(Interval(float(ds[name]), *map(float, interval(ds, name))), digits)


def _kinds(ds: xr.Dataset) -> Iterator[tuple[list[str], xr.Dataset]]:
    """Labels and data of each task and algorithm."""
    for task in order_tasks(ds.task.values):
        for algo in order_algos(ds.algo.values):
            yield [task_label(task), algo_label(algo)], ds.sel(task=task, algo=algo)


def _gradients(agreement: xr.Dataset, truth: xr.Dataset, scales: xr.Dataset, params: Params) -> Iterator[Row]:
    ds = agreement[["cosine", "marked"]].merge(truth[["truth_cosine_corrected"]])
    for labels, kind in _kinds(ds):
        for iteration in kind.iteration.values:
            one = kind.sel(iteration=iteration)
            budgets = [one.sel(budget=one.marked), one.isel(budget=-1)]
            cells = [spread(at[name]) for name in ("cosine", "truth_cosine_corrected") for at in budgets]
            agents = {name: one[name] for name in ("task", "algo", "iteration")}
            yield [*labels, str(iteration), *cells, spread(scales.curve_noise_scale.sel(agents))]


def _noise_growth(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    """Between agents, algorithms as strata."""
    scales = trained(ds).curve_noise_scale
    growth = np.log2(scales.isel(iteration=-1) / scales.isel(iteration=0))
    for task in order_tasks(growth.task.values):
        strata = [growth.sel(task=task, algo=algo).values for algo in growth.algo.values]
        agents = np.concatenate(strata)
        growing = f"{int((agents > 0).sum())} of {int(np.isfinite(agents).sum())}"
        yield [task_label(task), growing, _interval(stratified_mean(strata, params["plot"]["level"]))]


def _steps(steps: xr.Dataset, gradients: xr.Dataset, params: Params) -> Iterator[Row]:
    for labels, kind in _kinds(trained(steps)):
        for budget in (int(kind.marked), int(kind.budget[-1])):
            step = kind.cosine.sel(budget=budget)
            gradient = gradients.cosine.sel(
                {name: step[name] for name in ("task", "algo", "seed", "iteration", "budget")}
            )
            lower = f"{int((step < gradient).sum())} of {int((step - gradient).notnull().sum())}"
            yield [*labels, count_label(budget), spread(gradient), spread(step), lower]


def _values(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    for labels, kind in _kinds(trained(ds)):
        gae, published = (kind.sel(target=target, definition="as_text") for target in ("gae", "returns"))
        exact = kind.sel(target="returns", definition="exact")
        cells = [
            gae.total_re,
            published.mre,
            published.total_re,
            exact.total_re,
            exact.error_total,
            exact.floor_total,
        ]
        yield [*labels, *(spread(cell) for cell in cells)]


def _baselines(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    for labels, kind in _kinds(trained(ds)):
        for at in (kind.sel(budget=kind.marked, method="nearest"), kind.isel(budget=-1)):
            cells = [spread(at.cosine.sel(baseline=name)) for name in ("zero", "value", "true")]
            yield [*labels, count_label(int(at.budget)), *cells]


def _variances(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    for labels, kind in _kinds(trained(ds)):
        value, true = (kind.return_variance.sel(subtracted=which) for which in ("value", "true"))
        at = kind.sel(lam=params["train"]["lam"])
        share = kind.gain_share.sel(subtracted="value")
        cells = (value, share, value / true, at.lam_variance, at.lam_bias, kind.signal)
        yield [*labels, *(spread(cell) for cell in cells)]


def _landscapes(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    fewest, most = int(ds.budget[0]), common_budget(ds.noise_share.sel(kind="few"))
    for labels, kind in _kinds(ds):
        untrained = kind.sel(iteration=kind.iteration == 0)
        for name, some in (("untrained", untrained), ("trained", trained(kind))):
            few = some.sel(kind="few")
            shares = [
                few[share].sel(budget=budget)
                for share in ("noise_share", "step_noise_share")
                for budget in (fewest, most)
            ]
            own = [some.correlation.sel(kind=case) for case in ("few", "many")]
            fresh = [some.fresh_correlation.sel(kind=case) for case in ("slice_few", "slice_many")]
            yield [*labels, name, *(spread(cell) for cell in (*shares, *own, *fresh))]


def _promises(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    for labels, kind in _kinds(trained(ds)):
        for case in kind.kind.values:
            one = kind.sel(kind=case)
            if one.promised.notnull().any():
                cells = [spread(one[name]) for name in ("promised", "promised_fresh_unclipped", "kept")]
                yield [*labels, count_label(float(one.slice_batch_pairs.max())), *cells]


def _trust_regions(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    for labels, kind in _kinds(ds):
        own, fresh = (kind.sel(part=part) for part in ("train", "held_out"))
        delta = ds.delta.max("algo").sel(task=kind.task.item())
        shares = [
            share_of_iterations(part.kl_mean <= delta * (1 + SLACK), part.kl_mean) for part in (own, fresh)
        ]
        cells = [delta, own.kl_mean, fresh.kl_mean, *shares, own.ratio_max, own.clip_fraction]
        yield [*labels, *(spread(cell) for cell in cells)]


def _regimes(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    """Returns at the last iteration of each regime, beside those of the other regimes at that iteration."""
    ends = sorted(int(num) for num in ds.num_iterations.values)[:-1]
    for task in order_tasks(ds.task.values):
        for pairs in ds.pairs.values:
            one = ds.sel(task=task, pairs=pairs)
            last = [spread(one.return_curve.sel(iteration=num - 1)) for num in ends]
            cells = [
                str(int(one.num_iterations)),
                *last,
                spread(one.final_return),
                spread(one.agreement_curve),
            ]
            yield [task_label(task), count_label(int(pairs)), *cells]


def _clipping(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    for task in order_tasks(ds.task.values):
        for version in ds.version.values:
            for run in ds.run.values:
                one = ds.sel(task=task, version=version, run=run)
                words = f"{'clipped' if one.is_clipped else 'as drawn'}, × {float(one.rate):g}"
                returns = _interval_of(one, "final_return_mean", 3)
                rest = [spread(one[name]) for name in ("final_length", "final_cost_clipped", "final_cost")]
                yield [f"{task_label(task)}-{version}", words, returns, spread(one.published, 4), *rest]


def _semantics(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    for labels, kind in _kinds(ds):
        for quantity in ds.quantity.values:
            one = kind.sel(quantity=quantity)
            if one.table_exact.notnull():
                means = [_number(float(one[name]), 2) for name in ("table_exact", "table_paper")]
                yield [*labels, str(quantity), *means, _interval_of(one, "table_difference")]


def _reliability(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    for labels, kind in _kinds(ds):
        returns = _interval_of(kind, "return_iqm", 4)
        yield [*labels, returns, spread(kind.published, 4), _interval_of(kind, "difference")]


def _predictors(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    for primitive in ds.primitive.values:
        one = ds.sel(primitive=primitive)
        yield [str(primitive), str(int(one.num_seeds.sum())), _interval_of(one, "pooled")]


def _returns(ds: xr.Dataset, params: Params) -> Iterator[Row]:
    for labels, kind in _kinds(ds):
        runs = kind.return_mean.transpose("seed", "iteration")
        final = final_return(runs.values, np.zeros(len(runs), bool), params["reliability"]["final"])
        yield [*labels, spread(xr.DataArray(final), 4), spread(kind.published, 4)]


AGENT = ("task", "algorithm")

TABLES = {
    "gradients": Table(
        (("fig1", "fig2", "noise_scale"), ("fig9", "fig10", "noise_scale")),
        (
            *AGENT,
            "iteration",
            "cosine of two estimates of 2K pairs",
            "of 1M pairs (seed 0)",
            "cosine to the true gradient, corrected for its noise, of 2K pairs",
            "of 1M pairs (seed 0)",
            "noise scale [pairs]",
        ),
        _gradients,
    ),
    "noise_growth": Table(
        (("noise_scale",),),
        (
            "task",
            "agents whose noise scale grows from the first to the last trained checkpoint",
            "log₂ of the growth, mean over agents [95 % interval between them]",
        ),
        _noise_growth,
    ),
    "steps": Table(
        (("steps", "noise_scale"),),
        (*AGENT, "pairs", "cosine of two gradient estimates", "of two update steps", "steps agree less in"),
        _steps,
    ),
    "values": Table(
        (("fig3",), ("fig12",)),
        (
            *AGENT,
            "error to targets, Σ\\|e\\|/Σ\\|y\\|",
            "to returns as published, mean of ratios",
            "Σ\\|e\\|/Σ\\|y\\|",
            "to uncut returns, Σ\\|e\\|/Σ\\|y\\|",
            "the same at probed checkpoints, on the pairs of V^π",
            "of V^π itself there",
        ),
        _values,
    ),
    "baselines": Table(
        (("fig4",),),
        (*AGENT, "pairs", "cosine without a baseline", "with the agent's V", "with V*"),
        _baselines,
    ),
    "variances": Table(
        (("gae",),),
        (
            *AGENT,
            "variance left with V at λ = 1 (no baseline = 1)",
            "share of the possible reduction",
            "variance left with V over that with V*",
            "variance at the agents' λ (λ = 1 is 1)",
            "its squared bias",
            "squared norm of the gradient",
        ),
        _variances,
    ),
    "landscapes": Table(
        (("alignment",),),
        (
            *AGENT,
            "checkpoints",
            "share of noise in the reward over the plane, at the fewest pairs per point",
            "at the most that all agents have",
            "along the step, at the fewest",
            "at the most",
            "correlation with the own surrogate along the step, step from few pairs",
            "from many pairs",
            "with the unclipped one on fresh batches, few",
            "many",
        ),
        _landscapes,
    ),
    "promises": Table(
        (("promise",),),
        (
            *AGENT,
            "pairs of the step",
            "promised on its own batch",
            "on fresh batches, unclipped",
            "kept by the return",
        ),
        _promises,
    ),
    "trust_regions": Table(
        (("trust_region",),),
        (
            *AGENT,
            "TRPO's δ",
            "mean KL, own pairs",
            "fresh pairs",
            "share of iterations within δ, own pairs",
            "fresh pairs",
            "largest ratio",
            "share of clipped ratios",
        ),
        _trust_regions,
    ),
    "regimes": Table(
        (("sample_regime",),),
        (
            "task",
            "pairs per iteration",
            "iterations",
            "return at the end of the shortest regime",
            "at the end of the second shortest",
            "final return",
            "cosine between gradients of a batch's halves",
        ),
        _regimes,
    ),
    "returns": Table((("fig8",),), (*AGENT, "final return", "published, -v2"), _returns),
    "clipping": Table(
        (("clipping",),),
        (
            "task",
            "actions, learning rate",
            "final return, mean over seeds [95 % interval between them]",
            "published for PPO, -v2",
            "episode length [pairs]",
            "control cost per episode of the actions clipped",
            "of the actions as drawn",
        ),
        _clipping,
    ),
    "semantics": Table(
        (("semantics",),),
        (
            *AGENT,
            "quantity",
            "exact semantics",
            "released code's",
            "difference [95 % interval between seeds]",
        ),
        _semantics,
    ),
    "reliability": Table(
        (("reliability",),),
        (
            *AGENT,
            "interquartile mean of final returns [95 % interval between seeds]",
            "published, -v2",
            "mean difference of two seeds over their mean",
        ),
        _reliability,
    ),
    "predictors": Table(
        (("reliability",),),
        (
            "measured of an agent",
            "agents",
            "rank correlation with the final return within kinds of agents [95 % interval]",
        ),
        _predictors,
    ),
}
"""By name."""
