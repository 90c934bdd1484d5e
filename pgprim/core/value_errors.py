"""How far a value network is from what it should predict (Figs. 3, 11, 12), as published and with every cut undone.

For the T pairs of an iteration the paper reports mean |V(s) − target| / |target| with two targets: V_old + A_GAE (Eq. 4)
and the return. Both are sums over what comes after a state, and in a batch something is always missing: the batch ends
after T pairs, and a time limit ends episodes that would have gone on. Two definitions differ in what they make of it:

`as_published`, as the released code records: a time limit counts as termination. Returns are cut there and at the end of
the batch, and nothing stands for what is missing; advantages take V of the batch's last observation itself for the value
behind the cut. Even a perfect V shows large errors then: the return of a state n pairs before a cut of constant rewards
is the share 1 − γⁿ of its value.

`exact`: the stream is rolled on past the end of the batch, so that no sum is cut there. Advantages take V of the
observation behind a time limit for what is missing. Returns have no such substitute: states of the last
`tail_length` pairs before a time limit are left out, and so what is missing in the others is below 1 % of a constant
reward's value. They are left out by their time in the episode, whether or not the episode reached the limit: leaving
out only those that did would favour episodes that fall.

Time runs along the last axis; arrays are longer than T where pairs past the end of the batch are known.
"""

from math import ceil, log

import numpy as np
from jaxtyping import Bool, Float, Int

from pgprim.core.returns import gae, returns_to_go

TAIL = 0.01
"""Share of a constant reward's value that a sum of rewards may miss."""


def tail_length(gamma: float) -> int:
    """Pairs after which at most `TAIL` of a constant reward's value is missing: the least n with γⁿ ≤ `TAIL`."""
    return ceil(log(TAIL) / log(gamma)) if gamma > 0 else 1


def elapsed_steps(ended: Bool[np.ndarray, "stream t"]) -> Int[np.ndarray, "stream t"]:
    """Pairs of the same episode before each pair, of streams that start with an episode."""
    times = np.arange(ended.shape[1])
    starts = np.zeros(ended.shape, int)
    starts[:, 1:] = np.where(ended[:, :-1], times[1:], 0)
    return times - np.maximum.accumulate(starts, axis=1)


def gae_targets_as_published(
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
        num_pairs: T; what follows is not looked at.
        gamma: Discount.
        lam: GAE's λ.
    """
    own = slice(0, num_pairs)
    val, ended = val[:, own], (terminated | truncated)[:, own]
    next_val = np.concatenate([val[:, 1:], val[:, -1:]], axis=1)
    return val + gae(rew[:, own], val, next_val, ended, np.zeros_like(ended), gamma, lam)


def gae_targets_exact(
    rew: Float[np.ndarray, "stream t"],
    val: Float[np.ndarray, "stream t"],
    next_val: Float[np.ndarray, "stream t"],
    terminated: Bool[np.ndarray, "stream t"],
    truncated: Bool[np.ndarray, "stream t"],
    num_pairs: int,
    gamma: float,
    lam: float,
) -> Float[np.ndarray, "stream pair"]:
    """V_old + A_GAE of the first `num_pairs` pairs, rolled on past the batch's end, V_old behind time limits.

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


def returns_as_published(
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
        num_pairs: T; what follows is not looked at.
        gamma: Discount.
    """
    own = slice(0, num_pairs)
    rew = rew[:, own]
    return returns_to_go(rew, np.zeros_like(rew), terminated[:, own], truncated[:, own], gamma)


def returns_exact(
    rew: Float[np.ndarray, "stream t"],
    terminated: Bool[np.ndarray, "stream t"],
    truncated: Bool[np.ndarray, "stream t"],
    elapsed: Int[np.ndarray, "stream t"],
    limit: int | None,
    num_pairs: int,
    gamma: float,
) -> Float[np.ndarray, "stream pair"]:
    """Returns of the first `num_pairs` pairs, rolled on past the batch's end; not a number shortly before a time limit.

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
        returns[elapsed + tail_length(gamma) > limit] = np.nan
    return returns[:, :num_pairs]


def relative_errors(
    val: Float[np.ndarray, "*batch"], target: Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch"]:
    """|V(s) − target| / |target|; not a number where the target is none, or is exactly 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(target == 0, np.nan, np.abs(val - target) / np.abs(target))


def known_mean(values: Float[np.ndarray, "first *rest"], axis: int = 0) -> Float[np.ndarray, "..."]:
    """Mean of what is a number along an axis; not a number where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis)
    return np.where(known, values, 0.0).sum(axis) / np.where(count, count, np.nan)


def known_median(values: Float[np.ndarray, "first *rest"], axis: int = 0) -> Float[np.ndarray, "..."]:
    """Median of what is a number along an axis; not a number where nothing is."""
    return np.apply_along_axis(_median, axis, values)


def _median(values: Float[np.ndarray, " value"]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan


def perfect_error(val: Float[np.ndarray, " branch"], target: Float[np.ndarray, " branch"]) -> float:
    """What V^π itself would show at one state: E |V^π(s) − target| / |target| over independent continuations.

    V^π(s) is not known, but the mean of m continuations' returns is. Its own noise makes its error on any other
    continuation's target exceed that of V^π by c/m + O(1/m²), whatever the targets' bias. So the error is computed with
    two numbers m of continuations, of which none is the one that gives the target, and extrapolated to 1/m = 0. For
    normal returns a bias of 3.5 % is left with 3 branches, of 1.1 % with 5, of 0.5 % with 8.

    Args:
        val: Complete return of each continuation, at least three.
        target: What V is compared to, from the same continuation; not a number where the definition leaves it out.

    Returns:
        The error; not a number if there is no target.
    """
    many = len(val) - 1
    others = np.stack([np.roll(val, -shift) for shift in range(1, many + 1)])
    errors = {}
    for count in (many, many // 2):
        means = [np.roll(others, first, axis=0)[:count].mean(0) for first in range(many)]
        errors[count] = relative_errors(np.stack(means), np.tile(target, (many, 1))).mean()
    return float((many * errors[many] - many // 2 * errors[many // 2]) / (many - many // 2))


def pair_products(values: Float[np.ndarray, "state branch"]) -> Float[np.ndarray, " state"]:
    """(E x)² of each state without bias: the mean product of two different of its independent branches.

    Of V(s) − G it is the squared error of V without the returns' noise; it may be negative by chance.
    """
    count = values.shape[1]
    return (np.square(values.sum(1)) - np.square(values).sum(1)) / (count * (count - 1))
