"""Counts letters."""


def estimate(text: str, sizes: list, level: float) -> str:
    return "".join(f"{size} {level} {len(text) * size}\n" for size in sizes)
