"""Draw one figure from estimates, and write the data that it shows.

`--by` names the folder of a module `plot.py`. It defines `FIGURES`, the figures' names; `select(figure, ds, params)`,
which returns the dataset of a figure; and `plot(ds)`, which draws it as one figure or a list of pages. It is imported
by name, so figures do not depend on each other's code.
"""

import argparse
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from pgprim.commands.command import load_params, make_parser, output, run
from pgprim.plotting.combine import load_results
from pgprim.plotting.figure_data import save_figure_data
from pgprim.plotting.save import about, save
from pgprim.store.provenance import Used, provenance, union
from pgprim.types.errors import UserError


def plot_module(folder: str, figure: str) -> ModuleType:
    """The module that draws a figure.

    Args:
        folder: Where it is, below `pgprim/`, such as `probes/gradient`.
        figure: The figure's name.

    Raises:
        UserError: If there is no such module, or it does not draw this figure.
    """
    name = f"pgprim.{folder.replace('/', '.')}.plot"
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        raise UserError(
            f"--by {folder}: pgprim/{folder}/plot.py does not exist; name a folder that has plot.py"
        )
    module = import_module(name)
    if figure not in module.FIGURES:
        raise UserError(f"{figure}: {name} does not draw it; it draws {', '.join(module.FIGURES)}")
    return module


def main(args: argparse.Namespace) -> None:
    """Load, select, draw and save."""
    module = plot_module(args.by, args.figure)
    results, params = load_results(args.inputs), Used(load_params())
    ds = module.select(args.figure, results, params)
    origin = [provenance(params.used)] + ([] if results is None else [results.attrs])
    ds = save_figure_data(args.data, ds.assign_attrs(union(origin)))
    save(module.plot(ds), args.out, args.png, said=about(ds))


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.plot", __doc__)
    parser.add_argument("figure", metavar="FIGURE", help="name of the figure, such as fig2")
    parser.add_argument("--by", required=True, help="folder of pgprim that draws it, such as probes/gradient")
    parser.add_argument("--out", required=True, type=output, metavar="PDF", help="the figure as PDF")
    parser.add_argument("--png", required=True, type=output, help="the figure as PNG")
    parser.add_argument(
        "--data", required=True, type=output, metavar="NC", help="the data it shows, as NetCDF"
    )
    parser.add_argument(
        "inputs", nargs="*", type=Path, metavar="INPUT_DIR", help="directories of estimates or records"
    )
    parser.parse_args = parser.parse_intermixed_args  # the plain one takes no directories after the options
    run(main, parser)
