"""The versions of DVC and Snakemake whose Python the bridge uses; others are refused before they are imported."""

from importlib.metadata import PackageNotFoundError, version

from dvcsnake.errors import UserError

NEEDED = {"dvc": ((3, 67), (4,)), "dvc-data": ((3, 16), (4,)), "snakemake": ((9, 20), (10,))}
"""Smallest supported version, and smallest version that is no longer supported."""


def require(*distributions: str) -> None:
    """Refuse unsupported versions.

    Raises:
        UserError: A distribution is missing, or its version is not supported.
    """
    for name in distributions:
        low, high = NEEDED[name]
        wanted = f"{name}>={_text(low)},<{_text(high)}"
        try:
            installed = version(name)
        except PackageNotFoundError:
            raise UserError(f"{name} is not installed: `pip install '{wanted}'`") from None
        numbers = tuple(int(part) for part in installed.split(".")[:2] if part.isdigit())
        if not low <= numbers < high:
            raise UserError(
                f"{name} {installed} is installed, but dvcsnake needs {wanted}: `pip install '{wanted}'`"
            )


def _text(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
