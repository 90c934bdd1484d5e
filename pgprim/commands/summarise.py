"""Write the main numbers of one task and algorithm to a JSON file, which `dvc metrics show` prints as a row.

The numbers are the return at the end of training, and the agreement of gradient estimates from about 2K pairs with
each other and with the large-sample gradient. The figures have their intervals; `dvc metrics diff` shows what
changed.
"""

import argparse
from pathlib import Path
from typing import Any

import xarray as xr

from pgprim.commands.command import load_params, make_parser, output, run
from pgprim.commands.plot import load_results
from pgprim.store.files import write_json
from pgprim.types.errors import UserError

END = 0.1
"""The share of the iterations that is the end of training: one iteration holds a handful of episodes."""


def summarise(records: xr.Dataset, estimates: xr.Dataset, budget: int) -> dict[str, Any]:
    """Means over seeds; None without values.

    Args:
        records: Training records of one task and algorithm.
        estimates: Estimates of the probe `gradient` at its checkpoints.
        budget: Pairs per estimate; the largest budget up to this is used, or else the smallest.

    Returns:
        `return`: mean return of the episodes that ended at the end of training; `pairs`: per gradient estimate;
        by checkpoint `agreement`: mean pairwise cosine of the estimates (Fig. 1), and `to_truth`: mean cosine to the
        gradient of the large sample (Fig. 2).
    """
    iterations = records.sizes["iteration"]
    last = records.return_mean.isel(iteration=slice(-max(1, round(END * iterations)), None))
    budgets = estimates.budget.values
    pairs = max((size for size in budgets if size <= budget), default=min(budgets))
    cosines = estimates.sel(budget=pairs)
    return {
        "return": _number(last.mean()),
        "pairs": int(pairs),
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
    found = summarise(records, estimates, load_params()["plot"]["budget"])
    write_json(args.out, found)


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.summarise", __doc__)
    parser.add_argument("--records", required=True, type=Path, help="folder of training records")
    parser.add_argument(
        "--estimates", required=True, type=Path, help="folder of what the probe gradient found"
    )
    parser.add_argument("--out", required=True, type=output, metavar="JSON", help="the numbers")
    run(main, parser)
