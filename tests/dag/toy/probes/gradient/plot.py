"""Writes what it reads."""


def plot(figure: str, text: str, regime: int, **others: object) -> str:
    return f"{figure} {regime}\n{text}"
