"""What is kept of a union of results: coordinates with values, budgets with values, checkpoints of trained agents."""

import numpy as np
import xarray as xr

from pgprim.plotting.choose import budgets_of, trained, with_values


def union() -> xr.Dataset:
    """Cosines of two budgets and two checkpoints, in a union with results of other budgets and checkpoints."""
    coords = {"iteration": [0, 150, 300], "budget": [512, 2048, 8192]}
    cosine = [[np.nan, 0.5, 0.6], [np.nan, np.nan, np.nan], [np.nan, np.nan, 0.4]]
    dims = tuple(coords)
    return xr.Dataset({"cosine": (dims, cosine), "other": (dims, np.ones((3, 3)))}, coords)


def test_coordinates_without_a_value_of_the_wanted_variable_go():
    ds = with_values(union(), ["cosine"], ("iteration", "budget"))
    assert ds.iteration.values.tolist() == [0, 300]
    assert ds.budget.values.tolist() == [2048, 8192]
    assert with_values(union(), ["cosine", "other"], ("iteration", "budget")).sizes == union().sizes


def test_budgets_are_those_with_a_value_anywhere():
    assert budgets_of(union().cosine) == [2048, 8192]
    assert budgets_of(union().cosine.sel(iteration=300)) == [8192]
    assert budgets_of(union().cosine.sel(iteration=150)) == []


def test_trained_agents_are_those_of_checkpoints_after_the_first():
    assert trained(union()).iteration.values.tolist() == [150, 300]
    assert trained(union().cosine).iteration.values.tolist() == [150, 300]
