"""Minibatches: every pair once, in an order of the agent's own."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgprim.rl.batch import minibatch_edges, minibatches
from tests.rl.examples import settings

CHOSEN = settings()


@given(st.integers(1, 5000), st.integers(1, 200))
def test_a_number_of_minibatches_are_even_and_none_is_empty(num_pairs, num_minibatches):
    edges = minibatch_edges(num_pairs, replace(CHOSEN, minibatches=num_minibatches))
    sizes = np.diff(edges)
    assert edges[0] == 0 and edges[-1] == num_pairs and len(sizes) == min(num_minibatches, num_pairs)
    assert sizes.min() >= 1 and sizes.max() - sizes.min() <= 1


@given(st.integers(1, 5000), st.integers(1, 200))
def test_minibatches_of_a_size_are_full_but_for_the_last(num_pairs, size):
    sizes = np.diff(minibatch_edges(num_pairs, replace(CHOSEN, minibatch_size=size)))
    assert sizes.sum() == num_pairs and (sizes[:-1] == size).all() and 1 <= sizes[-1] <= size


def test_an_epoch_holds_every_pair_once_in_the_agents_own_order_and_keeps_columns_together():
    rng = np.random.default_rng(0)
    obs, columns = (torch.from_numpy(rng.standard_normal((2, 20, size))) for size in (3, 2))
    pieces = [
        (epoch, some.clone(), column.clone())
        for epoch, some, column in minibatches(
            obs, columns, replace(CHOSEN, minibatch_size=8), 2, [np.random.default_rng(k) for k in (1, 2)]
        )
    ]
    assert [(epoch, some.shape[1]) for epoch, some, _ in pieces] == [
        (0, 8),
        (0, 8),
        (0, 4),
        (1, 8),
        (1, 8),
        (1, 4),
    ]
    for agent in range(2):
        again = np.random.default_rng(agent + 1)
        order = np.concatenate([again.permutation(20) for _ in range(2)])
        assert torch.equal(torch.cat([some[agent] for _, some, _ in pieces]), obs[agent, order])
        assert torch.equal(torch.cat([column[agent] for _, _, column in pieces]), columns[agent, order])
