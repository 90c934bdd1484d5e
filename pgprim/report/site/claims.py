"""Claims with their evidence, as the page shows them: each row's interval on a scale with the threshold."""

from collections.abc import Mapping
from typing import Any

from pgprim.plotting.labels import algo_label, task_label

VERDICTS = ("reproduced", "mixed", "not reproduced", "inconclusive")

PAD = 0.08
"""Space beside the outermost value, in parts of the scale."""


def evidence(claims: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Claims as the page's template reads them.

    Args:
        claims: By name (`report.claims.table.read_claims`).

    Returns:
        A list with `name`, `section`, `statement`, `source`, `effect`, `units`, `figures`, `verdict`, `summary`, `level`,
        `first_rule`, `rule` in words, `threshold` with its place on the scale [%], the `ends` of the scale, and `rows` with
        labels, numbers and places of value, low and high [%].
    """
    return [_claim(name, claim) for name, claim in claims.items()]


def counts(told: list[dict[str, Any]]) -> dict[str, int]:
    """Number of claims with each verdict, by the second edition's rules."""
    judged = [claim["verdict"] for claim in told if not claim["first_rule"]]
    return {verdict: judged.count(verdict) for verdict in dict.fromkeys((*VERDICTS, *judged))}


def _claim(name: str, claim: Mapping[str, Any]) -> dict[str, Any]:
    rows = claim["rows"]
    ((side, threshold),) = claim["rule"].items()
    marks = [
        threshold,
        *(row[key] for row in rows for key in ("value", "low", "high") if row[key] is not None),
    ]
    ends = _ends(marks)
    return {
        "name": name,
        "section": claim["section"],
        "statement": claim["statement"],
        "source": claim["source"],
        "effect": claim["effect"],
        "units": "" if claim["units"] == "1" else claim["units"],
        "figures": list(dict.fromkeys(row["figure"] for row in rows if row["figure"])),
        "verdict": claim["verdict"],
        "summary": claim["summary"],
        "level": claim["level"],
        "first_rule": claim["first_rule"],
        "rule": f"{side} {threshold:g}",
        "threshold": {"value": threshold, "at": _place(threshold, ends)},
        "ends": ends,
        "rows": [_row(row, ends) for row in rows],
    }


def _row(row: Mapping[str, Any], ends: tuple[float, float]) -> dict[str, Any]:
    numbers = {key: row[key] for key in ("value", "low", "high")}
    return {
        "task": task_label(row["task"]) if row["task"] else "all",
        "algo": algo_label(row["algo"]) if row["algo"] else "all",
        "agents": row["agents"],
        "verdict": row["verdict"],
        "figure": row["figure"],
        "true_value": row.get("true_value"),
        "ceiling": row.get("ceiling"),
        **numbers,
        "at": {key: _place(value, ends) for key, value in numbers.items()},
    }


def _ends(marks: list[float]) -> tuple[float, float]:
    low, high = min(marks), max(marks)
    pad = PAD * (high - low) or 0.5
    return low - pad, high + pad


def _place(value: float | None, ends: tuple[float, float]) -> float | None:
    return None if value is None else round(100 * (value - ends[0]) / (ends[1] - ends[0]), 2)
