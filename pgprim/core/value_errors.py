"""Relative errors of a value network (Figs. 3, 11, 12) in three definitions, and the error of a perfect one.

For the T pairs of an iteration the paper reports mean |V(s) − target| / |target| with two targets: V_old + A_GAE (Eq.
4) and the return. Both are sums over the rewards after a state, and a batch never has all of them: it ends after T
pairs, and a time limit ends episodes that would have continued. The definitions treat the missing rewards
differently:

`as_text`: the formulas of the text on the batch as the released code cuts it (`gae_targets_cut`, `returns_cut`). A time
limit counts as termination. Returns are cut there and at the end of the batch, without a bootstrap; advantages
bootstrap with V of the batch's last observation itself. Even a perfect V has large errors then: with constant
rewards, the return of a state n pairs before a cut is the share 1 − γⁿ of its value.

`as_code`: the errors that the released code computes from these targets. The last pair of each episode is left out
(`not_dones`; a cut by the end of the batch ends no episode). Against V_old + A_GAE the *squared* error is divided
by |target|; if the agent clips values, it is the larger of the plain and the clipped squared error. So this error
has the unit of a reward.

`exact`: the stream is continued past the end of the batch, so that no sum is cut there (`gae_targets_rolled`,
`returns_rolled`). At a time limit, advantages bootstrap with V of the final observation. Returns do not
bootstrap: states of the last `tail_length` pairs before a time limit are left out, so that the other returns miss
less than 1 % of a constant reward's value. States are left out by their time alone (`core.time_in_episode`).

A mean of ratios is dominated by the few pairs whose target is near 0. `ErrorSummary` therefore also has the median
and Σ |error| / Σ |target|. Time runs along the last axis; arrays are longer than T where pairs past the end of the
batch are available.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from pgprim.core.finite import finite_mean, finite_median
from pgprim.core.returns import gae, returns_to_go
from pgprim.core.time_in_episode import tail_length


class ErrorSummary(NamedTuple):
    """Errors of some pairs, summarised; all pairs have equal weight, and pairs without an error are left out.

    Attributes:
        mean: Mean of |error| / |target| (Figs. 3, 11, 12), dominated by targets near 0.
        median: Its median.
        total: Σ |error| / Σ |target|, robust against targets near 0.
    """

    mean: Float[np.ndarray, "*stream"]
    median: Float[np.ndarray, "*stream"]
    total: Float[np.ndarray, "*stream"]


def gae_targets_cut(
    rew: Float[np.ndarray, "stream t"],
    val: Float[np.ndarray, "stream t"],
    terminated: Bool[np.ndarray, "stream t"],
    truncated: Bool[np.ndarray, "stream t"],
    num_pairs: int,
    gamma: float,
    lam: float,
) -> Float[np.ndarray, "stream pair"]:
    """V_old + A_GAE of the first `num_pairs` pairs, cut at the batch's end and at time limits.

    Args:
        rew: Rewards as the value network sees them.
        val: V_old(s).
        terminated: Whether the task ended the episode.
        truncated: Whether a time limit did.
        num_pairs: T; later pairs are ignored.
        gamma: Discount.
        lam: GAE's λ.
    """
    own = slice(0, num_pairs)
    val, ended = val[:, own], (terminated | truncated)[:, own]
    next_val = np.concatenate([val[:, 1:], val[:, -1:]], axis=1)
    return val + gae(rew[:, own], val, next_val, ended, np.zeros_like(ended), gamma, lam)


def gae_targets_rolled(
    rew: Float[np.ndarray, "stream t"],
    val: Float[np.ndarray, "stream t"],
    next_val: Float[np.ndarray, "stream t"],
    terminated: Bool[np.ndarray, "stream t"],
    truncated: Bool[np.ndarray, "stream t"],
    num_pairs: int,
    gamma: float,
    lam: float,
) -> Float[np.ndarray, "stream pair"]:
    """V_old + A_GAE of the first `num_pairs` pairs, continued past the batch's end, with bootstraps at time limits.

    Args:
        rew: Rewards as the value network sees them.
        val: V_old(s).
        next_val: V_old of the true next observation.
        terminated: Whether the task ended the episode.
        truncated: Whether a time limit did.
        num_pairs: T.
        gamma: Discount.
        lam: GAE's λ.
    """
    return (val + gae(rew, val, next_val, terminated, truncated, gamma, lam))[:, :num_pairs]


def returns_cut(
    rew: Float[np.ndarray, "stream t"],
    terminated: Bool[np.ndarray, "stream t"],
    truncated: Bool[np.ndarray, "stream t"],
    num_pairs: int,
    gamma: float,
) -> Float[np.ndarray, "stream pair"]:
    """Returns of the first `num_pairs` pairs, cut at the batch's end and at time limits.

    Args:
        rew: Rewards as the value network sees them.
        terminated: Whether the task ended the episode.
        truncated: Whether a time limit did.
        num_pairs: T; later pairs are ignored.
        gamma: Discount.
    """
    own = slice(0, num_pairs)
    rew = rew[:, own]
    return returns_to_go(rew, np.zeros_like(rew), terminated[:, own], truncated[:, own], gamma)


def returns_rolled(
    rew: Float[np.ndarray, "stream t"],
    terminated: Bool[np.ndarray, "stream t"],
    truncated: Bool[np.ndarray, "stream t"],
    elapsed: Int[np.ndarray, "stream t"],
    limit: int | None,
    num_pairs: int,
    gamma: float,
) -> Float[np.ndarray, "stream pair"]:
    """Returns of the first `num_pairs` pairs, continued past the batch's end; NaN shortly before a time limit.

    Args:
        rew: Rewards as the value network sees them, at least `tail_length` pairs more than T.
        terminated: Whether the task ended the episode.
        truncated: Whether a time limit did.
        elapsed: Pairs of the same episode before each pair.
        limit: Pairs after which the time limit ends an episode; None where there is no limit.
        num_pairs: T.
        gamma: Discount.
    """
    returns = returns_to_go(rew, np.zeros_like(rew), terminated, truncated, gamma)
    if limit is not None:
        returns[limit - elapsed < tail_length(gamma)] = np.nan
    return returns[:, :num_pairs]


def without_last_pairs(
    target: Float[np.ndarray, "stream pair"], ended: Bool[np.ndarray, "stream pair"]
) -> Float[np.ndarray, "stream pair"]:
    """Targets as `as_code` counts them: NaN at the last pair of each episode.

    Args:
        target: From `gae_targets_cut` or `returns_cut`.
        ended: Whether the episode ended with the pair, by termination or time limit.
    """
    return np.where(ended, np.nan, target)


def relative_errors(
    val: Float[np.ndarray, "*batch"], target: Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch"]:
    """|V(s) − target| / |target|; NaN where the target is NaN or exactly 0."""
    return _over_target(np.abs(val - target), target)


def squared_relative_errors(
    val: Float[np.ndarray, "*batch"],
    target: Float[np.ndarray, "*batch"],
    val_old: Float[np.ndarray, "*batch"] | None = None,
    clip: float | None = None,
) -> Float[np.ndarray, "*batch"]:
    """(V(s) − target)² / |target| of `as_code`, in the unit of a reward; NaN where the target is NaN or exactly 0.

    Args:
        val: V(s) after the update.
        target: V_old + A_GAE, NaN at last pairs.
        val_old: V_old(s); needed where `clip` is given.
        clip: Half-width of the agent's value clipping: the larger of the two squared errors counts then.
    """
    error = np.square(val - target)
    if clip is not None:
        error = np.maximum(error, np.square(val_old + np.clip(val - val_old, -clip, clip) - target))
    return _over_target(error, target)


def summarise_errors(
    val: Float[np.ndarray, "*stream pair"],
    target: Float[np.ndarray, "*stream pair"],
    errors: Float[np.ndarray, "*stream pair"],
) -> ErrorSummary:
    """Mean, median and total of each stream's errors.

    Args:
        val: V(s).
        target: What V is compared to, NaN where a pair is left out.
        errors: From `relative_errors` or `squared_relative_errors`.
    """
    counted = np.isfinite(target)
    size = np.where(counted, np.abs(target), 0.0).sum(-1)
    total = np.where(counted, np.abs(val - target), 0.0).sum(-1) / np.where(size > 0, size, np.nan)
    return ErrorSummary(finite_mean(errors, axis=-1), finite_median(errors, axis=-1), total)


def perfect_errors(
    val: Float[np.ndarray, " branch"],
    target: Float[np.ndarray, " branch"],
    errors: Callable[..., Float[np.ndarray, "many branch"]] = relative_errors,
) -> Float[np.ndarray, " branch"]:
    """Error of V^π itself at one state, E |V^π(s) − target| / |target|, on each continuation's target.

    V^π(s) is unknown; the mean of m continuations' returns estimates it. The noise of this mean makes its error on
    another continuation's target exceed that of V^π by c/m + O(1/m²), for any bias of the targets. So the error is
    computed for two values of m, always without the continuation of the target, and extrapolated to 1/m = 0. For
    normal returns the remaining bias is 3.5 % with 3 branches, 1.1 % with 5 and 0.5 % with 8; squared errors have
    none.

    A single value may be below 0 by chance; the mean over continuations hardly ever is.

    Args:
        val: Complete return of each continuation, at least three.
        target: What V is compared to, from the same continuation; NaN where the definition leaves it out.
        errors: Which error: `relative_errors` or `squared_relative_errors`, or any function of V and target.

    Returns:
        The error on each continuation's target; NaN where there is none.
    """
    many = len(val) - 1
    others = np.stack([np.roll(val, -shift) for shift in range(1, many + 1)])
    means = {}
    for count in (many, many // 2):
        estimates = [np.roll(others, first, axis=0)[:count].mean(0) for first in range(many)]
        means[count] = errors(np.stack(estimates), np.tile(target, (many, 1))).mean(0)
    return (many * means[many] - many // 2 * means[many // 2]) / (many - many // 2)


def pair_products(values: Float[np.ndarray, "state branch"]) -> Float[np.ndarray, " state"]:
    """Unbiased estimate of (E x)² for each state: the mean product over pairs of its independent branches.

    For x = V(s) − G it is the squared error of V without the noise of returns; it may be negative by chance.
    """
    count = values.shape[1]
    return (np.square(values.sum(1)) - np.square(values).sum(1)) / (count * (count - 1))


def _over_target(
    error: Float[np.ndarray, "*batch"], target: Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch"]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(target == 0, np.nan, error / np.abs(target))
