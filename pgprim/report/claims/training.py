"""Claims on training as a whole: implementation choices (the paper's first version) and reliability (the talk)."""

from collections.abc import Iterator

import numpy as np
from scipy.stats import kruskal, permutation_test

from pgprim.core.final_return import final_return
from pgprim.core.intervals import Interval, jackknife_positive
from pgprim.core.seeding import generator
from pgprim.report.claims.claim import Claim, Evidence, Params, Results

PERMUTATIONS = 9999
"""Random permutations of a test, so the smallest p value is 10⁻⁴."""


def _choices(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    """A permutation test over the cells of the design, on the seeds that did not choose learning rates.

    Its interval begins at 0, because a large p value does not show that the cells are equal.
    """
    ds = results["ablation"]
    final = ds.final_return.sel(seed=~ds.seed.isin(params["ablation"]["choose"]))
    for task in ds.task.values:
        best = ds.best_rate.sel(task=task)
        cells = [final.sel(task=task, cell=cell, rate=best.sel(cell=cell)).values for cell in ds.cell.values]
        cells = [cell[np.isfinite(cell)] for cell in cells]
        cells = [cell for cell in cells if len(cell) > 1]
        test = permutation_test(
            cells, _rank_statistic, vectorized=True, n_resamples=PERMUTATIONS, alternative="greater",
            rng=generator("permutations", "ablation", str(task)),
        )  # fmt: skip
        p = float(test.pvalue)
        yield Evidence(str(task), "ppo", Interval(p, 0.0, p), sum(map(len, cells)))


def _rank_statistic(*cells: np.ndarray, axis: int = -1) -> np.ndarray | np.floating:
    """Kruskal and Wallis's H, which neither a few very good runs nor different variances dominate."""
    return kruskal(*cells, axis=axis).statistic


def _spread(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    returns = results["fig8"].return_mean
    for task in returns.task.values:
        for algo in returns.algo.values:
            runs = returns.sel(task=task, algo=algo).transpose("seed", "iteration").values
            values = final_return(runs, np.zeros(len(runs), bool), params["reliability"]["final"])
            values = values[np.isfinite(values)]
            if len(values) > 2:
                left_out = np.array([_variation(np.delete(values, index)) for index in range(len(values))])
                yield Evidence(
                    str(task), str(algo), jackknife_positive(_variation(values), left_out, level), len(values)
                )


def _variation(values: np.ndarray) -> float:
    """Coefficient of variation, the standard deviation over the mean."""
    return float(values.std(ddof=1) / values.mean())


CLAIMS = {
    "choices_matter": Claim(
        "PPO's implementation choices matter for its return",
        "first version",
        "p value of Kruskal and Wallis's test, by permutations, that all 16 combinations of four choices, each at its best learning rate, have equal returns",
        ("ablation",),
        {"": "ablation"},
        _choices,
    ),
    "seeds_are_unreliable": Claim(
        "Returns of the same agent vary widely between training seeds",
        "the talk",
        "standard deviation over mean of the final returns of the training seeds",
        ("fig8",),
        {"": "fig8"},
        _spread,
    ),
}
"""By name; the rule of each stands in the parameter file."""
