"""The same vectors estimated with both semantics from the same pairs: how far apart they are, and how well each agrees.

What differs is what the released code makes of time limits and of the end of a sample (`docs/deviations.md`); states,
actions, rewards and the value network are the same.
"""

import numpy as np
import xarray as xr
from jaxtyping import Float

from pgprim.core.statistics import Interval, trial_mean
from pgprim.core.value_errors import known_mean
from pgprim.store.estimates import LABELS
from pgprim.types.errors import UserError

SEMANTICS = ("exact", "paper")
AGREEMENTS = ("cosine", "truth_cosine")
"""What estimates of `probes.gradient` and `probes.steps` both have, with the ends of their intervals."""

COMPARISONS = {
    "between_cosine": "mean cosine between the vectors of both semantics from the same pairs",
    "truth_between_cosine": "cosine between the large samples' vectors of both semantics",
    "norm_ratio": "mean ratio of the norm with semantics paper to that with exact, from the same pairs",
}
"""Long names; all are numbers without a unit."""


def compare(
    vectors: dict[str, xr.Dataset], numbers: dict[str, xr.Dataset], probe: str, level: float
) -> xr.Dataset:
    """What the other semantics change in one probe's findings at one checkpoint.

    Args:
        vectors: What the probe keeps, by semantics.
        numbers: What figures read of it, by semantics.
        probe: Its name.
        level: Nominal coverage of the intervals over trials.

    Raises:
        UserError: The two are not of the same pairs, or the probe does not compare vectors of trials.
    """
    trials = [trial_vectors(vectors[name], probe) for name in SEMANTICS]
    truths = [truth_vector(vectors[name], probe) for name in SEMANTICS]
    if trials[0].shape != trials[1].shape:
        raise UserError(
            f"{probe}: what is stored has {trials[0].shape[:2]} budgets and trials, but params.yaml asks for "
            f"{trials[1].shape[:2]}; estimate again"
        )
    between, norms = cosine(*trials), [norm(each) for each in trials]
    both = np.isfinite(between)  # trials in which a step was taken with both
    ends = np.array([_mean(row[known], level) for row, known in zip(between, both, strict=True)])
    ratio = np.divide(norms[1], norms[0], out=np.full(both.shape, np.nan), where=both)
    found = {
        "between_cosine": (("budget",), ends[:, 0]),
        "between_cosine_low": (("budget",), ends[:, 1]),
        "between_cosine_high": (("budget",), ends[:, 2]),
        "norm_ratio": (("budget",), known_mean(ratio, axis=1)),
        "truth_between_cosine": ((), cosine(*truths)),
    }
    first = numbers[SEMANTICS[0]]
    variables = {
        name: (
            ("probe", *LABELS, *dims),
            np.asarray(values)[(None,) * (1 + len(LABELS))],
            {"long_name": _long_name(name, level), "units": "1"},
        )
        for name, (dims, values) in found.items()
    }
    for name in (f"{base}{end}" for base in AGREEMENTS for end in ("", "_low", "_high")):
        both = np.stack([numbers[one][name].transpose(*LABELS, "budget").values for one in SEMANTICS])
        variables[f"{name}_by_semantics"] = (
            ("probe", "semantics", *LABELS, "budget"),
            both[None],
            {"long_name": first[name].attrs["long_name"], "units": "1"},
        )
    coords = {name: first[name] for name in (*LABELS, "budget")}
    described = {
        "probe": ([probe], "probe"),
        "semantics": (list(SEMANTICS), "semantics of cuts and time limits"),
    }
    coords |= {
        name: (name, values, {"long_name": long_name}) for name, (values, long_name) in described.items()
    }
    return xr.Dataset(variables, coords, {"level": level})


def trial_vectors(vectors: xr.Dataset, probe: str) -> Float[np.ndarray, "budget trial param"]:
    """The vectors of all trials, whatever the probe calls them, in double precision."""
    return _only(vectors, ("budget", "trial", "param"), probe)


def truth_vector(vectors: xr.Dataset, probe: str) -> Float[np.ndarray, " param"]:
    """The vector of the large sample."""
    return _only(vectors, ("param",), probe)


def _mean(cosines: Float[np.ndarray, " trial"], level: float) -> Interval:
    """Their mean with its interval, which takes two trials."""
    if len(cosines) < 2:
        return Interval(cosines.mean() if len(cosines) else np.nan, np.nan, np.nan)
    return trial_mean(cosines, level)


def _only(vectors: xr.Dataset, dims: tuple[str, ...], probe: str) -> np.ndarray:
    having = [name for name in ("grad", "grad_true", "step", "step_true") if name in vectors]
    found = [name for name in having if vectors[name].dims == dims]
    if len(found) != 1:
        raise UserError(
            f"semantics.probes names {probe}, but must name probes that keep one vector over {dims}, such as gradient"
        )
    return vectors[found[0]].values.astype(np.float64)


def cosine(
    one: Float[np.ndarray, "*batch param"], other: Float[np.ndarray, "*batch param"]
) -> Float[np.ndarray, "*batch"]:
    """Cosines along the last axis; not a number where a vector is zero, as a step that TRPO did not take."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((one * other).sum(-1) / (norm(one) * norm(other)))


def norm(vectors: Float[np.ndarray, "*batch param"]) -> Float[np.ndarray, "*batch"]:
    """Euclidean norms along the last axis."""
    return np.asarray(np.linalg.norm(vectors, axis=-1))


def _long_name(name: str, level: float) -> str:
    if name in COMPARISONS:
        return COMPARISONS[name]
    base, _, end = name.rpartition("_")
    which = "lower" if end == "low" else "upper"
    return f"{COMPARISONS[base]}, {which} end of the {100 * level:g} % interval within the agent"
