"""The claims as a table in Markdown."""

from collections.abc import Mapping
from typing import Any

BEGIN, END = "<!-- claims: written by pgprim.commands.claims -->", "<!-- end of claims -->"


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """One line per claim: statement, effect with interval, parameter set and number of agents, rule, verdict, figure.

    Args:
        rows: From `claims.judge`, by name.
    """
    lines = ["| the paper says | measured | set | rule | verdict | see |", "|---|---|---|---|---|---|"]
    for row in rows.values():
        (rule,) = (f"{side} {bound:g}" for side, bound in row["rule"].items())
        lines.append(
            f"| {row['statement']} ({row['source']}) | {row['effect']}: {_interval(row)} | "
            f"{row['set']}, {row['agents']} agents | {rule} | {row['verdict']} | `figures/{row['figure']}.pdf` |"
        )
    return "\n".join(lines)


def insert(page: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """A page with its table of claims brought up to date, between the two marks that it must have.

    Raises:
        ValueError: The page has no such marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"has no lines {BEGIN!r} and {END!r} for the table to stand between")
    return f"{before}{BEGIN}\n\n{table(rows)}\n\n{END}{after}"


def _interval(row: Mapping[str, Any]) -> str:
    if row["value"] is None:
        return "not measured"
    units = "" if row["units"] == "1" else f" {row['units']}"
    if row["low"] is None:
        return f"{row['value']:.3g}{units}, one seed"
    return f"{row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}]{units}"
