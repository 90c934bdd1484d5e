"""Returns and advantages of streams of experience.

Time runs along the last axis. A stream may hold many episodes: `terminated` ends one with value 0, `truncated` ends
one and bootstraps with V of its final observation, and the last column is a cut, which bootstraps with V of the
observation after the last action (Sec. 2; docs/deviations.md for the released code's handling).
"""

import numpy as np
from jaxtyping import Bool, Float


def td_errors(
    rew: Float[np.ndarray, "stream t"],
    val: Float[np.ndarray, "stream t"],
    next_val: Float[np.ndarray, "stream t"],
    terminated: Bool[np.ndarray, "stream t"],
    gamma: float,
) -> Float[np.ndarray, "stream t"]:
    """δ_t = r_t + γ V(s'_t) − V(s_t), with s'_t the observation after the action; V(s'_t) = 0 if terminated."""
    return rew + gamma * np.where(terminated, 0.0, next_val) - val


def gae(
    rew: Float[np.ndarray, "stream t"],
    val: Float[np.ndarray, "stream t"],
    next_val: Float[np.ndarray, "stream t"],
    terminated: Bool[np.ndarray, "stream t"],
    truncated: Bool[np.ndarray, "stream t"],
    gamma: float,
    lam: float,
) -> Float[np.ndarray, "stream t"]:
    """Generalised advantage estimates A_t = Σ_k (γλ)^k δ_{t+k} to the end of the episode or the cut (Schulman 2016).

    Args:
        rew: Rewards.
        val: V(s_t).
        next_val: V of the true next observation: the final one at the end of an episode, not the next episode's first.
        terminated: Whether the episode ended at t in a terminal state.
        truncated: Whether it ended at t for any other reason, such as a time limit.
        gamma: Discount.
        lam: λ; 0 gives the TD error, 1 the return minus V.
    """
    delta = td_errors(rew, val, next_val, terminated, gamma)
    return _discounted_sum(delta, terminated | truncated, gamma * lam)


def returns_to_go(
    rew: Float[np.ndarray, "stream t"],
    next_val: Float[np.ndarray, "stream t"],
    terminated: Bool[np.ndarray, "stream t"],
    truncated: Bool[np.ndarray, "stream t"],
    gamma: float,
) -> Float[np.ndarray, "stream t"]:
    """R_t = Σ_k γ^k r_{t+k}, with the bootstrap γ^K V at a time limit or cut (none if `next_val` is 0)."""
    ended = terminated | truncated
    last = np.zeros_like(ended)
    last[:, -1] = True
    tail = np.where((truncated | last) & ~terminated, gamma * next_val, 0.0)
    return _discounted_sum(rew + tail, ended, gamma)


def _discounted_sum(
    terms: Float[np.ndarray, "stream t"], ended: Bool[np.ndarray, "stream t"], factor: float
) -> Float[np.ndarray, "stream t"]:
    """x_t = terms_t + factor · x_{t+1} within each episode, in double precision."""
    columns = np.ascontiguousarray(terms.T, dtype=np.float64)
    keep = np.ascontiguousarray(factor * ~ended.T)
    for t in range(len(columns) - 2, -1, -1):
        columns[t] += keep[t] * columns[t + 1]
    return np.ascontiguousarray(columns.T)
