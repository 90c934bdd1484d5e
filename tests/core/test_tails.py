"""Which returns are settled: worked numbers, and a plain loop."""

import numpy as np

from pgprim.core.tails import is_settled, pairs_to_end


def test_worked_numbers():
    #                        0  1  2  3  4  5  6  7  8  9
    terminated = np.array([[0, 0, 1, 0, 0, 0, 0, 0, 0, 0]], bool)
    truncated = np.array([[0, 0, 0, 0, 0, 0, 1, 0, 0, 0]], bool)
    np.testing.assert_array_equal(pairs_to_end(terminated | truncated), [[3, 2, 1, 4, 3, 2, 1, 3, 2, 1]])
    np.testing.assert_array_equal(
        is_settled(terminated, truncated, 3), np.array([[1, 1, 1, 1, 1, 0, 0, 1, 0, 0]], bool)
    )


def test_a_pair_that_is_both_terminated_and_truncated_has_nothing_behind_it():
    flags = np.array([[False, True]])
    assert is_settled(flags, flags, 100).all()


def test_a_plain_loop_finds_the_same():
    rng = np.random.default_rng(0)
    terminated, truncated = rng.random((2, 5, 200)) < 0.02
    ours = is_settled(terminated, truncated, 30)
    for stream, t in np.ndindex(ours.shape):
        end = t
        while not terminated[stream, end] and not truncated[stream, end] and end < 199:
            end += 1
        assert ours[stream, t] == (terminated[stream, end] or end - t + 1 >= 30)
