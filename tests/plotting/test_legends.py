"""Entries of legends: words, colours and markers of what they stand for."""

import numpy as np
import xarray as xr

from pgprim.plotting.legends import algo_handles, checkpoint_handles, grey_handle
from pgprim.plotting.published import published_handles, published_returns
from pgprim.plotting.style import GREY, colour, marker


def test_algorithms_have_their_colour_and_marker_unless_said_otherwise():
    algos = ("ppo", "sac", "vpg")
    for algo, name, handle in zip(algos, ("PPO", "SAC", "VPG"), algo_handles(algos, ", mean"), strict=True):
        assert (handle.get_color(), handle.get_marker()) == (colour(algo, algos), marker(algo, algos))
        assert handle.get_label() == f"{name}, mean"
    assert {handle.get_color() for handle in algo_handles(algos, color=GREY)} == {GREY}


def test_later_checkpoints_are_darker():
    handles = checkpoint_handles(np.array([0, 150, 300]))
    assert [handle.get_label() for handle in handles] == ["iteration 0", "iteration 150", "iteration 300"]
    brightness = [sum(handle.get_color()) for handle in handles]
    assert brightness == sorted(brightness, reverse=True)
    assert len(set(brightness)) == 3


def test_a_line_of_any_colour_is_grey_in_the_legend():
    handle = grey_handle("one seed", linewidth=0.4)
    assert (handle.get_color(), handle.get_label(), handle.get_linewidth()) == (GREY, "one seed", 0.4)


def test_published_returns_are_in_the_legend_only_if_there_are_any():
    returns = published_returns({"hopper": {"ppo": 2513}}, ["hopper", "walker2d"], ["trpo", "ppo"])
    np.testing.assert_array_equal(returns, [[np.nan, 2513], [np.nan, np.nan]])
    ds = xr.Dataset({"published": (("task", "algo"), returns)})
    assert [handle.get_label() for handle in published_handles(ds)] == ["published for the -v2 task"]
    assert published_handles(ds.isel(task=[1])) == []
