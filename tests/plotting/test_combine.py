import numpy as np
import pytest
import xarray as xr

from pgprim.plotting.combine import combine
from pgprim.types.errors import UserError
from tests.plotting.synthetic import estimate, estimates


def test_combining_agrees_with_xarrays_own_merge():
    parts = estimates(tasks=("hopper", "ant"), seeds=(0, 7), iterations=(0, 2), trials=3)
    del parts["data/estimates/ant/ppo/7/2.nc"]
    expected = xr.merge(parts.values(), combine_attrs="drop_conflicts", join="outer", compat="no_conflicts")
    found = combine(parts)
    order = ["task", "bound"]
    xr.testing.assert_equal(found.sortby(order), expected.sortby(order))
    assert found.attrs == expected.attrs == {"level": 0.95, "conventions": "synthetic"}
    assert np.isnan(found.cosine.sel(task="ant", algo="ppo", seed=7, iteration=2)).all()
    assert found.cosine.attrs == parts["data/estimates/hopper/ppo/0/0.nc"].cosine.attrs
    assert found.budget.attrs["units"] == "pairs"


def test_order_of_the_files_does_not_matter():
    parts = estimates(seeds=(0, 1), iterations=(0, 2), trials=3)
    backwards = dict(reversed(parts.items()))
    xr.testing.assert_identical(combine(parts).drop_attrs(), combine(backwards).drop_attrs())


def test_whole_numbers_stay_whole_only_where_none_is_missing():
    parts = estimates(seeds=(0,), iterations=(0, 2), trials=3)
    assert combine(parts).truth_pairs.dtype == int
    parts.popitem()
    assert combine(parts).truth_pairs.dtype == float


def test_the_same_agent_twice_is_fine_if_it_says_the_same():
    one = estimate("hopper", "ppo", 0, 0)
    xr.testing.assert_equal(combine({"a": one, "b": one}), one)


def test_contradictions_are_refused():
    one = estimate("hopper", "ppo", 0, 0)
    other = one.copy(deep=True)
    other.cosine[..., 2] += 0.1
    with pytest.raises(
        UserError, match=r"^b\.nc: another file has other values of 'cosine' for task hopper, algo ppo"
    ):
        combine({"a.nc": one, "b.nc": other})


def test_other_datasets_are_refused():
    bare = xr.Dataset({"cosine": ("time", np.zeros(3))})
    with pytest.raises(UserError, match=r"^b\.nc: dimension 'time' has no coordinate"):
        combine({"a.nc": estimate("hopper", "ppo", 0, 0), "b.nc": bare})
    scalar = xr.Dataset({"cosine": 1.0})
    with pytest.raises(UserError, match=r"^b\.nc: 'cosine' is over \(\), elsewhere over"):
        combine({"a.nc": estimate("hopper", "ppo", 0, 0), "b.nc": scalar})
