"""Policy gradient estimates for every prefix of a stream, computed exactly from a few running sums.

The batch-normalised estimate (Eqs. 1, 14, 15) on N pairs is a function of n, Σ s, Σ s·A, Σ A and Σ A², with scores
s = ∇θ log π. But the advantages themselves depend on N: cut at N, they bootstrap with V(s_N), and
A^(N)_t = A_t − (γλ)^(N−t) A_N for all t of the episode that the cut divides. So a second set of sums covers the pairs
of the unfinished episode, with weights c_t = (γλ)^(N−1−t): Σ c, Σ c², Σ c·A and the eligibility trace Σ c·s. When
more pairs follow, every A_t of that episode gains x·c_t with the same x = γλ·A_N, which updates all sums in closed
form. This is the equivalence of TD(λ)'s forward and backward views (Sutton & Barto, Ch. 12), and needs no past data
except these sums.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from pgprim.core.surrogate import ADVANTAGE_EPS


@dataclass(frozen=True)
class PrefixSums:
    """Sums over the first `num_pairs` pairs of each stream, with advantages cut there.

    Attributes:
        num_pairs: Pairs so far.
        score: Σ s.
        score_adv: Σ s·A.
        trace: Σ c·s, zero where the last pair ended its episode.
        adv: Σ A.
        adv_sq: Σ A².
        weight: Σ c.
        weight_sq: Σ c².
        weight_adv: Σ c·A.
    """

    num_pairs: int
    score: Float64[Tensor, "stream param"]
    score_adv: Float64[Tensor, "stream param"]
    trace: Float64[Tensor, "stream param"]
    adv: Float64[np.ndarray, " stream"]
    adv_sq: Float64[np.ndarray, " stream"]
    weight: Float64[np.ndarray, " stream"]
    weight_sq: Float64[np.ndarray, " stream"]
    weight_adv: Float64[np.ndarray, " stream"]


def no_pairs(num_streams: int, num_params: int) -> PrefixSums:
    """Sums over nothing yet."""
    vectors = [torch.zeros(num_streams, num_params, dtype=torch.float64) for _ in range(3)]
    return PrefixSums(0, *vectors, *(np.zeros(num_streams) for _ in range(5)))


def trace_weights(ended: Bool[np.ndarray, "stream t"], factor: float) -> Float64[np.ndarray, "stream t"]:
    """c_t = factor^(T−1−t) for the pairs of the episode that the end of the stretch divides, else 0.

    Args:
        ended: Whether the episode ended with the pair, for whatever reason.
        factor: γλ.
    """
    num_pairs = ended.shape[1]
    behind = np.flip(np.logical_or.accumulate(np.flip(ended, 1), axis=1), 1)
    return np.where(behind, 0.0, factor ** np.arange(num_pairs - 1.0, -1, -1))


def append(
    sums: PrefixSums,
    adv: Float64[np.ndarray, "stream t"],
    ended: Bool[np.ndarray, "stream t"],
    factor: float,
    scores: Float[Tensor, "stream 3 param"],
) -> PrefixSums:
    """The sums with the next stretch of pairs.

    Args:
        sums: Over all pairs before.
        adv: Generalised advantage estimates of the stretch, cut at its end.
        ended: Whether the episode ended with the pair.
        factor: γλ.
        scores: Σ s, Σ s·A and Σ c·s over the stretch (`core.scores`), with A and c = `trace_weights` of the stretch.
    """
    weight = trace_weights(ended, factor)
    sums = revalue(sums, factor * adv[:, 0])
    open_still = ~ended.any(1) * factor ** adv.shape[1]
    score, score_adv, trace = scores.double().unbind(1)
    return PrefixSums(
        sums.num_pairs + adv.shape[1],
        sums.score + score,
        sums.score_adv + score_adv,
        torch.addcmul(trace, sums.trace, torch.from_numpy(open_still)[:, None]),
        sums.adv + adv.sum(1),
        sums.adv_sq + np.square(adv).sum(1),
        open_still * sums.weight + weight.sum(1),
        np.square(open_still) * sums.weight_sq + np.square(weight).sum(1),
        open_still * sums.weight_adv + (weight * adv).sum(1),
    )


def revalue(sums: PrefixSums, gain: Float64[np.ndarray, " stream"]) -> PrefixSums:
    """The sums after a change of the bootstrap value at the end of the stream: A_t → A_t + gain·c_t.

    Args:
        sums: Before.
        gain: Change of the last pair's advantage; without effect if that pair ended its episode.
    """
    return replace(
        sums,
        score_adv=torch.addcmul(sums.score_adv, sums.trace, torch.from_numpy(gain)[:, None]),
        adv=sums.adv + gain * sums.weight,
        adv_sq=sums.adv_sq + 2 * gain * sums.weight_adv + np.square(gain) * sums.weight_sq,
        weight_adv=sums.weight_adv + gain * sums.weight_sq,
    )


def batch_gradient(
    num_pairs: Float64[np.ndarray, "*batch"],
    score: Float64[np.ndarray, "*batch param"],
    score_adv: Float64[np.ndarray, "*batch param"],
    adv: Float64[np.ndarray, "*batch"],
    adv_sq: Float64[np.ndarray, "*batch"],
) -> Float64[np.ndarray, "*batch param"]:
    """Eqs. 1, 15: mean of s·Â with Â = (A − mean A)/std A over the batch, as `surrogate.normalise_advantage` has it.

    For a union of batches, add their arguments.

    Args:
        num_pairs: n.
        score: Σ s.
        score_adv: Σ s·A.
        adv: Σ A.
        adv_sq: Σ A².
    """
    mean, scale = advantage_moments(num_pairs, adv, adv_sq)
    return centred_scores(score, score_adv, mean) / (num_pairs * scale)[..., None]


def advantage_moments(
    num_pairs: Float64[np.ndarray, "*batch"],
    adv: Float64[np.ndarray, "*batch"],
    adv_sq: Float64[np.ndarray, "*batch"],
) -> tuple[Float64[np.ndarray, "*batch"], Float64[np.ndarray, "*batch"]]:
    """Mean of A, and its unbiased standard deviation with `ADVANTAGE_EPS` added, from n, Σ A and Σ A²."""
    mean = adv / num_pairs
    squares = np.maximum(adv_sq - num_pairs * np.square(mean), 0.0)
    return mean, np.sqrt(squares / np.maximum(num_pairs - 1, 1)) + ADVANTAGE_EPS


def centred_scores(
    score: Float64[np.ndarray, "*batch param"],
    score_adv: Float64[np.ndarray, "*batch param"],
    mean: Float64[np.ndarray, "*#batch"],
) -> Float64[np.ndarray, "*batch param"]:
    """Σ s·(A − mean)."""
    return score_adv - mean[..., None] * score
