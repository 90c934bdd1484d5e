"""Writes what it reads."""


def plot(figure: str, text: str, seeds: int, **others: object) -> str:
    return f"{figure} {seeds}\n{text}"
