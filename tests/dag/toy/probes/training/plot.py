"""Writes what it reads."""


def plot(figure: str, text: str, regime: int, seeds: int) -> str:
    return f"{figure} {seeds}\n{text}"
