"""Complete episodes of a stream: a plain loop, and an estimate without bias where another one has it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgprim.core.episodes import complete_episodes, estimate_return, within


@given(st.lists(st.tuples(st.integers(-50, 50), st.booleans()), min_size=1, max_size=60), st.integers(1, 70))
def test_they_are_those_of_a_plain_loop(pairs, budget):
    returns, total = [], 0.0
    for rew, ended in pairs[:budget]:
        total += rew
        if ended:
            returns.append(total)
            total = 0.0
    rew, ended = (np.array(values) for values in zip(*pairs, strict=True))
    ours = within(complete_episodes(rew.astype(np.float64), ended), budget)
    np.testing.assert_array_equal(ours, returns)


def test_by_hand():
    ours = estimate_return(np.array([1.0, 2.0, 6.0]))
    assert (ours.mean, ours.num, ours.halves) == (3.0, 3, (3.5, 2.0))
    assert ours.se == pytest.approx(np.sqrt(7 / 3))
    one, none = estimate_return(np.array([4.0])), estimate_return(np.zeros(0))
    assert (one.mean, one.num, one.halves[0]) == (4.0, 1, 4.0)
    assert np.isnan([one.se, one.halves[1], none.mean, none.se, *none.halves]).all()


def test_a_short_budget_is_the_beginning_of_a_longer_one():
    rng = np.random.default_rng(0)
    episodes = complete_episodes(rng.standard_normal(1000), rng.random(1000) < 0.05)
    longer = within(episodes, 900)
    shorter = within(episodes, 300)
    assert 0 < len(shorter) < len(longer)
    np.testing.assert_array_equal(shorter, longer[: len(shorter)])


def _streams(num_streams, num_pairs, rng):
    """Streams of episodes of 2 or 60 pairs, as likely, with a reward of 1 per pair: mean return 31."""
    for _ in range(num_streams):
        lengths = rng.choice([2, 60], size=num_pairs // 2 + 1)
        ended = np.zeros(num_pairs, bool)
        ended[[stop - 1 for stop in np.cumsum(lengths) if stop <= num_pairs]] = True
        yield complete_episodes(np.ones(num_pairs), ended)


@pytest.mark.parametrize("num_pairs", [60, 100, 400])
def test_one_stream_is_unbiased_however_few_its_episodes(num_pairs):
    rng = np.random.default_rng(num_pairs)
    means = np.array([estimate_return(episodes.ret).mean for episodes in _streams(2000, num_pairs, rng)])
    assert abs(means.mean() - 31) < 3 * means.std() / len(means) ** 0.5
    firsts = [estimate_return(episodes.ret[:3]).mean for episodes in _streams(2000, num_pairs, rng)]
    assert abs(np.mean(firsts) - 31) < 3 * np.std(firsts) / len(firsts) ** 0.5


def test_many_short_streams_thrown_together_are_biased_to_short_episodes():
    rng = np.random.default_rng(0)
    together = np.concatenate([episodes.ret for episodes in _streams(1000, 100, rng)])
    assert together.mean() < 0.75 * 31


def test_where_episodes_outlast_the_stream_only_short_ones_are_seen():
    """E[return | no longer than the stream], as the docstring says: here 2."""
    rng = np.random.default_rng(0)
    ours = [episodes.ret for episodes in _streams(200, 50, rng)]
    assert {*np.concatenate(ours)} == {2.0}


def test_the_standard_error_is_that_of_repeated_measurements():
    rng = np.random.default_rng(0)
    ours = [estimate_return(episodes.ret) for episodes in _streams(2000, 3000, rng)]
    spread = np.std([estimate.mean for estimate in ours])
    assert abs(np.sqrt(np.mean([estimate.se**2 for estimate in ours])) / spread - 1) < 0.07
