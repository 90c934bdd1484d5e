"""Claims on gradient estimates (Sec. 2.1, Figs. 1, 2, 9, 10)."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from pgprim.core.welch import welch_interval
from pgprim.plotting.choose import trained
from pgprim.report.claims.claim import (
    EXPECTED_COSINE,
    Claim,
    Evidence,
    Params,
    Results,
    at_budget,
    per_agent_kind,
    per_task,
    probed,
)

NEAR = 0.9
"""Smallest cosine to the true gradient at which an estimate counts as near it."""

MOST = 1_000_000
"""The paper's largest budget (Figs. 1, 2)."""

AGREEMENT = {"humanoid": "fig1", "hopper": "fig9", "walker2d": "fig9", "": "fig1"}
TRUTH = {"humanoid": "fig2", "hopper": "fig10", "walker2d": "fig10", "": "fig2"}


def _noise_scale(results: Results) -> xr.DataArray:
    """log₂ of the gradient noise scale of whole pools; NaN without signal."""
    scale = results["gradient"].truth_noise_scale
    return np.log2(scale.where(scale > 0))


def _agreement(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    cosine = trained(at_budget(results["gradient"], params)).cosine
    return per_task(cosine.mean("iteration"), level, EXPECTED_COSINE)


def _noise_grows(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    scale = trained(_noise_scale(results))
    return per_agent_kind(scale.isel(iteration=-1) - scale.isel(iteration=0), level)


def _noise_of_tasks(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    scale = trained(_noise_scale(results)).mean("iteration")
    if not {"hopper", "humanoid"} <= set(scale.task.values):
        return
    for algo in scale.algo.values:
        hard, easy = (scale.sel(task=task, algo=algo).values for task in ("humanoid", "hopper"))
        hard, easy = hard[np.isfinite(hard)], easy[np.isfinite(easy)]
        yield Evidence("humanoid", str(algo), welch_interval(hard, easy, level), len(hard) + len(easy))


def _pairs_to_truth(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    """By c² = N/(N + B), a cosine of c takes B·c²/(1 − c²) pairs."""
    factor = np.log2(NEAR**2 / (1 - NEAR**2) / params["plot"]["budget"])
    return per_task(trained(_noise_scale(results)).mean("iteration") + factor, level)


def _truth_at_most(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    scale = trained(results["gradient"].truth_noise_scale)
    return per_task(np.sqrt(MOST / (MOST + scale.where(scale > 0))).mean("iteration"), level, EXPECTED_COSINE)


def _steps(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    steps, grads = (
        trained(at_budget(probed(results[name], params), params)).cosine for name in ("steps", "gradient")
    )
    return per_agent_kind((steps - grads).mean("iteration"), level)


CLAIMS = {
    "agreement_is_poor": Claim(
        "With the pairs that training uses per iteration, gradient estimates of trained agents hardly agree",
        "Sec. 2.1, Fig. 1",
        "mean pairwise cosine at 2K pairs, trained checkpoints",
        ("gradient",),
        AGREEMENT,
        _agreement,
    ),
    "agreement_falls_with_training": Claim(
        "Estimates agree less the longer an agent has been trained",
        "Sec. 2.1, Fig. 1",
        "log₂ of the gradient noise scale at the last checkpoint over that at the first trained one",
        ("gradient",),
        AGREEMENT,
        _noise_grows,
    ),
    "agreement_falls_with_task": Claim(
        "Estimates agree less on Humanoid than on Hopper",
        "Sec. 2.1, Figs. 1 and 9",
        "log₂ of Humanoid's gradient noise scale over Hopper's, trained checkpoints",
        ("gradient",),
        {"": "noise_scale"},
        _noise_of_tasks,
    ),
    "truth_needs_more_pairs": Claim(
        "An estimate near the true gradient takes several times more pairs than training uses",
        "Sec. 2.1, Fig. 2",
        "log₂ of the pairs for a cosine of 0.9 to the true gradient, by the noise scale, over 2K",
        ("gradient",),
        TRUTH,
        _pairs_to_truth,
    ),
    "most_pairs_suffice": Claim(
        "With a million pairs, estimates are near the true gradient",
        "Sec. 2.1, Fig. 2",
        "cosine to the true gradient at 10⁶ pairs, by the noise scale, trained checkpoints",
        ("gradient",),
        TRUTH,
        _truth_at_most,
    ),
    "steps_are_no_better": Claim(
        "The algorithms' update steps agree no better than gradient estimates",
        "Sec. 2.1, footnote",
        "mean pairwise cosine of update steps minus that of gradient estimates at 2K pairs, trained checkpoints",
        ("steps", "gradient"),
        {"": "steps"},
        _steps,
    ),
}
"""By name; the rule of each stands in the parameter file."""
