"""Claims on training as a whole: implementation choices (the paper's first version) and reliability (the talk)."""

from collections.abc import Iterator

import numpy as np

from pgprim.core.final_return import final_return
from pgprim.core.intervals import Interval, jackknife_positive
from pgprim.core.welch import welch_anova
from pgprim.report.claims.claim import Claim, Evidence, Params, Results


def _choices(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    """Welch's test over the cells of the design, on the seeds that did not choose learning rates."""
    ds = results["ablation"]
    final = ds.final_return.sel(seed=~ds.seed.isin(params["ablation"]["choose"]))
    for task in ds.task.values:
        best = ds.best_rate.sel(task=task)
        cells = [final.sel(task=task, cell=cell, rate=best.sel(cell=cell)).values for cell in ds.cell.values]
        cells = [cell[np.isfinite(cell)] for cell in cells]
        cells = [cell for cell in cells if len(cell) > 1]
        num = np.array([float(len(cell)) for cell in cells])
        mean = np.array([cell.mean() for cell in cells])
        se = np.array([cell.std(ddof=1) for cell in cells]) / np.sqrt(num)
        p = welch_anova(mean, se, num).p
        yield Evidence(str(task), "ppo", Interval(p, p, p), int(num.sum()))


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
        "p value of Welch's test that all 16 combinations of four choices, each at its best learning rate, have equal returns",
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
