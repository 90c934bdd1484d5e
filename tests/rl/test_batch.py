"""Minibatches: every pair once, in an order of the agent's own."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgprim.rl.batch import minibatch_edges, shuffled, shuffles


@given(st.integers(1, 5000), st.integers(1, 200))
def test_minibatches_are_even_and_none_is_empty(num_pairs, num_minibatches):
    edges = minibatch_edges(num_pairs, num_minibatches)
    sizes = np.diff(edges)
    assert edges[0] == 0 and edges[-1] == num_pairs and len(sizes) == min(num_minibatches, num_pairs)
    assert sizes.min() >= 1 and sizes.max() - sizes.min() <= 1


def test_a_shuffle_holds_every_pair_once_and_keeps_columns_together():
    rngs = [np.random.default_rng(seed) for seed in (1, 2)]
    order = shuffles(rngs, 20)
    np.testing.assert_array_equal(order[1], np.random.default_rng(2).permutation(20))
    values = torch.arange(2 * 20 * 3).view(2, 20, 3)
    found = shuffled(values, order)
    for agent in range(2):
        assert torch.equal(found[agent], values[agent][order[agent]])
        assert torch.equal(shuffled(values[..., 0], order)[agent], found[agent, :, 0])
