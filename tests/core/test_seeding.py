"""Random numbers by purpose: the same everywhere, and independent where purposes differ."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pgprim.core.seeding import derive_seed, generator

PARTS = st.lists(st.integers() | st.text(st.characters(codec="utf-8", exclude_characters="\x1f")), max_size=4)


def test_a_seed_is_the_head_of_the_purposes_sha256():
    r"""By `printf 'str:train\x1fstr:hopper\x1fint:0\x1fstr:init' | sha256sum`, which begins e310097215c6c3b3."""
    assert derive_seed("train", "hopper", 0, "init", bits=64) == 0xE310097215C6C3B3
    assert derive_seed("train", "hopper", 0, "init") == 0xE3100972 >> 1
    key = generator("train", "hopper", 0, "init").bit_generator.state["state"]["key"]
    assert [int(word) for word in key] == [0x0D264248229EA35D, 0xE310097215C6C3B3]


@given(PARTS, PARTS)
def test_only_the_same_purpose_gives_the_same_seed(one, two):
    assert (derive_seed(*one, bits=128) == derive_seed(*two, bits=128)) == (one == two)


@pytest.mark.parametrize(
    ("one", "two"),
    [((1,), ("1",)), (("ab", "c"), ("a", "bc")), (("a", 1), ("a", 1, 0)), ((1, 2), (2, 1)), ((12,), (1, 2))],
)
def test_type_order_and_boundaries_are_part_of_the_purpose(one, two):
    assert derive_seed(*one) != derive_seed(*two)


@given(PARTS, st.integers(1, 256))
def test_bits_bound_the_seed_and_only_cut_it(purpose, bits):
    assert derive_seed(*purpose, bits=bits) == derive_seed(*purpose, bits=256) >> (256 - bits)


def test_seeds_of_neighbouring_purposes_are_uniform_and_uncorrelated():
    seeds = np.array([derive_seed("env", k) for k in range(10_000)]) / 2**31
    assert stats.kstest(seeds, "uniform").pvalue > 1e-3
    for lag in (1, 2, 10):
        assert abs(np.corrcoef(seeds[:-lag], seeds[lag:])[0, 1]) < 4 / len(seeds) ** 0.5


def test_streams_repeat_and_are_independent():
    draw = lambda k: generator("noise", k).standard_normal(20_000)  # noqa: E731
    np.testing.assert_array_equal(draw(0), draw(0))
    streams = np.stack([draw(k) for k in range(10)])
    upper = np.corrcoef(streams)[np.triu_indices(10, 1)]
    assert np.abs(upper).max() < 4 / streams.shape[1] ** 0.5


def test_using_one_stream_moves_no_other():
    one, other = generator("a"), generator("b")
    one.standard_normal(7)
    np.testing.assert_array_equal(other.standard_normal(5), generator("b").standard_normal(5))
