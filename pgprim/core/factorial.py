"""Effects of switches in a factorial design of two levels each, with intervals over repeats (Montgomery, Ch. 6)."""

from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import t as student

from pgprim.core.intervals import Interval


def contrasts(on: Bool[np.ndarray, "cell switch"]) -> dict[tuple[int, ...], Float[np.ndarray, " cell"]]:
    """Coefficients of the cells' means in each main effect and each two-way interaction.

    The effect of a switch is the mean over the cells where it is on, minus the mean over the cells where it is off.
    The interaction of two switches is half the difference between the effect of one with the other on and with the
    other off; it is symmetric in the two.

    Args:
        on: Which switches are on in each cell; every combination once.

    Returns:
        Coefficients, by switch or by pair of switches.

    Raises:
        ValueError: A combination is missing or given twice.
    """
    num_cells, num_switches = on.shape
    if num_cells != 2**num_switches or len(np.unique(on, axis=0)) != num_cells:
        raise ValueError(f"{num_cells} cells are not the {2**num_switches} of {num_switches} switches")
    signs = np.where(on, 1.0, -1.0)
    effects = [(k,) for k in range(num_switches)] + list(combinations(range(num_switches), 2))
    return {effect: signs[:, effect].prod(1) / (num_cells / 2) for effect in effects}


def contrast(
    coefficients: Float[np.ndarray, " cell"], repeats: list[Float[np.ndarray, " _"]], level: float
) -> Interval:
    """Σ c_i · mean_i over cells, with its interval over independent repeats.

    Each cell has its own variance, so the degrees of freedom are Welch's and Satterthwaite's. With many cells the
    coverage is good even for few repeats (tested down to two).

    Args:
        coefficients: c_i.
        repeats: The independent values of each cell.
        level: Nominal coverage.

    Returns:
        The contrast; NaN ends if a cell has fewer than two repeats, and all NaN if one has none.
    """
    sizes = np.array([len(values) for values in repeats])
    if (sizes == 0).any():
        return Interval(np.nan, np.nan, np.nan)
    value = float(sum(c * values.mean() for c, values in zip(coefficients, repeats, strict=True)))
    if (sizes < 2).any():
        return Interval(value, np.nan, np.nan)
    parts = np.square(coefficients) * np.array([values.var(ddof=1) for values in repeats]) / sizes
    if not parts.sum() > 0:
        return Interval(value, value, value)
    freedom = parts.sum() ** 2 / (np.square(parts) / (sizes - 1)).sum()
    half = float(student.ppf(0.5 + level / 2, freedom) * np.sqrt(parts.sum()))
    return Interval(value, value - half, value + half)


def best_choice(
    values: Float[np.ndarray, "cell choice repeat"], chooses: Bool[np.ndarray, " repeat"]
) -> Int[np.ndarray, " cell"]:
    """Each cell's choice, such as a learning rate, with the largest mean over the choosing repeats.

    Report its result on the other repeats only: on the repeats that chose it, the maximum over noisy choices is
    biased upwards.

    Args:
        values: Result of each choice; a choice that is NaN in any choosing repeat ranks last.
        chooses: Indices of the repeats that choose.
    """
    means = values[:, :, chooses].mean(2)
    return np.where(np.isnan(means), -np.inf, means).argmax(1)
