"""Writes what it reads."""


def plot(figure: str, text: str, regime: int, seeds: int) -> str:
    return f"{figure} {regime}\n{text}"
