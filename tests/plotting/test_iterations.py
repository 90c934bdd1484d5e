"""Iterations along an axis: means of neighbours by hand, and the words, markers and gaps of an axis."""

import numpy as np
import pytest
import xarray as xr

from pgprim.plotting.iterations import average_iterations, iterations_label, smallest_gap, sparse_markers


def records(values: list[float]) -> xr.DataArray:
    return xr.DataArray(values, {"iteration": range(len(values))}, ("iteration",), attrs={"units": "reward"})


def test_neighbours_are_averaged_until_so_many_points_are_left():
    means, width = average_iterations(records([1.0, 2.0, 6.0, 4.0, np.nan]), points=2)
    assert width == 3
    np.testing.assert_array_equal(means, [3, 4])  # the last point is of what there is
    np.testing.assert_array_equal(means.iteration, [1, 3.5])
    assert means.attrs == {"units": "reward"}


def test_few_iterations_stay_as_they_are():
    array = records([1.0, 2.0, 6.0])
    means, width = average_iterations(array, points=3)
    assert width == 1
    xr.testing.assert_equal(means, array)


@pytest.mark.parametrize(
    ("width", "words"), [(1, "Training iteration"), (10, "Training iteration (means over 10 iterations)")]
)
def test_the_axis_says_how_many_iterations_a_point_is_of(width, words):
    assert iterations_label(xr.Dataset(attrs={"iterations_per_point": width})) == words


def test_long_lines_have_about_six_markers_at_places_of_their_own():
    marked = [np.arange(50)[start::apart] for start, apart in (sparse_markers(place, 50) for place in (0, 1))]
    assert all(5 <= places.size <= 7 for places in marked)
    assert not set(marked[0]) & set(marked[1])
    assert sparse_markers(0, 3) == sparse_markers(2, 3) == (0, 1)  # all points of a short line


def test_the_gap_is_the_smallest_distance_of_neighbours():
    assert smallest_gap(np.array([0.0, 150.0, 200.0])) == 50
    assert smallest_gap(np.array([450.0])) == 1
