"""Selection by time: worked numbers, and mean returns that are right where selection by outcome is not."""

import numpy as np
import pytest

from pgprim.core.returns import returns_to_go
from pgprim.core.time_in_episode import TAIL, elapsed_steps, has_room, tail_length
from pgprim.types.probe import SHARE_BEYOND


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99, 0.999])
def test_the_tail_is_the_least_that_leaves_one_percent(gamma):
    length = tail_length(gamma)
    assert gamma**length <= 0.01 and (length == 1 or gamma ** (length - 1) > 0.01)
    assert TAIL == SHARE_BEYOND == 0.01, "what selects pairs, and what the check of parameters asks for"


def test_worked_numbers():
    """A time limit of five pairs; the second episode ends early, and the stream within the third."""
    #                   0  1  2  3  4  5  6  7  8  9
    ended = np.array([[0, 0, 0, 0, 1, 0, 1, 0, 0, 0]], bool)
    elapsed = elapsed_steps(ended)
    np.testing.assert_array_equal(elapsed, [[0, 1, 2, 3, 4, 0, 1, 0, 1, 2]])
    np.testing.assert_array_equal(has_room(elapsed, 5, 3), np.array([[1, 1, 1, 0, 0, 1, 1, 1, 0, 0]], bool))
    np.testing.assert_array_equal(has_room(elapsed, None, 3), np.array([[1] * 8 + [0] * 2], bool))


def test_selection_by_outcome_favours_falls_and_selection_by_time_does_not():
    """Reward 1 until a fall, which comes with probability p at every pair: every state is worth 1/(1 − γ(1 − p))."""
    rng, gamma, fall, limit = np.random.default_rng(0), 0.95, 0.01, 100
    terminated = rng.random((400, 2000)) < fall
    truncated = np.zeros_like(terminated)
    age = np.zeros(400, int)
    for t in range(2000):
        truncated[:, t] = (age == limit - 1) & ~terminated[:, t]
        age = np.where(terminated[:, t] | truncated[:, t], 0, age + 1)
    rew = np.ones(terminated.shape)
    ret = returns_to_go(rew, np.zeros_like(rew), terminated, truncated, gamma)
    elapsed = elapsed_steps(terminated | truncated)
    right, length = 1 / (1 - gamma * (1 - fall)), tail_length(gamma)
    by_time = has_room(elapsed, limit, length)
    assert ret[by_time].mean() == pytest.approx(right, rel=0.01)
    to_end = np.rint(np.log(1 - (1 - gamma) * ret) / np.log(gamma)).astype(int)  # of a sum of ones
    ends = np.minimum(np.arange(2000) + to_end - 1, 1999)
    by_outcome = np.take_along_axis(terminated, ends, axis=1) | (to_end >= length)
    assert ret[by_outcome].mean() < 0.95 * right
