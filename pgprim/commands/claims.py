"""Judge the claims of one section of the paper by the rules in params.yaml, and write the verdicts.

The module of the section's claims is imported by name, so a section's verdicts do not depend on the modules of other
sections. The first edition's claims are one module for all sections.
"""

import argparse
from importlib import import_module
from pathlib import Path

from pgprim.commands.command import load_params, make_parser, output, run
from pgprim.plotting.combine import load_results
from pgprim.plotting.figure_data import load_figure_data
from pgprim.report.claims.claim import judge
from pgprim.report.claims.first import FIRST_CLAIMS
from pgprim.report.claims.table import SECTIONS
from pgprim.store.files import write_json
from pgprim.types.errors import UserError


def main(args: argparse.Namespace) -> None:
    """Load the results, judge and save."""
    claims = import_module(f"pgprim.report.claims.{args.section}").CLAIMS
    first_claims = FIRST_CLAIMS[args.section]
    params = load_params()
    results = {
        path.stem: load_figure_data(path) if path.suffix == ".nc" else load_results([path])
        for path in args.inputs
    }
    reads = {name for claim in (*claims.values(), *first_claims.values()) for name in claim.reads}
    if missing := sorted(reads - set(results)):
        raise UserError(f"no results of {missing[0]} are given; give their directory, as dvc.yaml does")
    first = judge(first_claims, results, params, "first_rules")
    first = {f"first_rule/{name}": claim for name, claim in first.items()}
    write_json(Path(args.out, f"{args.section}.json"), judge(claims, results, params) | first)


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.claims", __doc__)
    parser.add_argument(
        "--section", required=True, choices=SECTIONS, help="the section whose claims to judge"
    )
    parser.add_argument(
        "--out",
        type=output,
        default="data/claims",
        metavar="FOLDER",
        help="folder of the judged claims, a file per section",
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        type=Path,
        metavar="INPUT",
        help="estimates of a probe (a directory) or the data of a figure (NetCDF)",
    )
    parser.parse_args = parser.parse_intermixed_args
    run(main, parser)
