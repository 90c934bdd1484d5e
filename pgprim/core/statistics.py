"""How well repeated estimates of one vector agree, with intervals that cover what they say (study of Figs. 1, 2).

Everything is computed from the Gram matrix of a handful of estimates, one row per trial. The mean pairwise cosine of n
trials is a U-statistic: its n(n−1)/2 cosines are dependent, so that a bootstrap over *pairs* covers its target far too
rarely. Here trials, which are independent, are left out one by one (jackknife) or resampled without ever pairing a
trial with itself.

Intervals *within an agent* say what more trials would change; `between_agents` says what other training seeds would.
The two are never mixed.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real
from scipy.stats import t as student

LARGEST_COSINE = 1 - 1e-12
"""Cosines are bounded by this before artanh, so that identical estimates have a finite transform."""


class Interval(NamedTuple):
    """A point estimate and the ends of its confidence interval."""

    value: float
    low: float
    high: float


def gram(vectors: Float[np.ndarray, "trial param"]) -> Float[np.ndarray, "trial trial"]:
    """⟨g_i, g_j⟩ in double precision."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors @ vectors.T


def cosines(products: Float[np.ndarray, "trial trial"]) -> Float[np.ndarray, "trial trial"]:
    """Cosines between the vectors of a Gram matrix; NaN against a zero vector."""
    norms = np.sqrt(np.diagonal(products))
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = products / np.outer(norms, norms)
    matrix[np.diag_indices_from(matrix)] = np.where(norms > 0, 1.0, np.nan)
    return matrix


def pair_mean(kernel: Float[np.ndarray, "trial trial"]) -> float:
    """The U-statistic of a symmetric kernel: the mean of h_ij over i ≠ j, unbiased for E h of two independent trials."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def pair_mean_leave_one_out(kernel: Float[np.ndarray, "trial trial"]) -> Float[np.ndarray, " trial"]:
    """`pair_mean` without each of the trials in turn; needs three trials."""
    n = len(kernel)
    rows = kernel.sum(1) - np.diagonal(kernel)
    return (rows.sum() - 2 * rows) / ((n - 1) * (n - 2))


def jackknife(value: float, left_out: Float[np.ndarray, " trial"], level: float) -> Interval:
    """A jackknife interval with Student's t quantiles, t(n − 1).

    The standard error is √((n−1)/n Σ (θ_(i) − mean θ_(·))²) over the leave-one-out values θ_(i). For a mean it is the
    classical t interval. For a U-statistic its coverage is nominal where a signal is seen; without any signal the
    standard error is √2 too large (Efron & Stein 1981), so that a 95 % interval covers 98-99 %: on the safe side.

    Args:
        value: The statistic of all trials.
        left_out: The statistic without each trial in turn.
        level: Nominal coverage, e.g. 0.95.
    """
    n = len(left_out)
    half = student.ppf(0.5 + level / 2, n - 1) * np.sqrt(
        (n - 1) / n * np.square(left_out - left_out.mean()).sum()
    )
    return Interval(float(value), float(value - half), float(value + half))


def jackknife_cosine(value: float, left_out: Float[np.ndarray, " trial"], level: float) -> Interval:
    """`jackknife` of something bounded by ±1, on the scale of artanh, so that the interval is bounded too."""

    def stretch(x):
        return np.arctanh(np.clip(x, -LARGEST_COSINE, LARGEST_COSINE))

    _, low, high = np.tanh(jackknife(stretch(value), stretch(left_out), level))
    return Interval(float(value), float(low), float(high))


def mean_cosine(matrix: Float[np.ndarray, "trial trial"], level: float) -> Interval:
    """Mean pairwise cosine of independent trials (Figs. 1, 9) with its interval within the agent.

    Args:
        matrix: Cosines between trials, at least three.
        level: Nominal coverage.
    """
    return jackknife_cosine(pair_mean(matrix), pair_mean_leave_one_out(matrix), level)


def mean_cosine_bootstrap(
    matrix: Float[np.ndarray, "trial trial"],
    level: float,
    rng: np.random.Generator,
    num_resamples: int = 2000,
) -> Interval:
    """The same by resampling trials: a percentile bootstrap in which copies of one trial are never paired.

    A second opinion on `mean_cosine`, whose coverage is nearer to nominal with ten trials.

    Args:
        matrix: Cosines between trials.
        level: Nominal coverage.
        rng: Source of the resamples.
        num_resamples: How many.
    """
    n = len(matrix)
    copies = rng.multinomial(n, np.full(n, 1 / n), size=num_resamples).astype(np.float64)
    copies = copies[(copies > 0).sum(1) > 1]
    off_diagonal = matrix - np.diag(np.diagonal(matrix))
    means = np.einsum("bi,ij,bj->b", copies, off_diagonal, copies) / (n**2 - np.square(copies).sum(1))
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(pair_mean(matrix), float(low), float(high))


def trial_mean(values: Float[np.ndarray, " trial"], level: float) -> Interval:
    """Mean cosine of independent trials to one fixed vector (Figs. 2, 10) with its interval within the agent."""
    values = np.asarray(values, dtype=np.float64)
    total, n = values.sum(), len(values)
    return jackknife_cosine(total / n, (total - values) / (n - 1), level)


def between_agents(values: Float[np.ndarray, " seed"], level: float) -> Interval:
    """Mean over independently trained agents with Student's t interval: what other training seeds would change."""
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    if n < 2:
        return Interval(float(values.mean()), np.nan, np.nan)
    half = student.ppf(0.5 + level / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half))


def cosine_excess(
    matrix: Float[np.ndarray, "trial trial"], to_truth: Float[np.ndarray, " trial"], level: float
) -> Interval:
    """ρ − c²: mean pairwise cosine less the squared mean cosine to a fixed vector that owes nothing to the trials.

    With u_i the trials' unit vectors and v that of the truth, ρ − c² = |E u|² − ⟨E u, v⟩² = |(I − v vᵀ) E u|² ≥ 0,
    whatever the number of dimensions and whether or not v is the true direction. Estimated without bias by the mean of
    ⟨u_i, u_j⟩ − ⟨u_i, v⟩⟨u_j, v⟩ over pairs. An interval that lies wholly below zero means an error: the truth shares
    samples with the trials, or the cosines are wrong.

    Args:
        matrix: Cosines between trials.
        to_truth: Cosine of each trial to the truth.
        level: Nominal coverage.
    """
    kernel = matrix - np.outer(to_truth, to_truth)
    return jackknife(pair_mean(kernel), pair_mean_leave_one_out(kernel), level)


def squared_signal(products: Float[np.ndarray, "trial trial"]) -> float:
    """|E g|² without bias: the mean inner product of two different trials; may be negative by chance."""
    return pair_mean(products)


def trace_noise(products: Float[np.ndarray, "trial trial"]) -> float:
    """Noise of one trial without bias, tr Cov(g): mean squared norm less `squared_signal`."""
    return float(np.trace(products) / len(products) - pair_mean(products))


def noise_scale(products: Float[np.ndarray, "trial trial"], budget: int, level: float) -> Interval:
    """The gradient noise scale B = tr Σ / |G|², with Σ the covariance per pair (McCandlish et al. 2018), in pairs.

    Estimates on N pairs have E|g|² = |G|² + tr Σ / N, so B = N (1/q − 1) with q = |G|² / E|g|². Numerator and
    denominator of q are each unbiased; the interval is q's jackknife interval, carried over. No signal at all gives
    B = ∞, and an upper end of ∞ says that the data do not exclude it.

    Args:
        products: Gram matrix of the trials.
        budget: N, pairs in each trial.
        level: Nominal coverage.
    """
    n, squares = len(products), np.diagonal(products)
    if not squares.sum() > 0:
        return Interval(np.nan, np.nan, np.nan)
    share = pair_mean(products) / squares.mean()
    left_out = pair_mean_leave_one_out(products) / ((squares.sum() - squares) / (n - 1))
    value, low, high = (_scale_from_share(q, budget) for q in jackknife_cosine(share, left_out, level))
    return Interval(value, high, low)


def _scale_from_share(share: float, budget: int) -> float:
    return float(budget * (1 / share - 1)) if share > 0 else np.inf


def expected_cosine(budget: Real[np.ndarray, " budget"], scale: float) -> Float[np.ndarray, " budget"]:
    """N / (N + B): the pairwise cosine that the noise scale predicts at N pairs; its root is the cosine to the truth."""
    budget = np.asarray(budget, dtype=np.float64)
    return budget / (budget + scale)


def reliability(products: Float[np.ndarray, "stream stream"], level: float) -> Interval:
    """Share of signal in the squared norm of the mean of independent vectors: |G|² / |mean x|².

    The cosine of two independent means of this many streams would be about this number.

    Args:
        products: Gram matrix of the streams' own vectors, whose mean is the estimate in question.
        level: Nominal coverage.
    """
    n = len(products)
    total, rows = products.sum(), products.sum(1)
    if n < 3 or not total > 0:
        return Interval(np.nan, np.nan, np.nan)
    squared = total / n**2
    share = pair_mean(products) / squared
    # Mean over n−1 streams, whose reliability is lower: bring it to n streams by Spearman-Brown's formula.
    left_out = pair_mean_leave_one_out(products) / ((total - 2 * rows + np.diagonal(products)) / (n - 1) ** 2)
    left_out = n * left_out / (n - 1 + left_out)
    return jackknife_cosine(share, left_out, level)


def split_half_reliability(cosine: float) -> float:
    """Reliability of a whole from the cosine c of its halves, 2c/(1 + c) (Spearman 1910; Brown 1910).

    Exact where the whole is the mean of its halves. NaN where the halves do not agree at all.
    """
    return float(2 * cosine / (1 + cosine)) if cosine > 0 else np.nan


def correct_for_noisy_truth(cosine: float, truth_reliability: float) -> float:
    """Cosine to the true direction from that to a noisy estimate T of it: c·|T|/|G| = c/√reliability (Spearman 1904).

    E⟨g, T⟩ = ⟨E g, G⟩ for independent g and T, so only T's norm has to be set right. NaN where no signal is seen.
    """
    return float(cosine / np.sqrt(truth_reliability)) if truth_reliability > 0 else np.nan
