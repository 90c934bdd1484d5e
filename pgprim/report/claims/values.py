"""Claims on value prediction and baselines (Sec. 2.2, Figs. 3, 4, 11, 12)."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import xarray as xr

from pgprim.plotting.choose import trained
from pgprim.report.claims.claim import (
    Claim,
    Evidence,
    Params,
    Results,
    per_task,
    per_task_ratio,
    probed,
)

ERRORS = {"walker2d": "fig3", "": "fig12"}
BASELINES = {"": "fig4"}
VARIANCES = {"": "gae"}


def _errors(results: Results, params: Params, target: str) -> xr.DataArray:
    """Σ|V − target| / Σ|target| on held-out pairs (robust against targets near 0), at trained agents' iterations."""
    ds = probed(results["value"], params)
    return trained(ds.total_re.sel(part="held_out", target=target, definition="as_text"))


def _gae_error(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    return per_task(_errors(results, params, "gae").mean("iteration"), level)


def _true_value(results: Results, params: Params) -> xr.Dataset:
    """The errors that V^π itself would have, at trained checkpoints."""
    return trained(probed(results["floors"], params))


def _beside(rows: Iterable[Evidence], true_value: xr.DataArray) -> Iterator[Evidence]:
    """The rows of tasks with the mean effect that V^π itself would have over agents and checkpoints."""
    for row in rows:
        own = true_value.sel(task=row.task) if row.task in true_value.task else None
        yield row if own is None else row._replace(true_value=float(own.mean()))


def _returns_error(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    ds = probed(results["value"], params)
    mean_ratio = ds.mre.sel(part="held_out", target="returns", definition="as_text")
    own = _true_value(results, params).floor.sel(target="returns", definition="as_text")
    return _beside(per_task(trained(mean_ratio).mean("iteration"), level), own)


def _beyond_floor(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    ds = _true_value(results, params).sel(target="returns", definition="exact")
    return per_task(np.log2(ds.error_total / ds.floor_total).mean("iteration"), level)


def _returns_against_gae(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    ratio = _errors(results, params, "returns") / _errors(results, params, "gae")
    own = _true_value(results, params).floor_total.sel(definition="as_text")
    return _beside(
        per_task(np.log2(ratio).mean("iteration"), level),
        np.log2(own.sel(target="returns", drop=True) / own.sel(target="gae", drop=True)),
    )


def _agreement_gain(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    """log₂ of the ratio of the mean cosines with V and without a baseline, over agents and their trained checkpoints."""
    cosine = trained(results["baselines"].cosine).isel(budget=-1).mean("iteration")
    return per_task_ratio(
        cosine.sel(baseline="value", drop=True), cosine.sel(baseline="zero", drop=True), level
    )


def _variance_gain(more: str, less: str) -> Callable[[Results, Params, float], Iterator[Evidence]]:
    """log₂ of the ratio of the variances that two baselines leave at λ = 1, where both have the same expectation."""

    def gain(results: Results, params: Params, level: float) -> Iterator[Evidence]:
        left = trained(results["baselines"].return_variance)
        ratio = left.sel(subtracted=less, drop=True) / left.sel(subtracted=more, drop=True)
        return per_task(np.log2(ratio).mean("iteration"), level)

    return gain


CLAIMS = {
    "value_fits_its_targets": Claim(
        "Value networks fit their training targets, also on held-out pairs",
        "Sec. 2.2, Figs. 3, 12",
        "Σ|V − (V_old + A_GAE)| over Σ|V_old + A_GAE| on held-out pairs",
        ("value",),
        ERRORS,
        _gae_error,
    ),
    "value_misses_returns": Claim(
        "Value networks have a relative error of a quarter or more against returns as the paper computes them (it reports one half)",
        "Sec. 2.2, Figs. 3, 12",
        "mean relative error against returns on held-out pairs, by the paper's formula",
        ("value", "floors"),
        ERRORS,
        _returns_error,
    ),
    "value_misses_exact_returns": Claim(
        "Value networks predict uncut returns worse than the true value function would (our definition)",
        "Sec. 2.2, Figs. 3, 12",
        "log₂ of Σ|V − R|/Σ|R| over the floor (the error of V^π on the same pairs), for uncut returns",
        ("floors",),
        ERRORS,
        _beyond_floor,
    ),
    "value_misses_returns_by_far_more": Claim(
        "Value networks have a much larger error against returns than against their targets",
        "Sec. 2.2, Figs. 3, 12",
        "log₂ of the ratio of the two errors Σ|error|/Σ|target| on held-out pairs",
        ("value", "floors"),
        ERRORS,
        _returns_against_gae,
    ),
    "value_helps_agreement": Claim(
        "Gradient estimates agree more with the agent's value network as baseline than without a baseline",
        "Sec. 2.2, Fig. 4",
        "log₂ of the mean pairwise cosine with the agent's V over that with no baseline, at 10K pairs",
        ("baselines",),
        BASELINES,
        _agreement_gain,
    ),
    "true_value_helps_more": Claim(
        "Gradient estimates agree more with the true value function as baseline than with the agent's",
        "Sec. 2.2, Fig. 4",
        "log₂ of the variance of estimates of 2K pairs with the agent's V over that with V*, at λ = 1",
        ("baselines",),
        VARIANCES,
        _variance_gain("true", "value"),
    ),
    "value_helps_little_at_2k": Claim(
        "With the pairs that training uses, the agent's value network increases agreement only a little (less than twofold)",
        "Sec. 2.2, Fig. 4",
        "log₂ of the variance of estimates of 2K pairs without a baseline over that with the agent's V, at λ = 1",
        ("baselines",),
        VARIANCES,
        _variance_gain("value", "zero"),
    ),
}
"""By name; the rule of each stands in the parameter file."""
