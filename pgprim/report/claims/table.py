"""The judged claims: their files, one per section of the paper, and a table of them in Markdown."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgprim.report.claims.claim import row_label
from pgprim.types.errors import UserError

SECTIONS = ("gradients", "values", "landscapes", "trust_regions", "training")
"""Modules of the claims, in the order of the paper's sections."""

BEGIN, END = "<!-- claims: written by pgprim pages -->", "<!-- end of claims -->"

BAR = r"\|"
"""A bar within a cell of a Markdown table."""

Claims = Mapping[str, Mapping[str, Any]]


def files_of(folder: Path) -> dict[str, Path]:
    """The files that a folder has of judged claims, by section."""
    return {section: path for section in SECTIONS if (path := folder / f"{section}.json").exists()}


def read_claims(files: Mapping[str, Path]) -> dict[str, Any]:
    """Judged claims of some sections by name, each with its `section`; those by the first edition's rules come last.

    Args:
        files: Of the sections, in the order in which their claims are wanted.

    Raises:
        UserError: A file is damaged.
    """
    claims = {}
    for section, path in files.items():
        try:
            judged = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path}: no rows of claims ({error}); make them with `snakemake data/claims/{section}.json`"
            ) from None
        claims |= {name: {**claim, "section": section} for name, claim in judged.items()}
    return dict(sorted(claims.items(), key=lambda item: item[1]["first_rule"]))


def table(claims: Claims) -> str:
    """One line per row of each claim: statement, row, effect with interval, number of agents, rule, verdict, figure.

    Rows that are judged by the first edition's rules come last, in a table of their own.

    Args:
        claims: From `claim.judge`, by name.
    """
    parts = []
    for is_first, title in ((False, ""), (True, "By the first edition's rules, on the same data:\n\n")):
        chosen = [claim for claim in claims.values() if claim["first_rule"] == is_first]
        if chosen:
            lines = [
                "| the paper says | where | measured | rule | verdict | see |",
                "|---|---|---|---|---|---|",
            ]
            lines += [line for claim in chosen for line in _lines(claim)]
            parts.append(title + "\n".join(lines))
    return "\n\n".join(parts)


def insert(page: str, claims: Claims) -> str:
    """A page with its table of claims brought up to date, between the two marks that it must have.

    Raises:
        ValueError: The page has no such marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"has no lines {BEGIN!r} and {END!r} for the table to stand between")
    parts = "\n\n".join(filter(None, (BEGIN, table(claims), END)))
    return f"{before}{parts}{after}"


def _lines(claim: Mapping[str, Any]) -> list[str]:
    (rule,) = (f"{side} {bound:g}" for side, bound in claim["rule"].items())
    claimed = f"{claim['statement']} ({claim['source']}). Effect: {claim['effect']}"
    head = f"| {claimed.replace('|', BAR)} |"
    lines = [
        f"{head if index == 0 else '| |'} {row_label(row)} | "
        f"{_interval(row, claim['units'])}, {row['agents']} agents | {rule} | {row['verdict']} | `figures/{row['figure']}.pdf` |"
        for index, row in enumerate(claim["rows"])
    ]
    return lines or [f"{head} | not measured | {rule} | {claim['verdict']} | |"]


def _interval(row: Mapping[str, Any], units: str) -> str:
    value, low, high = (
        None if row[key] is None else f"{row[key]:.3g}".replace("-", "−") for key in ("value", "low", "high")
    )
    units = "" if units == "1" else f" {units}"
    beside = f", noise allows at most {row['ceiling']:.2g}" if row.get("ceiling") is not None else ""
    beside += f" (V^π itself: {row['true_value']:.2g})" if row.get("true_value") is not None else ""
    if low is not None and high is None:
        return f"at least {low}{units}"
    if value is None:
        return "undetermined" if row["agents"] > 1 else "not measured"
    if low is None:
        return f"{value}{units}, {'undetermined' if row['agents'] > 1 else 'one seed'}"
    return f"{value} [{low}, {high}]{units}{beside}"
