"""Judge the paper's claims from the estimates by the rules in params.yaml, and write the verdicts.

`--into docs/claims.md` instead updates the table of a page from verdicts that are already written.
"""

import argparse
from pathlib import Path

from pgprim.commands.command import load_params, make_parser, run
from pgprim.commands.plot import load_results
from pgprim.commands.scale import write
from pgprim.report.claims.claim import judge
from pgprim.report.claims.claims import CLAIMS
from pgprim.report.claims.first import FIRST_CLAIMS
from pgprim.report.claims.table import insert, read_claims
from pgprim.store.datasets import load_dataset
from pgprim.store.files import write_json
from pgprim.types.errors import UserError


def main(args: argparse.Namespace) -> None:
    """Judge and save, or put saved verdicts into a page."""
    if args.into is not None:
        show(args.out, args.into)
        return
    params = load_params()
    results = {
        path.stem: load_dataset(path) if path.suffix == ".nc" else load_results([path])
        for path in args.inputs
    }
    reads = {name for claims in (CLAIMS, FIRST_CLAIMS) for claim in claims.values() for name in claim.reads}
    if missing := sorted(reads - set(results)):
        raise UserError(f"no results of {missing[0]} are given; give their directory, as dvc.yaml does")
    first = judge(FIRST_CLAIMS, results, params, "first_rules")
    first = {f"first_rule/{name}": claim for name, claim in first.items()}
    write_json(args.out, judge(CLAIMS, results, params) | first)


def show(kept: Path, page: Path) -> None:
    """Put the table of saved verdicts into a page.

    Raises:
        UserError: There are no rows, or the page has no place for them.
    """
    rows = read_claims(kept)
    try:
        write(page, insert(page.read_text(encoding="utf-8"), rows))
    except (OSError, ValueError) as error:
        raise UserError(f"{page}: {error}") from None


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.claims", __doc__)
    parser.add_argument("--out", required=True, type=Path, metavar="JSON", help="file of the judged claims")
    parser.add_argument(
        "--into", type=Path, metavar="PAGE", help="instead, a Markdown page whose table of claims to update"
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
