"""Statistics of gradients, values, updates and surfaces of any agent, from plain arrays.

`import pgprim` provides all functions; they need only numpy and scipy. Arguments may be lists or arrays of any
framework that numpy can read; results are numpy arrays and named tuples in double precision. No function uses random
numbers, so the same arrays give the same results.

Conventions:

* Time runs along the **last** axis, `[..., t]`: axes before it are independent streams of one environment each.
  Transpose rollout buffers of shape `[t, environment]`.
* `terminated` and `truncated` are Gymnasium's two flags. A termination is a terminal state, whose value is 0. A
  truncation, such as a time limit, ends an episode that would have continued; returns then bootstrap with V of the
  final observation. So does the end of the arrays.
* An `Interval` is `value, low, high`. All intervals are *within* one agent: they cover its sampling noise, not the
  variation over training seeds.

Gradients and their noise scale:

    >>> import numpy as np
    >>> import pgprim
    >>> rng = np.random.default_rng(0)
    >>> gradients = 1.0 + 5.0 * rng.standard_normal((20, 1000))  # 20 estimates, each from 2048 pairs
    >>> agreement = pgprim.gradient_agreement(gradients, pairs=2048)
    >>> round(agreement.cosine.value, 3)
    0.041
    >>> round(pgprim.pairs_for_cosine(0.5, agreement.noise_scale.value), -3)  # pairs per estimate for a cosine of 0.5
    48000.0
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import ArrayLike

from pgprim.core import agreement as core_agreement
from pgprim.core import noise_scale as core_noise_scale
from pgprim.core import policy_change as core_policy_change
from pgprim.core import returns as core_returns
from pgprim.core import surface_noise as core_surface_noise
from pgprim.core.cosines import gram
from pgprim.core.intervals import UNKNOWN, Interval
from pgprim.core.policy_change import TrustRegion
from pgprim.core.time_in_episode import elapsed_steps, has_room, tail_length
from pgprim.core.value_errors import ErrorSummary, relative_errors, summarise_errors

FEWEST_TRIALS = 3
"""A jackknife of pairwise cosines leaves out one estimate and needs two more."""

__all__ = [
    "ErrorSummary",
    "GradientAgreement",
    "Interval",
    "TrustRegion",
    "complete_returns",
    "expected_cosine",
    "gae",
    "gaussian_kl",
    "gradient_agreement",
    "next_values",
    "noise_share",
    "noise_variance",
    "pairs_for_cosine",
    "returns_to_go",
    "trust_region",
    "value_errors",
]


class GradientAgreement(NamedTuple):
    """Agreement of independent gradient estimates.

    Attributes:
        cosine: Mean pairwise cosine ρ of the estimates, with its interval. The paper's Fig. 1.
        noise_scale: Gradient noise scale B = tr Σ / |G|² [pairs], ∞ without signal.
        truth_cosine: Mean cosine to `truth` with its interval, the paper's Fig. 2; NaN without a truth.
        cosine_excess: ρ − c² with c the mean cosine to `truth`; NaN without one. Its expectation is at least 0: an
            interval wholly below 0 means that the truth shares samples with the estimates.
        pairwise: Cosine of every two estimates [trial, trial].
        norm: Euclidean norm of each estimate [trial].
    """

    cosine: Interval
    noise_scale: Interval
    truth_cosine: Interval
    cosine_excess: Interval
    pairwise: Float64[np.ndarray, "trial trial"]
    norm: Float64[np.ndarray, " trial"]


def gradient_agreement(
    gradients: ArrayLike, *, pairs: int, truth: ArrayLike | None = None, level: float = 0.95
) -> GradientAgreement:
    """Agreement of independent gradient estimates, and their noise scale.

    Estimates on N pairs each have E|g|² = |G|² + tr Σ/N. So the noise scale is B = N (1/q − 1) with q = |G|² / E|g|²,
    whose numerator and denominator are estimated without bias from the inner products ⟨g_i, g_j⟩. The mean pairwise
    cosine is about q = N/(N + B). Intervals are jackknife intervals over the estimates on Fisher's scale; a bootstrap
    over *pairs* of estimates, which are dependent, covers far too rarely.

    Estimates must be independent: each from its own pairs, preferably from its own environments. Minibatches of one
    rollout share episodes and agree more than estimates from separate rollouts. Use the gradient before clipping,
    with respect to the policy's parameters only.

    Args:
        gradients: At least three estimates of one agent's policy gradient [trial, param]; ten or more give useful
            intervals.
        pairs: N, state-action pairs per estimate.
        truth: The same gradient from many pairs that are in no estimate [param].
        level: Nominal coverage of the intervals, within the agent.

    Returns:
        Cosines, noise scale and norms.

    Raises:
        ValueError: Too few estimates, wrong shapes, or NaN or infinite values.

    References:
        Ilyas et al., A Closer Look at Deep Policy Gradients, ICLR 2020, Sec. 2.1.
        McCandlish et al., An Empirical Model of Large-Batch Training, arXiv:1812.06162.

    Examples:
        Inner products of different estimates are 1, squared norms 5/3 on average. So |G|² = 1 and tr Σ/N = 2/3.

        >>> agreement = gradient_agreement([[1, 1, 0], [1, 0, 1], [1, 0, 0]], pairs=12)
        >>> round(agreement.noise_scale.value, 12)
        8.0
        >>> agreement.pairwise.round(3)
        array([[1.   , 0.5  , 0.707],
               [0.5  , 1.   , 0.707],
               [0.707, 0.707, 1.   ]])
    """
    vectors = _finite("gradients", gradients)
    if vectors.ndim != 2 or len(vectors) < FEWEST_TRIALS:
        raise ValueError(
            f"gradients has shape {vectors.shape}, but must be [trial, param] with at least {FEWEST_TRIALS} trials"
        )
    if pairs < 1:
        raise ValueError(f"pairs is {pairs}, but must be the number of pairs of each estimate, at least 1")
    _check_level(level)
    other = vectors[0] if truth is None else _finite("truth", truth)
    if other.shape != vectors.shape[1:]:
        raise ValueError(
            f"truth has shape {other.shape}, but must be that of one estimate, {vectors.shape[1:]}"
        )
    parts = core_agreement.agreement(vectors, other, np.nan, level)
    return GradientAgreement(
        cosine=parts["cosine"],
        noise_scale=core_noise_scale.noise_scale(gram(vectors), pairs, level),
        truth_cosine=UNKNOWN if truth is None else parts["truth_cosine"],
        cosine_excess=UNKNOWN if truth is None else parts["cosine_excess"],
        pairwise=parts["pairwise_cosine"],
        norm=parts["norm"],
    )


def expected_cosine(pairs: ArrayLike | int | float, noise_scale: float) -> Float64[np.ndarray, "..."]:
    """Pairwise cosine N / (N + B) that a noise scale predicts for estimates on N pairs.

    Its square root is the cosine to the true gradient.

    Args:
        pairs: N, pairs of each estimate, of any shape.
        noise_scale: B, in pairs.

    Examples:
        >>> expected_cosine([1000, 3000, 9000], 3000)
        array([0.25, 0.5 , 0.75])
    """
    pairs = np.asarray(pairs, np.float64)
    return core_noise_scale.expected_cosine(pairs.reshape(-1), noise_scale).reshape(pairs.shape)


def pairs_for_cosine(cosine: float, noise_scale: float) -> float:
    """Pairs N = B c / (1 − c) at which two estimates are expected to agree with cosine c.

    For a cosine c to the *true* gradient take c² instead.

    Args:
        cosine: c, above 0 and below 1.
        noise_scale: B, in pairs.

    Raises:
        ValueError: The cosine is out of range.

    Examples:
        >>> pairs_for_cosine(0.5, 3000), pairs_for_cosine(0.75, 3000)
        (3000.0, 9000.0)
    """
    if not 0 < cosine < 1:
        raise ValueError(f"cosine is {cosine}, but must be above 0 and below 1")
    return float(noise_scale * cosine / (1 - cosine))


def next_values(val: ArrayLike, behind: ArrayLike, ended: ArrayLike) -> Float64[np.ndarray, "*stream t"]:
    """V of the observation after each action, from V of the observation before it.

    Within an episode that is V(s_{t+1}), the next entry of `val`. Where an episode ends, the next entry belongs to
    another episode, and at the end of the arrays there is none: there the value comes from `behind`. A common error in
    training loops is to use the first value of the next episode, or no value.

    Args:
        val: V(s_t) [..., t].
        behind: V of the final observation where an episode ended, and in the last column V of the observation after
            the last action [..., t]; ignored elsewhere. Values at terminations do not matter in `gae` and
            `returns_to_go`.
        ended: Whether the episode ended with the pair, `terminated | truncated` [..., t].

    Raises:
        ValueError: Shapes differ.

    Examples:
        A time limit at t = 1, with V = 7 at its final observation; V = 9 after the end of the arrays.

        >>> next_values([1, 2, 3, 4], [0, 7, 0, 9], [False, True, False, False])
        array([2., 7., 4., 9.])
    """
    shape = np.shape(val)
    val, behind, ended = _streams(val=val, behind=behind, ended=ended)
    following = np.concatenate([val[:, 1:], behind[:, -1:]], axis=1)
    return np.where(ended, behind, following).reshape(shape)


def gae(
    rew: ArrayLike,
    val: ArrayLike,
    next_val: ArrayLike,
    terminated: ArrayLike,
    truncated: ArrayLike,
    *,
    gamma: float,
    lam: float,
) -> Float64[np.ndarray, "*stream t"]:
    """Generalised advantage estimates A_t = Σ_k (γλ)^k δ_{t+k} with δ_t = r_t + γ V(s'_t) − V(s_t).

    The sum runs to the end of the episode or the cut. V(s'_t) is replaced by 0 where the episode terminated, but not
    where it was truncated or in the last column. λ = 0 gives the TD error, λ = 1 the return minus V. PPO and TRPO fit
    their value network to V + A (Eq. 4).

    Args:
        rew: Rewards [..., t].
        val: V(s_t) [..., t].
        next_val: V of the observation after the action, for example from `next_values` [..., t].
        terminated: Whether the task ended the episode [..., t].
        truncated: Whether anything else did, such as a time limit [..., t].
        gamma: Discount γ.
        lam: λ.

    Raises:
        ValueError: Shapes differ.

    References:
        Schulman et al., High-Dimensional Continuous Control Using Generalized Advantage Estimation, ICLR 2016.

    Examples:
        With a reward of 1 per step, V = 10 = 1/(1 − γ) is exact: a time limit gives no advantage, a termination costs
        γ V.

        >>> ten = [10, 10]
        >>> gae([1, 1], ten, ten, [False, False], [False, True], gamma=0.9, lam=0.5).round(12)
        array([0., 0.])
        >>> gae([1, 1], ten, ten, [False, True], [False, False], gamma=0.9, lam=0.5).round(12)
        array([-4.05, -9.  ])
    """
    streams = _streams(rew=rew, val=val, next_val=next_val, terminated=terminated, truncated=truncated)
    return core_returns.gae(*streams, gamma, lam).reshape(np.shape(rew))


def returns_to_go(
    rew: ArrayLike, next_val: ArrayLike, terminated: ArrayLike, truncated: ArrayLike, *, gamma: float
) -> Float64[np.ndarray, "*stream t"]:
    """Returns R_t = Σ_k γ^k r_{t+k} to the episode's end, with the bootstrap γ^K V at truncations and at the end.

    Args:
        rew: Rewards [..., t].
        next_val: V of the observation after the action; used where an episode was truncated, and in the last column.
            Zeros give sums of the observed rewards, which are too small before a cut.
        terminated: Whether the task ended the episode [..., t].
        truncated: Whether anything else did, such as a time limit [..., t].
        gamma: Discount γ.

    Raises:
        ValueError: Shapes differ.

    Examples:
        A time limit at t = 1, with V = 8 at its final observation; V = 4 after the end of the arrays.

        >>> returns_to_go([1, 2, 3], [0, 8, 4], [False] * 3, [False, True, False], gamma=0.5)
        array([4., 6., 5.])
    """
    streams = _streams(rew=rew, next_val=next_val, terminated=terminated, truncated=truncated)
    return core_returns.returns_to_go(*streams, gamma).reshape(np.shape(rew))


def complete_returns(
    rew: ArrayLike, terminated: ArrayLike, truncated: ArrayLike, *, gamma: float, time_limit: int | None
) -> Float64[np.ndarray, "*stream t"]:
    """Returns without bootstrap; NaN where a cut may remove more than 1 % of the return.

    Use these returns to measure a value network's error. The return of a state n pairs before a cut lacks the share
    γⁿ of a constant reward's value, so even a perfect value network would have a large error. A pair therefore counts
    only if at least n pairs with γⁿ ≤ 0.01 (459 for γ = 0.99) fit before the time limit and the end of the arrays.
    Pairs are left out by their time alone, whether or not their episode terminated: keeping those that terminated
    would be a selection by outcome.

    Args:
        rew: Rewards [..., t]. Streams start with an episode.
        terminated: Whether the task ended the episode [..., t].
        truncated: Whether anything else did, such as a time limit [..., t].
        gamma: Discount γ, below 1.
        time_limit: Pairs after which the time limit ends an episode, such as 1000; None without a limit.

    Raises:
        ValueError: Shapes differ, or γ is not below 1.

    Examples:
        γ = 0.1 needs two pairs: the last pair before the limit of 3 and the last of the arrays are left out.

        >>> complete_returns([1] * 5, [False] * 5, [False, False, True, False, False], gamma=0.1, time_limit=3)
        array([1.11, 1.1 ,  nan, 1.1 ,  nan])
    """
    if not 0 <= gamma < 1:
        raise ValueError(
            f"gamma is {gamma}, but must be at least 0 and below 1: without a discount no return is complete"
        )
    shape = np.shape(rew)
    rew, terminated, truncated = _streams(rew=rew, terminated=terminated, truncated=truncated)
    sums = core_returns.returns_to_go(rew, np.zeros_like(rew), terminated, truncated, gamma)
    elapsed = elapsed_steps(terminated | truncated)
    return np.where(has_room(elapsed, time_limit, tail_length(gamma)), sums, np.nan).reshape(shape)


def value_errors(val: ArrayLike, target: ArrayLike) -> ErrorSummary:
    """Relative errors |V(s) − target| / |target| of a value network, as mean, median and total.

    The target is V_old + A_GAE, to which the network is fitted, or the return (`complete_returns`): the paper finds
    small errors against the first and large errors against the second (Figs. 3, 11, 12). Use pairs to which the
    network was not fitted.

    Args:
        val: V(s), of any shape.
        target: Target, of the same shape; NaN where a pair is left out.

    Returns:
        `mean`, dominated by targets near 0; `median`; `total`, Σ |V − target| / Σ |target|, robust against them. NaN
        if no pair counts.

    Raises:
        ValueError: Shapes differ, or V is not finite where there is a target.

    References:
        Ilyas et al., A Closer Look at Deep Policy Gradients, ICLR 2020, Sec. 2.2.

    Examples:
        >>> errors = value_errors([1.0, 2.0, 3.0, 9.0], [2.0, 2.0, 4.0, np.nan])
        >>> errors.mean, errors.median, errors.total
        (0.25, 0.25, 0.25)
    """
    val, target = np.asarray(val, np.float64), np.asarray(target, np.float64)
    if val.shape != target.shape:
        raise ValueError(f"val has shape {val.shape}, but target {target.shape}: they must be alike")
    if not np.isfinite(val[np.isfinite(target)]).all():
        raise ValueError("val has numbers that are not finite where there is a target")
    val, target = val.reshape(1, -1), target.reshape(1, -1)
    return ErrorSummary(
        *(float(one[0]) for one in summarise_errors(val, target, relative_errors(val, target)))
    )


def gaussian_kl(
    mu_old: ArrayLike, log_sigma_old: ArrayLike, mu: ArrayLike, log_sigma: ArrayLike
) -> Float64[np.ndarray, "*state"]:
    """KL(π_old ‖ π) of diagonal Gaussian policies at each state, in closed form, in nats.

    Σ_j log(σ_j/σ_old,j) + (σ²_old,j + (μ_old,j − μ_j)²)/(2σ_j²) − ½, computed so that it is never below 0 and
    accurate to rounding for updates of any size (Eq. 16).

    Args:
        mu_old: Means before the update [..., act].
        log_sigma_old: Logarithms of the standard deviations before it: [act], or [..., act] where they depend on the
            state.
        mu: Means after it [..., act].
        log_sigma: Logarithms of the standard deviations after it.

    Raises:
        ValueError: Shapes do not fit.

    Examples:
        >>> gaussian_kl([[0.0], [1.0]], [0.0], [[0.0], [0.0]], [0.0])
        array([0. , 0.5])
    """
    arrays = {"mu_old": mu_old, "log_sigma_old": log_sigma_old, "mu": mu, "log_sigma": log_sigma}
    arrays = {name: np.asarray(one, np.float64) for name, one in arrays.items()}
    shape = arrays["mu"].shape
    for name, one in arrays.items():
        if not shape or one.shape not in (shape, shape[-1:] if name.startswith("log") else shape):
            raise ValueError(
                f"{name} has shape {one.shape}, which does not fit means of shape {shape}: means are [..., act], deviations "
                "the same or [act]"
            )
    log_sigma_old, log_sigma = (
        np.broadcast_to(arrays[name], shape) for name in ("log_sigma_old", "log_sigma")
    )
    return core_policy_change.gaussian_kl(arrays["mu_old"], log_sigma_old, arrays["mu"], log_sigma)


def trust_region(
    logp_old: ArrayLike, logp: ArrayLike, *, kl: ArrayLike | None = None, eps: float = 0.2
) -> TrustRegion:
    """KL divergence and ratios ρ = π(a|s)/π_old(a|s) (Eq. 18) of an update, and the share of pairs outside PPO's clip range.

    Compute them on the update's own pairs and on fresh pairs of the old policy; the two differ. The maximum grows
    with the number of pairs, so compare it only at equal numbers.

    Args:
        logp_old: log π_old(a|s) of the actions taken, of any shape [nat].
        logp: log π(a|s) of the same actions, of the same shape [nat].
        kl: KL(π_old ‖ π) at the states, of any shape, such as from `gaussian_kl`. Without it only `approx_kl` is
            available.
        eps: Half-width ε of PPO's clip range.

    Raises:
        ValueError: Shapes differ, or there are no pairs, or values are NaN or infinite.

    References:
        Schulman et al., Proximal Policy Optimization Algorithms, arXiv:1707.06347.
        Schulman, Approximating KL Divergence, 2020 (`approx_kl` is its k3).

    Examples:
        >>> moved = trust_region(np.log([0.5, 0.5, 0.5]), np.log([0.4, 0.5, 0.75]), kl=[0.01, 0.03])
        >>> round(moved.ratio_max, 12), round(moved.clip_fraction, 3), moved.kl_mean
        (1.5, 0.333, 0.02)
    """
    old, new = (_finite(name, one) for name, one in (("logp_old", logp_old), ("logp", logp)))
    if old.shape != new.shape or not old.size:
        raise ValueError(
            f"logp_old has shape {old.shape} and logp {new.shape}, but they must be alike and not empty"
        )
    divergence = None if kl is None else _finite("kl", kl).reshape(-1)
    if divergence is not None and not divergence.size:
        raise ValueError("kl has no states")
    return core_policy_change.policy_change(old.reshape(-1), new.reshape(-1), divergence, eps)


def noise_share(halves: ArrayLike, level: float = 0.95) -> Interval:
    """Share of a measured surface's variance over its points that is noise: Var D / Var T.

    With A and B the means of two halves of a point's episodes, such as those with odd and even number, T = (A + B)/2
    is the measured surface, and D = (A − B)/2 has the same noise but none of the shape. 1 means that the shape is all
    noise; the estimate may exceed 1. A surface is a plane of rewards around an agent, a slice along its step, or any
    other set of points to compare.

    Args:
        halves: A and B of each point [point, 2]; points that are not finite are left out.
        level: Nominal coverage of the interval, a jackknife over the points on the scale of the logarithm.

    Returns:
        The share; NaN with fewer than four points, or where all points are alike.

    Raises:
        ValueError: The shape is another.

    References:
        Ilyas et al., A Closer Look at Deep Policy Gradients, ICLR 2020, Sec. 2.3 (the share is ours).

    Examples:
        Points 0, 2, 4 and 6, each half off by 1 in either direction.

        >>> round(noise_share([[-1, 1], [3, 1], [3, 5], [7, 5]]).value, 12)
        0.2
    """
    return core_surface_noise.noise_share(_halves(halves, level), level)


def noise_variance(halves: ArrayLike, level: float = 0.95) -> Interval:
    """Variance of the noise in a measured surface's points, Var D, in squared units of the measured quantity.

    Args:
        halves: Means of either half of each point's episodes [point, 2], as for `noise_share`.
        level: Nominal coverage of the interval.

    Returns:
        The variance; NaN with fewer than four points.

    Raises:
        ValueError: The shape is another.

    Examples:
        >>> round(noise_variance([[-1, 1], [3, 1], [3, 5], [7, 5]]).value, 12)
        1.333333333333
    """
    return core_surface_noise.noise_variance(_halves(halves, level), level)


def _halves(halves: ArrayLike, level: float) -> Float64[np.ndarray, "point 2"]:
    _check_level(level)
    halves = np.asarray(halves, np.float64)
    if halves.ndim != 2 or halves.shape[1] != 2:
        raise ValueError(f"halves has shape {halves.shape}, but must be [point, 2]")
    return halves


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(
            f"level is {level}, but must be a confidence level above 0 and below 1, such as 0.95"
        )


def _finite(name: str, values: ArrayLike) -> Float64[np.ndarray, "..."]:
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has numbers that are not finite")
    return values


def _streams(**arrays: Any) -> list[Float64[np.ndarray, "stream t"] | Bool[np.ndarray, "stream t"]]:
    """Arrays of one shape [..., t] as [stream, t], flags as booleans and the rest in double precision."""
    flags = ("terminated", "truncated", "ended")
    found = {name: np.asarray(one, bool if name in flags else np.float64) for name, one in arrays.items()}
    (first, wanted), *others = ((name, one.shape) for name, one in found.items())
    if not wanted or 0 in wanted:
        raise ValueError(
            f"{first} has shape {wanted}, but must be [..., t] with time along the last axis, and not empty"
        )
    for name, shape in others:
        if shape != wanted:
            raise ValueError(f"{name} has shape {shape}, but must have that of {first}, {wanted}")
    return [one.reshape(-1, wanted[-1]) for one in found.values()]
