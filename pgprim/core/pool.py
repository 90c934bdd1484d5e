"""Agreement of gradient estimates from a pool of streams: each stream is a trial, the others are its truth.

A pool has S independent streams of L pairs. At a budget N ≤ L each stream's first N pairs give an estimate
(`prefix_pool`), at N = J·L the streams are joined J at a time (`joined_pool`). Each estimate is compared to the
"true" gradient: the gradient of all streams that share no pair with it, in full length. So every pair is used for
trials and for truths, but never for both in one comparison.

**Only inner products are needed.** A batch U of pairs, of however many streams, has the gradient (Eqs. 1, 15)

    g_U = x_U / (n_U σ_U),   x_U = a_U − μ_U b_U,   a_U = Σ s·A,   b_U = Σ s,

with scores s, and mean μ_U and deviation σ_U of the advantages from n_U, Σ A and Σ A² (`core.prefix_sums`). Sums over a
union of batches are the sums of their sums. Hence, with c_U = (1, −μ_U) and the sums' products as 2 × 2 blocks
P_UV = [⟨a_U, a_V⟩, ⟨a_U, b_V⟩; ⟨b_U, a_V⟩, ⟨b_U, b_V⟩],

    ⟨x_U, x_V⟩ = c_Uᵀ P_UV c_V,   P_(U∪U')V = P_UV + P_U'V.

The truth that leaves out the streams R is the batch of all others: P of all minus P of R, with the mean μ of the
remaining pairs. It costs a few additions for each R, so that a jackknife over trials can recompute every truth:
without trial k, trial i is compared to a truth without i and k.

**Why intervals cover.** Cosines to truths that share streams are dependent. The jackknife removes a stream both as a
trial and from every truth, so it accounts for all of that dependence. ρ − c² is estimated from pairs i ≠ j with a
truth that contains neither, which makes it unbiased given that truth.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from pgprim.core.cosines import cosines
from pgprim.core.intervals import Interval, clip, jackknife, jackknife_cosine
from pgprim.core.noise_scale import noise_scale
from pgprim.core.pair_mean import pair_mean, pair_mean_leave_one_out
from pgprim.core.pairwise_cosine import pairwise_cosine
from pgprim.core.prefix_sums import advantage_moments

FEWEST_TRIALS = 4
"""Without one trial (jackknife) and the two of a pair (cosine excess), one must be left to make a truth."""

Products = Float[np.ndarray, "trial other 2 2"]
Scalars = Float[np.ndarray, " trial"]


@dataclass(frozen=True)
class Batches:
    """n, Σ A and Σ A² of some batches of pairs."""

    num_pairs: Scalars
    adv: Scalars
    adv_sq: Scalars


@dataclass(frozen=True)
class Pool:
    """The trials of one budget, and what each contributes to the others' truths, by inner products.

    Attributes:
        trials: The batches that the estimates are made from.
        full: What each trial's streams contribute to a truth: the streams in full length.
        among_trials: Products of the trials' sums, [Σ s·A, Σ s] of one by [Σ s·A, Σ s] of the other.
        with_full: Products of the trials' sums with those of the streams in full length.
        among_full: Products of the sums of the streams in full length.
    """

    trials: Batches
    full: Batches
    among_trials: Products
    with_full: Products
    among_full: Products

    def __post_init__(self):
        if len(self.among_trials) < FEWEST_TRIALS:
            raise ValueError(f"{len(self.among_trials)} trials are fewer than {FEWEST_TRIALS}")


def sum_products(
    one: Float[np.ndarray, "trial 2 param"], other: Float[np.ndarray, "other 2 param"]
) -> Products:
    """Products of every stream's [Σ s·A, Σ s] with every other's, in double precision.

    Args:
        one: Sums over some batches.
        other: Sums over others, or the same ones.
    """
    left, right = (np.asarray(sums, np.float64).reshape(2 * len(sums), -1) for sums in (one, other))
    return (left @ right.T).reshape(len(one), 2, len(other), 2).transpose(0, 2, 1, 3)


def prefix_pool(
    trials: Batches,
    full: Batches,
    prefix_sums: Float[np.ndarray, "trial 2 param"],
    full_sums: Float[np.ndarray, "trial 2 param"],
    among_full: Products,
) -> Pool:
    """The trials of a budget N ≤ L: each stream's first N pairs.

    Args:
        trials: n, Σ A and Σ A² of the streams' first N pairs, advantages cut there.
        full: The same of the whole streams.
        prefix_sums: [Σ s·A, Σ s] over each stream's first N pairs.
        full_sums: The same over the whole streams.
        among_full: `sum_products` of `full_sums` with themselves, the same for every budget.
    """
    own, cross = sum_products(prefix_sums, prefix_sums), sum_products(prefix_sums, full_sums)
    return Pool(trials, full, own, cross, among_full)


def joined_pool(full: Batches, among_full: Products, num_joined: int) -> Pool:
    """The trials of a budget N = J·L: streams 0 ... J−1, streams J ... 2J−1 and so on.

    The last S mod J streams are in no trial and in no truth.

    Args:
        full: n, Σ A and Σ A² of the streams.
        among_full: Products of their sums.
        num_joined: J.
    """
    num_trials = len(among_full) // num_joined
    used = num_trials * num_joined
    shape = (num_trials, num_joined)
    joined = Batches(
        *(values[:used].reshape(shape).sum(1) for values in (full.num_pairs, full.adv, full.adv_sq))
    )
    products = among_full[:used, :used].reshape(*shape, *shape, 2, 2).sum((1, 3))
    return Pool(joined, joined, products, products, products)


def pool_agreement(pool: Pool, level: float) -> dict[str, Interval | float | Float[np.ndarray, "..."]]:
    """Cosines, norms and noise scale of one budget's trials, with jackknife intervals over trials, within the agent.

    Nominal 95 % intervals, of 20 or 60 streams or ten joined trials, cover .95 or more for normal streams and
    wherever agreement is low. If agreement is high and every tenth stream is ten times as noisy, they cover .93 (ρ),
    .88 (c), .90 (corrected), .86 (ρ − c²) and .87 (noise scale) at least; with Student's t₃ streams .88, .87, .85,
    .77 and .80 (tested).

    Args:
        pool: The trials of the budget.
        level: Nominal coverage.

    Returns:
        By name, an interval unless stated otherwise; all NaN if a trial has norm 0 and so no direction:
        `pairwise_cosine [trial, trial]`: cosines between trials;
        `cosine`: ρ, their mean;
        `truth_cosine_trial [trial]`: cosine of each trial to the truth of all others;
        `truth_cosine`: c, their mean;
        `truth_cosine_corrected`: c/√r, the mean cosine to the direction of E g;
        `truth_reliability`: r, share of signal in the truth's squared norm (no interval; NaN without signal);
        `cosine_excess`: ρ − c², which must not be below zero by more than chance (`core.truth_cosine`);
        `norm [trial]`: |g|;
        `noise_scale`: tr Σ / |G|² in pairs, from the trials' x = Σ s·(A − μ) (`core.noise_scale`). Not from g:
        dividing each trial by its own σ removes some of the noise along G, about a tenth of all noise on a bandit of
        four dimensions.
    """
    geometry = _Geometry(pool)
    matrix, num_pairs = cosines(geometry.products), round(pool.trials.num_pairs.mean())
    to_truth, trusted = _mean_to_truth(geometry), _truth_reliability(geometry)
    return {
        "pairwise_cosine": matrix,
        "cosine": pairwise_cosine(matrix, level),
        "truth_cosine_trial": geometry.to_truth(np.arange(len(matrix))),
        "truth_cosine": jackknife_cosine(*to_truth, level),
        "truth_cosine_corrected": _corrected(to_truth, trusted, level),
        "truth_reliability": trusted[0],
        "cosine_excess": jackknife(*_cosine_excess(geometry, matrix), level),
        "norm": geometry.norms / geometry.scale,
        "noise_scale": noise_scale(geometry.products, num_pairs, level),
    }


def pool_truth(full: Batches, among_full: Products, level: float) -> dict[str, Interval | float]:
    """The true gradient of all streams together.

    Args:
        full: n, Σ A and Σ A² of the streams.
        among_full: Products of their sums.
        level: Nominal coverage.

    Returns:
        By name: `truth_norm`, |g| of the union of all streams; `truth_noise_scale`, tr Σ / |G|² in pairs, from the
        streams in full length with advantages normalised together, within the agent.
    """
    total = Batches(*(values.sum(keepdims=True) for values in (full.num_pairs, full.adv, full.adv_sq)))
    mean, deviation = advantage_moments(total.num_pairs, total.adv, total.adv_sq)
    weight = np.array([1, -mean[0]])
    products = np.einsum("c,ijcd,d->ij", weight, among_full, weight)
    return {
        "truth_norm": float(np.sqrt(products.sum()) / (total.num_pairs[0] * deviation[0])),
        "truth_noise_scale": noise_scale(products, round(full.num_pairs.mean()), level),
    }


class _Geometry:
    """Products among a pool's trials, and with any truth.

    Products with a truth are polynomials in the truth's −μ, stored as coefficients: two of ⟨x_i, x_U⟩, three of |x_U|²,
    each for single streams, of which sums over all but some are made.
    """

    def __init__(self, pool: Pool):
        mean, deviation = advantage_moments(pool.trials.num_pairs, pool.trials.adv, pool.trials.adv_sq)
        weight = np.stack([np.ones_like(mean), -mean], axis=1)
        self.scale = pool.trials.num_pairs * deviation
        self.products = np.einsum("ic,ijcd,jd->ij", weight, pool.among_trials, weight)
        self.norms = np.sqrt(np.diagonal(self.products))
        self.with_full = np.einsum("ic,ijcd->dij", weight, pool.with_full)
        aa, ab, ba, bb = (pool.among_full[..., c, d] for c in range(2) for d in range(2))
        self.among_full = [aa, ab + ba, bb]
        self.num_pairs, self.adv = pool.full.num_pairs, pool.full.adv

    def to_truth(
        self, trial: Int[np.ndarray, "..."], *others: Int[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Cosine of trials to truths that leave out the trial and other streams; 0 where these are not all different.

        Args:
            trial: Indices of trials.
            others: Indices of further streams that the truth leaves out; they broadcast.
        """
        removed = (trial, *others)
        pairs = list(combinations(removed, 2))
        num_pairs = self.num_pairs.sum() - sum(self.num_pairs[k] for k in removed)
        slope = -(self.adv.sum() - sum(self.adv[k] for k in removed)) / num_pairs
        product, square = 0.0, 0.0
        for power, part in enumerate(self.with_full):
            left = part.sum(1)[trial] - sum(part[trial, k] for k in removed)
            product = product + slope**power * left
        for power, part in enumerate(self.among_full):
            rows = part.sum(1) + part.sum(0)
            taken = sum(rows[k] - part[k, k] for k in removed) - sum(
                part[k, o] + part[o, k] for k, o in pairs
            )
            square = square + slope**power * (part.sum() - taken)
        distinct = np.array(True)
        for k, other in pairs:
            distinct = distinct & (k != other)
        with np.errstate(divide="ignore", invalid="ignore"):  # a trial of norm 0 has no direction
            return np.where(distinct, product / (np.sqrt(square) * self.norms[trial]), 0.0)


def _mean_to_truth(geometry: _Geometry) -> tuple[float, Float[np.ndarray, " trial"]]:
    """Mean cosine to the truth of the others: of all trials, then of a pool without each in turn."""
    n = len(geometry.norms)
    trial, out = np.ogrid[:n, :n]
    return float(geometry.to_truth(trial[:, 0]).mean()), geometry.to_truth(trial, out).sum(0) / (n - 1)


def _cosine_excess(
    geometry: _Geometry, matrix: Float[np.ndarray, "trial trial"]
) -> tuple[float, Float[np.ndarray, " trial"]]:
    """Mean over pairs of ⟨u_i, u_j⟩ − ⟨u_i, v⟩⟨u_j, v⟩ with v the direction of a truth that holds neither i nor j.

    Of all trials, then of a pool without each in turn.
    """
    n = len(matrix)
    to_truth = geometry.to_truth(*np.ogrid[:n, :n])
    value = pair_mean(matrix) - (to_truth * to_truth.T).sum() / (n * (n - 1))
    to_truth = geometry.to_truth(*np.ogrid[:n, :n, :n])
    products = (to_truth * to_truth.transpose(1, 0, 2)).sum((0, 1)) / ((n - 1) * (n - 2))
    return value, pair_mean_leave_one_out(matrix) - products


def _truth_reliability(geometry: _Geometry) -> tuple[float, Float[np.ndarray, " trial"]]:
    """R = |G|² / (|G|² + tr Σ/M), the reliability of a truth of M streams; NaN where no signal is seen.

    |G|² and tr Σ are those of a stream in full length, with advantages centred by the mean of the pool. Of the pool,
    then of one without each trial in turn.
    """
    n, total, adv = len(geometry.norms), geometry.num_pairs.sum(), geometry.adv.sum()
    slopes = -np.append(adv / total, (adv - geometry.adv) / (total - geometry.num_pairs))
    signal, square = np.zeros(n + 1), np.zeros(n + 1)
    for power, part in enumerate(geometry.among_full):
        kernel, diagonal = (part + part.T) / 2, np.diagonal(part)
        signal += slopes**power * np.append(pair_mean(kernel), pair_mean_leave_one_out(kernel))
        square += slopes**power * np.append(diagonal.mean(), (diagonal.sum() - diagonal) / (n - 1))
    streams = np.append(n - 1, np.full(n, n - 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(signal > 0, signal / (signal + (square - signal) / streams), np.nan)
    return float(shares[0]), shares[1:]


def _corrected(
    cosine: tuple[float, Float[np.ndarray, " trial"]],
    trusted: tuple[float, Float[np.ndarray, " trial"]],
    level: float,
) -> Interval:
    """c/√r; the interval is [−1, 1] without signal, or if a single stream decides whether there is signal.

    The interval is on Fisher's scale; quotients beyond 1, which are possible by chance, are clipped.
    """
    value, left_out = (of / np.sqrt(share) for of, share in zip(cosine, trusted, strict=True))
    if np.isnan(value) or np.isnan(left_out).any():
        return Interval(float(np.clip(value, -1, 1)), -1.0, 1.0)
    if max(value, left_out.max()) < 1:
        return jackknife_cosine(value, left_out, level)
    return clip(jackknife(value, left_out, level), -1, 1)
