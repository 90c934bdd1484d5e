"""Counts letters."""


def estimate(text: str, budgets: list, level: float) -> str:
    return "".join(f"{budget} {level} {len(text) * budget}\n" for budget in budgets)
