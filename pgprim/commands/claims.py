"""Judge the claims of one section of the paper by the rules in params.yaml, and write the verdicts.

The module of the section's claims is imported by name, so verdicts do not depend on the code of other sections.
`--into docs/claims.md` instead updates a page's table from the verdicts on all sections that are judged.
"""

import argparse
from importlib import import_module
from pathlib import Path

from pgprim.commands.command import load_params, make_parser, output, run
from pgprim.commands.plot import load_results
from pgprim.report.claims.claim import judge
from pgprim.report.claims.first import FIRST_CLAIMS
from pgprim.report.claims.table import SECTIONS, files_of, insert, read_claims
from pgprim.store.datasets import load_dataset
from pgprim.store.files import write_bytes, write_json
from pgprim.types.errors import UserError


def main(args: argparse.Namespace) -> None:
    """Judge and save, or put saved verdicts into a page."""
    if args.into is not None:
        show(args.out, args.into)
        return
    out = Path(output(str(args.out)))
    claims = import_module(f"pgprim.report.claims.{args.section}").CLAIMS
    first_claims = FIRST_CLAIMS[args.section]
    params = load_params()
    results = {
        path.stem: load_dataset(path) if path.suffix == ".nc" else load_results([path])
        for path in args.inputs
    }
    reads = {name for claim in (*claims.values(), *first_claims.values()) for name in claim.reads}
    if missing := sorted(reads - set(results)):
        raise UserError(f"no results of {missing[0]} are given; give their directory, as dvc.yaml does")
    first = judge(first_claims, results, params, "first_rules")
    first = {f"first_rule/{name}": claim for name, claim in first.items()}
    write_json(out / f"{args.section}.json", judge(claims, results, params) | first)


def show(folder: Path, page: Path) -> None:
    """Put the table of saved verdicts into a page.

    Args:
        folder: Of the judged claims.
        page: A Markdown page.

    Raises:
        UserError: No section is judged, or the page has no place for the table.
    """
    if not (files := files_of(folder)):
        raise UserError(
            f"{folder}: no section's claims are judged; `snakemake data/claims/{SECTIONS[0]}.json` judges a section's"
        )
    claims = read_claims(files)
    try:
        text = insert(page.read_text(encoding="utf-8"), claims)
        write_bytes(page, text.encode(), lambda _: True)
    except (OSError, ValueError) as error:
        raise UserError(f"{page}: {error}") from None


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.claims", __doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--section", choices=SECTIONS, help="the section whose claims to judge")
    action.add_argument(
        "--into", type=Path, metavar="PAGE", help="a Markdown page whose table of claims to update"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("data/claims"),
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
