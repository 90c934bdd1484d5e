"""Returns and advantages: worked numbers, the definition as a double loop, and identities between functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgprim.core.returns import gae, returns_to_go, td_errors

GAMMA, LAM = 0.99, 0.95


def draw(seed: int, num_streams: int = 3, num_steps: int = 40) -> dict[str, np.ndarray]:
    """Streams of several episodes each; some end both ways at once, as an environment may say."""
    rng = np.random.default_rng(seed)
    shape = (num_streams, num_steps)
    rew, val, next_val = rng.standard_normal((3, *shape))
    terminated, truncated = rng.random((2, *shape)) < 0.1
    inner = ~(terminated | truncated)[:, :-1]
    next_val[:, :-1][inner] = val[:, 1:][inner]  # V of the next observation, except where an episode ends
    return {"rew": rew, "val": val, "next_val": next_val, "terminated": terminated, "truncated": truncated}


def advantages(streams: dict[str, np.ndarray], lam: float) -> np.ndarray:
    return gae(**streams, gamma=GAMMA, lam=lam)


def returns(streams: dict[str, np.ndarray]) -> np.ndarray:
    return returns_to_go(**{name: streams[name] for name in streams if name != "val"}, gamma=GAMMA)


def errors(streams: dict[str, np.ndarray]) -> np.ndarray:
    return td_errors(**{name: streams[name] for name in streams if name != "truncated"}, gamma=GAMMA)


def row(*numbers: float) -> np.ndarray:
    return np.array([numbers], float)


def flags(*numbers: int) -> np.ndarray:
    return np.array([numbers], bool)


def test_worked_numbers():
    """γ = λ = ½; t = 1 terminates, t = 3 is a time limit whose final observation is worth 8, t = 4 is the cut, worth 16."""
    streams = {
        "rew": row(1, 2, 3, 4, 5),
        "val": row(2, 4, 6, 2, 4),
        "next_val": row(4, 100, 2, 8, 16),
        "terminated": flags(0, 1, 0, 0, 0),
        "truncated": flags(0, 0, 0, 1, 0),
    }
    delta = row(1, -2, -2, 6, 9)
    np.testing.assert_array_equal(
        td_errors(*(streams[name] for name in ("rew", "val", "next_val", "terminated")), 0.5), delta
    )
    np.testing.assert_array_equal(gae(**streams, gamma=0.5, lam=0.5), row(1 - 2 / 4, -2, -2 + 6 / 4, 6, 9))
    del streams["val"]
    np.testing.assert_array_equal(
        returns_to_go(**streams, gamma=0.5), row(1 + 2 / 2, 2, 3 + (4 + 8 / 2) / 2, 4 + 8 / 2, 5 + 16 / 2)
    )


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.95, 1.0])
def test_gae_is_its_definition(lam):
    """A_t = Σ_k (γλ)^k δ_{t+k}, summed up to the first end."""
    streams = draw(0)
    delta, ended = errors(streams), streams["terminated"] | streams["truncated"]
    right = np.zeros_like(delta)
    for stream, t in np.ndindex(*delta.shape):
        for k in range(t, delta.shape[1]):
            right[stream, t] += (GAMMA * lam) ** (k - t) * delta[stream, k]
            if ended[stream, k]:
                break
    np.testing.assert_allclose(advantages(streams, lam), right, rtol=1e-12, atol=1e-12)


@given(st.integers(0, 2**31))
def test_lambda_0_is_the_td_error_and_lambda_1_the_return_less_the_value(seed):
    streams = draw(seed, num_streams=2, num_steps=20)
    np.testing.assert_array_equal(advantages(streams, 0.0), errors(streams))
    np.testing.assert_allclose(
        advantages(streams, 1.0), returns(streams) - streams["val"], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("end", [25, 39])
def test_truncation_and_termination_differ_by_gamma_v(end):
    """At the end itself; before it by that discounted, and in earlier or later episodes not at all."""
    streams = draw(1)
    streams["terminated"][:], streams["truncated"][:] = False, False
    streams["truncated"][:, 10] = True
    limit = {name: array.copy() for name, array in streams.items()}
    limit["truncated"][:, end] = True
    death = {name: array.copy() for name, array in streams.items()}
    death["terminated"][:, end] = True
    lead = np.arange(end - 10)[::-1]  # of t = 11 … end, on the end
    value = GAMMA * streams["next_val"][:, end, None]
    for ours, factor in (
        (advantages(limit, LAM) - advantages(death, LAM), GAMMA * LAM),
        (returns(limit) - returns(death), GAMMA),
    ):
        np.testing.assert_allclose(ours[:, 11 : end + 1], value * factor**lead, rtol=1e-9, atol=1e-12)
        assert not ours[:, :11].any() and not ours[:, end + 1 :].any()


def test_the_last_column_is_a_cut_whether_a_time_limit_falls_there_or_not():
    streams = draw(2)
    streams["terminated"][:, -1], streams["truncated"][:, -1] = False, False
    limit = streams | {"truncated": streams["truncated"].copy()}
    limit["truncated"][:, -1] = True
    np.testing.assert_array_equal(advantages(streams, LAM), advantages(limit, LAM))
    np.testing.assert_array_equal(returns(streams), returns(limit))


def test_nothing_is_asked_of_the_value_behind_a_termination():
    """Also where the time limit falls on the same step: the task has ended, so nothing is to come."""
    streams = draw(3)
    assert (streams["terminated"] & streams["truncated"]).any()
    unknown = streams | {"next_val": np.where(streams["terminated"], np.nan, streams["next_val"])}
    for of in (lambda s: advantages(s, LAM), returns, errors):
        np.testing.assert_array_equal(of(unknown), of(streams))


def test_a_perfect_value_function_leaves_no_advantage():
    """A task without chance and V its return: all TD errors vanish, so every λ gives zero."""
    streams = draw(4)
    streams["val"] = returns(streams)
    ended = streams["terminated"] | streams["truncated"]
    streams["next_val"][:, :-1] = np.where(ended[:, :-1], streams["next_val"][:, :-1], streams["val"][:, 1:])
    streams["val"] = returns(streams)
    for lam in (0.0, LAM, 1.0):
        np.testing.assert_allclose(advantages(streams, lam), 0, atol=1e-12)


def test_streams_are_apart_and_inputs_stay_as_they_are():
    streams = draw(5)
    before = {name: array.copy() for name, array in streams.items()}
    whole = advantages(streams, LAM), returns(streams)
    for stream in range(3):
        alone = {name: array[stream : stream + 1] for name, array in streams.items()}
        np.testing.assert_array_equal(advantages(alone, LAM), whole[0][stream : stream + 1])
        np.testing.assert_array_equal(returns(alone), whole[1][stream : stream + 1])
    for name, array in streams.items():
        np.testing.assert_array_equal(array, before[name])


def test_zeros_behind_the_cut_give_the_cut_sum_itself():
    rew = np.random.default_rng(6).standard_normal((2, 30))
    none = np.zeros((2, 30), bool)
    right = [[sum(GAMMA**k * x for k, x in enumerate(stream[t:])) for t in range(30)] for stream in rew]
    np.testing.assert_allclose(returns_to_go(rew, np.zeros((2, 30)), none, none, GAMMA), right)
