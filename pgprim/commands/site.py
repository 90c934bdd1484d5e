"""Make the interactive page of the study: one HTML file that works offline, from the pipeline's results.

A missing task, probe or figure gives a note on the page. `--audits` names a folder with one folder per
audit, each with an `audit.json`; the page then shows these agents, too.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from pgprim.commands.command import load_params, make_parser, output, run
from pgprim.plotting.figure_data import load_figure_data
from pgprim.report.claims.table import files_of, read_claims
from pgprim.report.site.collect import ESTIMATES, LABELLED, LANDSCAPE, load
from pgprim.report.site.page import FIGURE_DATA, FigureFiles, Study, render
from pgprim.store.files import write_bytes
from pgprim.types.errors import UserError

FIGURES, DATA, CLAIMS = Path("figures"), Path("data/figures"), Path("data/claims")
"""Folders of the figures as PDF and PNG, of their datasets, and of the judged claims."""

CAPTIONS = Path("workflow/report/figures.rst")
"""Template of the figures' captions."""


def main(args: argparse.Namespace) -> None:
    """Read the results, and write the page."""
    figures = [figure for group in args.draw for figure in _figures(*group)]
    study = Study(
        params=load_params(),
        captions=_captions(),
        estimates={probe: load(Path(ESTIMATES, probe)) for probe in (*LABELLED, LANDSCAPE)},
        figures=figures,
        datasets={
            figure.name: load_figure_data(figure.data)
            for figure in figures
            if figure.name in FIGURE_DATA and figure.data.exists()
        },
        claims=read_claims(files_of(CLAIMS)),
        audits=_audits(args.audits),
    )
    write_bytes(args.out, render(study).encode(), _is_page)


def _figures(by: str, *names: str) -> list[FigureFiles]:
    return [
        FigureFiles(name, by, FIGURES / f"{name}.pdf", FIGURES / f"{name}.png", DATA / f"{name}.nc")
        for name in names
    ]


def _audits(folder: Path | None) -> dict[str, Any]:
    """Every audit below a folder by the name of its own folder."""
    if folder is None:
        return {}
    audits = {}
    for file in sorted(folder.glob("*/audit.json")):
        try:
            audits[file.parent.name] = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{file}: no audit ({error}); make it with `python -m pgprim audit`") from None
    return audits


def _captions() -> str:
    try:
        return CAPTIONS.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{CAPTIONS}: no template of captions ({error.strerror})") from None


def _is_page(path: Path) -> bool:
    """Whether a file is such a page, which may be replaced."""
    return path.is_file() and b'<meta name="generator" content="pgprim">' in path.read_bytes()[:2000]


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.site", __doc__)
    parser.add_argument("--out", required=True, type=output, metavar="HTML", help="the page to write")
    parser.add_argument(
        "--draw",
        required=True,
        action="append",
        nargs="+",
        metavar=("FOLDER", "FIGURE"),
        help="a folder of pgprim, such as probes/gradient, and the figures that it draws, for the gallery",
    )
    parser.add_argument("--audits", type=Path, help="folder of audits, one folder each")
    run(main, parser)
