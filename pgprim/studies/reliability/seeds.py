"""Final return of every trained agent, beside the primitives that might predict it."""

import numpy as np
import xarray as xr

from pgprim.core.final_return import final_return
from pgprim.store.labelled import label
from pgprim.types.errors import UserError

PRIMITIVES = {
    "seed_agreement": "gradient agreement",
    "seed_value_error": "value error",
    "seed_promised": "promise, own batch",
    "seed_promised_fresh_unclipped": "promise, fresh batches",
}
"""Variables, and the words for them on figures."""

DESCRIBED = {
    "seed_return": ("final return", "reward"),
    "seed_agreement": ("mean pairwise cosine of gradient estimates, mean over trained checkpoints", "1"),
    "seed_value_error": (
        "sum of |V − return| over sum of |return| on held-out pairs, mean over trained iterations", "1",
    ),
    "seed_promised": ("surrogate of a step on its own batch, mean over trained checkpoints", "1"),
    "seed_promised_fresh_unclipped": (
        "unclipped surrogate of a step on fresh batches, mean over trained checkpoints", "1",
    ),
}  # fmt: skip
"""Long name and unit. Trained are checkpoints and iterations after the first."""

VALUE_ERROR = {"part": "held_out", "target": "returns", "definition": "exact"}


def relate_seeds(
    records: xr.Dataset | None,
    gradient: xr.Dataset | None,
    value: xr.Dataset | None,
    landscape: xr.Dataset | None,
    budget: int,
    share: float,
) -> xr.Dataset:
    """Final return and primitives of every trained agent; NaN if a primitive was not measured.

    Args:
        records: Of training.
        gradient: Results of the probe `gradient`.
        value: Results of the probe `value`.
        landscape: Results of the probe `landscape`, of which slices along steps from 2K pairs are used.
        budget: Pairs per gradient estimate.
        share: Share of the iterations whose mean return is the final return.

    Returns:
        `DESCRIBED` over task, algorithm and seed.

    Raises:
        UserError: There are no records, or no gradient estimates of this budget.
    """
    if records is None or "return_mean" not in records:
        raise UserError("there are no training records; give the folder data/records")
    returns = records.return_mean.transpose("task", "algo", "seed", "iteration").values
    finals = final_return(returns, np.zeros(returns.shape[:-1], bool), share)
    found: dict[str, xr.DataArray] = {}
    if gradient is not None and "cosine" in gradient:
        if budget not in gradient.budget:
            known = ", ".join(str(size) for size in gradient.budget.values)
            raise UserError(f"no gradient estimate is of plot.budget ({budget}) pairs, but of {known}")
        found["seed_agreement"] = gradient.cosine.sel(budget=budget)
    if value is not None and "total_re" in value:
        found["seed_value_error"] = value.total_re.sel(VALUE_ERROR)
    for name in ("promised", "promised_fresh_unclipped"):
        if landscape is not None and name in landscape and "few" in landscape.kind:
            found[f"seed_{name}"] = landscape[name].sel(kind="few")
    coords = {name: records[name].values for name in ("task", "algo", "seed")}
    numbers = {"seed_return": finals} | {name: np.full(finals.shape, np.nan) for name in PRIMITIVES}
    for name, array in found.items():
        trained = array.sel(iteration=array.iteration > 0).mean("iteration", skipna=True)
        numbers[name] = trained.reindex(coords).transpose(*coords).values
    variables = {name: (tuple(coords), values) for name, values in numbers.items()}
    return label(variables, DESCRIBED, coords, {"budget": budget, "final": share})
