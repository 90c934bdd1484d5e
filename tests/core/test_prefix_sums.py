"""Prefix sums against the definition: cut the stream at N, compute the advantages there, normalise, differentiate."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgprim.core.prefix_sums import append, batch_gradient, no_pairs, revalue, trace_weights
from pgprim.core.returns import gae
from pgprim.core.surrogate import normalise_advantage

GAMMA, LAM = 0.99, 0.95
STREAMS, PAIRS, PARAMS = 3, 60, 4


def _experience(seed, end_rate):
    """Random scores in place of a policy's: the sums do not care where they come from."""
    rng = np.random.default_rng(seed)
    shape = (STREAMS, PAIRS)
    terminated = rng.random(shape) < end_rate
    truncated = rng.random(shape) < end_rate
    rew, val, final = rng.standard_normal((3, *shape))
    next_val = np.where(truncated, final, np.concatenate([val[:, 1:], final[:, -1:]], axis=1))
    return rng.standard_normal((*shape, PARAMS)), rew, val, next_val, terminated, truncated


def _sums(experience, edges, blocks=()):
    """The sums at every edge, with further cuts at `blocks`."""
    scores, rew, val, next_val, terminated, truncated = experience
    sums, ours = no_pairs(STREAMS, PARAMS), {}
    cuts = sorted({0, *edges, *blocks})
    for start, stop in pairwise(cuts):
        piece = slice(start, stop)
        columns = (x[:, piece] for x in (rew, val, next_val, terminated, truncated))
        adv = gae(*columns, GAMMA, LAM)
        ended = terminated[:, piece] | truncated[:, piece]
        weights = np.stack([np.ones_like(adv), adv, trace_weights(ended, GAMMA * LAM)], axis=1)
        sums = append(sums, adv, ended, GAMMA * LAM, torch.from_numpy(weights @ scores[:, piece]))
        ours[stop] = sums
    return ours


def _advantages(experience, num_pairs):
    _, *columns = experience
    return gae(*(x[:, :num_pairs] for x in columns), GAMMA, LAM)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    end_rate=st.sampled_from([0.0, 0.05, 0.5]),
    edges=st.sets(st.integers(2, PAIRS), min_size=1),
    blocks=st.sets(st.integers(1, PAIRS)),
)
def test_every_prefix_is_exact_however_the_stream_is_cut_into_blocks(seed, end_rate, edges, blocks):
    experience = _experience(seed, end_rate)
    ours = _sums(experience, edges, blocks)
    for num_pairs in edges:
        adv, scores = _advantages(experience, num_pairs), experience[0][:, :num_pairs]
        sums = ours[num_pairs]
        assert sums.num_pairs == num_pairs
        np.testing.assert_allclose(sums.score, scores.sum(1), atol=1e-10)
        np.testing.assert_allclose(sums.score_adv, np.einsum("st,stp->sp", adv, scores), atol=1e-10)
        np.testing.assert_allclose(sums.adv, adv.sum(1), atol=1e-10)
        np.testing.assert_allclose(sums.adv_sq, np.square(adv).sum(1), atol=1e-10)


@pytest.mark.parametrize("num_pairs", [2, 7, 30, PAIRS])
def test_batch_gradient_is_the_mean_of_scores_times_normalised_advantages(num_pairs):
    experience = _experience(1, 0.05)
    sums = _sums(experience, {num_pairs})[num_pairs]
    adv_norm = normalise_advantage(torch.from_numpy(_advantages(experience, num_pairs))).numpy()
    expected = np.einsum("st,stp->sp", adv_norm, experience[0][:, :num_pairs]) / num_pairs
    counts = np.full(STREAMS, float(num_pairs))
    ours = batch_gradient(counts, sums.score.numpy(), sums.score_adv.numpy(), sums.adv, sums.adv_sq)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_a_union_of_streams_is_one_batch():
    experience = _experience(2, 0.05)
    sums = _sums(experience, {PAIRS})[PAIRS]
    adv_norm = normalise_advantage(torch.from_numpy(_advantages(experience, PAIRS).reshape(1, -1))).numpy()[0]
    expected = adv_norm @ experience[0].reshape(-1, PARAMS) / (STREAMS * PAIRS)
    fields = (sums.score.numpy(), sums.score_adv.numpy(), sums.adv, sums.adv_sq)
    union = [field.sum(0, keepdims=True) for field in fields]
    np.testing.assert_allclose(
        batch_gradient(np.array([1.0 * STREAMS * PAIRS]), *union)[0], expected, atol=1e-12
    )


@pytest.mark.parametrize("num_pairs", [5, 23, PAIRS])
def test_another_value_behind_the_cut_needs_no_second_pass(num_pairs):
    experience = _experience(3, 0.02)
    _, _, _, next_val, terminated, truncated = experience
    last = num_pairs - 1
    change = np.where(terminated[:, last] | truncated[:, last], 0.0, [0.5, -2.0, 3.0])
    ours = revalue(_sums(experience, {num_pairs})[num_pairs], GAMMA * change)
    next_val[:, last] += change
    for name in ("score_adv", "adv", "adv_sq", "weight_adv"):
        expected = getattr(_sums(experience, {num_pairs})[num_pairs], name)
        np.testing.assert_allclose(getattr(ours, name), expected, atol=1e-10)


def test_equal_advantages_give_a_zero_gradient():
    zeros = np.zeros((1, PARAMS))
    ours = batch_gradient(np.array([4.0]), zeros + 3, zeros + 6, np.array([8.0]), np.array([16.0]))
    np.testing.assert_array_equal(ours, zeros)


def test_trace_weights_by_hand():
    ended = np.array([[False, False, False], [False, True, False], [False, False, True]])
    np.testing.assert_allclose(trace_weights(ended, 0.5), [[0.25, 0.5, 1], [0, 0, 1], [0, 0, 0]])
