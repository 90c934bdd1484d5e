"""Writes what it reads."""


def plot(figure: str, text: str, width: int, **others: object) -> str:
    return f"{figure} {width}\n{text}"
