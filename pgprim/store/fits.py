"""Fitted baselines as safetensors files."""

from pathlib import Path

from pgprim.store.arrays import load_arrays, save_arrays
from pgprim.store.files import unusable
from pgprim.types.fit import Fit

KIND = "fit"
ARRAYS = ("true", "optimal")


def save_fit(path: str | Path, fit: Fit) -> None:
    """Write a fit."""
    header = {name: value for name, value in vars(fit).items() if name not in ARRAYS}
    save_arrays(path, header, {name: getattr(fit, name)[0] for name in ARRAYS})


def load_fit(path: str | Path) -> Fit:
    """Read a fit.

    Raises:
        UserError: The file is missing, or is no fit.
    """
    header, arrays = load_arrays(path, KIND)
    try:
        return Fit(**header, **{name: arrays[name][None] for name in ARRAYS})
    except (KeyError, TypeError) as error:
        raise unusable(path, KIND, f"its header or arrays are incomplete ({error})") from None
