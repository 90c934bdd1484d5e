"""Compare vectors that are estimated with both semantics from the same pairs.

Only the handling of time limits and of the end of a sample differs (`docs/deviations.md`); states, actions, rewards
and the value network are the same.
"""

import numpy as np
import xarray as xr
from jaxtyping import Float

from pgprim.core.intervals import Interval
from pgprim.core.truth_cosine import truth_cosine
from pgprim.core.value_errors import finite_mean
from pgprim.store.labelled import AGENT, interval, label, stack_values
from pgprim.types.errors import UserError

SEMANTICS = ("exact", "paper")
AGREEMENTS = ("cosine", "truth_cosine")
"""Estimates with intervals that `probes.gradient` and `probes.steps` both have."""

COMPARISONS = {
    "between_cosine": ("mean cosine between the vectors of both semantics from the same pairs", "1"),
    "truth_between_cosine": ("cosine between the large samples' vectors of both semantics", "1"),
    "norm_ratio": (
        "mean ratio of the norm with semantics paper to that with exact, from the same pairs",
        "1",
    ),
    "probe": ("probe", "1"),
    "semantics": ("semantics of cuts and time limits", "1"),
}
"""Long names and units."""


def compare(
    vectors: dict[str, xr.Dataset], numbers: dict[str, xr.Dataset], probe: str, level: float
) -> xr.Dataset:
    """Differences between the semantics in one probe's results at one checkpoint.

    Args:
        vectors: Vectors of trials and of a large sample, by semantics, from the same pairs.
        numbers: The probe's numbers, by semantics.
        probe: Its name.
        level: Nominal coverage of the intervals over trials.

    Raises:
        UserError: The probe does not compare vectors of trials.
    """
    trials = [trial_vectors(vectors[name], probe) for name in SEMANTICS]
    truths = [truth_vector(vectors[name], probe) for name in SEMANTICS]
    between, norms = cosine(*trials), [norm(each) for each in trials]
    both = np.isfinite(between)  # trials that have a step with both
    means = [_mean(row[taken], level) for row, taken in zip(between, both, strict=True)]
    ratio = np.divide(norms[1], norms[0], out=np.full(both.shape, np.nan), where=both)
    variables = {
        "between_cosine": (("budget",), stack_values(means)),
        "norm_ratio": (("budget",), finite_mean(ratio, axis=1)),
        "truth_between_cosine": ((), cosine(*truths)),
    }
    where = {name: numbers["exact"][name].values[0] for name in AGENT}
    budgets = numbers["exact"].budget.values
    for name in AGREEMENTS:
        both = [_estimate(numbers[one], name) for one in SEMANTICS]
        variables[f"{name}_by_semantics"] = (("semantics", "budget"), stack_values(both))
    described = COMPARISONS | {
        f"{name}_by_semantics": tuple(numbers["exact"][name].attrs[key] for key in ("long_name", "units"))
        for name in AGREEMENTS
    }
    coords = {"semantics": SEMANTICS, "budget": budgets}
    return label(variables, described, coords, {"level": level}, {"probe": probe} | where)


def _estimate(numbers: xr.Dataset, name: str) -> Interval:
    """One of a probe's numbers of one agent along its budgets."""
    ends = (numbers[name], *interval(numbers, name))
    return Interval(*(array.squeeze(AGENT).values for array in ends))


def trial_vectors(vectors: xr.Dataset, probe: str) -> Float[np.ndarray, "budget trial param"]:
    """The vectors of all trials, under any name of the probe's, in double precision."""
    return _only(vectors, ("budget", "trial", "param"), probe)


def truth_vector(vectors: xr.Dataset, probe: str) -> Float[np.ndarray, " param"]:
    """The vector of the large sample."""
    return _only(vectors, ("param",), probe)


def _mean(cosines: Float[np.ndarray, " trial"], level: float) -> Interval:
    """Mean over trials with its interval, which needs two trials."""
    if len(cosines) < 2:
        return Interval(cosines.mean() if len(cosines) else np.nan, np.nan, np.nan)
    return truth_cosine(cosines, level)


def _only(vectors: xr.Dataset, dims: tuple[str, ...], probe: str) -> np.ndarray:
    having = [name for name in ("grad", "grad_true", "step", "step_true") if name in vectors]
    names = [name for name in having if vectors[name].dims == dims]
    if len(names) != 1:
        raise UserError(
            f"semantics.probes names {probe}, but must name probes that keep one vector over {dims}, such as gradient"
        )
    return vectors[names[0]].values.astype(np.float64)


def cosine(
    one: Float[np.ndarray, "*batch param"], other: Float[np.ndarray, "*batch param"]
) -> Float[np.ndarray, "*batch"]:
    """Cosines along the last axis; NaN where a vector is zero, such as a step that TRPO rejected."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((one * other).sum(-1) / (norm(one) * norm(other)))


def norm(vectors: Float[np.ndarray, "*batch param"]) -> Float[np.ndarray, "*batch"]:
    """Euclidean norms along the last axis."""
    return np.asarray(np.linalg.norm(vectors, axis=-1))
