"""Write the main numbers of one task and algorithm to a JSON file, which `dvc metrics show` prints as a row.

The numbers are the final return, and the agreement of gradient estimates from 2K pairs with each other and with the
large-sample gradient. The figures have their intervals; `dvc metrics diff` shows what changed.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pgprim.commands.command import load_params, make_parser, output, run
from pgprim.core.final_return import final_return
from pgprim.plotting.combine import load_results
from pgprim.store.files import write_json
from pgprim.types.errors import UserError


def summarise(records: xr.Dataset, estimates: xr.Dataset, budget: int, share: float) -> dict[str, Any]:
    """Means over seeds; None without values.

    Args:
        records: Training records of one task and algorithm.
        estimates: Estimates of the probe `gradient` at its checkpoints.
        budget: Pairs per estimate.
        share: Share of the iterations whose mean return is the final return.

    Returns:
        `return`: mean final return; `pairs`: per gradient estimate; by checkpoint `agreement`: mean pairwise cosine of
        the estimates (Fig. 1), and `to_truth`: mean cosine to the gradient of the large sample (Fig. 2).

    Raises:
        UserError: There are no estimates of this budget.
    """
    returns = records.return_mean.transpose("task", "algo", "seed", "iteration").values
    finals = final_return(returns, np.zeros(returns.shape[:-1], bool), share)
    if budget not in estimates.budget:
        sizes = ", ".join(str(size) for size in estimates.budget.values)
        raise UserError(f"no gradient estimate is of plot.budget ({budget}) pairs, but of {sizes}")
    cosines = estimates.sel(budget=budget)
    return {
        "return": _number(xr.DataArray(finals).mean()),
        "pairs": budget,
        "agreement": _by_checkpoint(cosines.cosine),
        "to_truth": _by_checkpoint(cosines.truth_cosine),
    }


def _by_checkpoint(cosine: xr.DataArray) -> dict[str, float | None]:
    return {
        str(iteration): _number(cosine.sel(iteration=iteration).mean())
        for iteration in cosine.iteration.values
    }


def _number(value: xr.DataArray) -> float | None:
    return None if value.isnull() else float(value)


def main(args: argparse.Namespace) -> None:
    """Load, average, and write."""
    records, estimates = load_results([args.records]), load_results([args.estimates])
    for folder, ds, name in ((args.records, records, "return_mean"), (args.estimates, estimates, "cosine")):
        if ds is None or name not in ds:
            raise UserError(
                f"{folder}: holds no {name}; give the folder of one task's and algorithm's results"
            )
    params = load_params()
    write_json(
        args.out, summarise(records, estimates, params["plot"]["budget"], params["reliability"]["final"])
    )


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.summarise", __doc__)
    parser.add_argument("--records", required=True, type=Path, help="folder of training records")
    parser.add_argument(
        "--estimates", required=True, type=Path, help="folder of what the probe gradient found"
    )
    parser.add_argument("--out", required=True, type=output, metavar="JSON", help="the numbers")
    run(main, parser)
