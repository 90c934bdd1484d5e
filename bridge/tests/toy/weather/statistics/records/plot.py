"""Writes what it reads."""


def plot(figure: str, text: str, seed: int, **others: object) -> str:
    return f"{figure} {seed}\n{text}"
