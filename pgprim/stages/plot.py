"""Draw one figure from what the probes found, and keep the very data it shows beside it.

A probe's module `pgprim.probes.PROBE.plot` has `FIGURES`, their names; `select(figure, ds, params)`, which makes the
dataset of a figure; and `plot(ds)`, which draws it. It is imported by name, so that figures do not depend on each
other's code.
"""

import argparse
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import xarray as xr

from pgprim.plotting.save import save
from pgprim.stages.command import make_parser, run
from pgprim.store.datasets import combine, load_estimates, save_dataset
from pgprim.store.records import load_records
from pgprim.types.errors import UserError
from pgprim.types.params import load


def load_results(folders: Sequence[Path]) -> xr.Dataset | None:
    """All estimates or training records below some folders as one dataset; None if there are no folders.

    Raises:
        UserError: If a folder is missing or holds nothing of the kind.
    """
    if not folders:
        return None
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such directory; make what is in it with snakemake")
    stores = sorted(path for folder in folders for path in folder.rglob("*.zarr"))
    ds = combine([_records(store) for store in stores]) if stores else load_estimates(folders)
    ds.encoding["source"] = ", ".join(map(str, folders))
    return ds


def _records(store: Path) -> xr.Dataset:
    try:
        return load_records(store)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{store}: not a whole store of training records ({error}); delete it and make it again"
        ) from None


def plot_module(probe: str, figure: str) -> ModuleType:
    """The module that draws a figure.

    Raises:
        UserError: If there is no such probe, it draws nothing, or it does not draw this figure.
    """
    name = f"pgprim.probes.{probe}.plot"
    try:
        found = find_spec(name)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise UserError(
            f"--probe {probe}: there is no module {name}; name a folder of pgprim/probes that has plot.py"
        )
    module = import_module(name)
    if figure not in module.FIGURES:
        raise UserError(f"{figure}: {name} does not draw it; it draws {', '.join(module.FIGURES)}")
    return module


def main(args: argparse.Namespace) -> None:
    """Load, choose, draw, and save."""
    module = plot_module(args.probe, args.figure)
    ds = module.select(args.figure, load_results(args.inputs), load())
    save_dataset(args.data, ds)
    save(module.plot(ds), args.out, args.png)


if __name__ == "__main__":
    parser = make_parser("pgprim.stages.plot", __doc__)
    parser.add_argument("figure", metavar="FIGURE", help="name of the figure, such as fig2")
    parser.add_argument("--probe", required=True, help="the probe that draws it: a folder of pgprim/probes")
    parser.add_argument("--out", required=True, type=Path, metavar="PDF", help="the figure as PDF")
    parser.add_argument("--png", required=True, type=Path, help="the figure as PNG")
    parser.add_argument("--data", required=True, type=Path, metavar="NC", help="the data it shows, as NetCDF")
    parser.add_argument(
        "inputs", nargs="*", type=Path, metavar="INPUT_DIR", help="directories of estimates or records"
    )
    run(main, parser)
