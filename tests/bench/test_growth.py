import numpy as np
import pytest

from bench.growth import LENGTH, PANELS, STREAMS, draw, page, resized, slopes
from bench.projects import default_params
from pgprim.commands.params import check
from tests.bench.examples import RECORDS


def test_slopes_are_exponents():
    sizes = np.array([10, 20, 80])
    assert slopes(sizes, 3 * sizes**1.5) == pytest.approx([1.5, 1.5])
    assert slopes(sizes, [5, 5, 10]) == pytest.approx([0, 0.5])


def test_the_page_has_the_slopes_from_the_size_before():
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in page(RECORDS["growth"]).splitlines()[2:]
    ]
    assert rows[-1][2:] == ["1,000", "10.00", "1.00", "300", "0.00"]
    assert rows[-2][2:] == ["100", "1.00", "", "300", ""]


@pytest.mark.parametrize(
    ("num_streams", "length", "points"),
    [(STREAMS, size // STREAMS, 9) for size in PANELS["pairs"].sizes]
    + [(size, LENGTH, 9) for size in PANELS["streams"].sizes]
    + [(STREAMS, LENGTH, size) for size in PANELS["grid points"].sizes],
)
def test_parameters_are_valid_and_of_the_size_asked(num_streams, length, points):
    found = resized(default_params(), num_streams, length, points)
    check(found)
    assert found["sample"]["streams"] == found["sample"]["kept"] == num_streams
    assert found["sample"]["pairs"] == length
    assert found["landscape"]["plane"]["points"] ** 2 == points


def test_the_figure_draws_every_size_and_the_linear_guide():
    time, memory = draw(RECORDS["growth"]).axes
    line, guide = (one.get_xydata() for one in time.lines)
    assert line.tolist() == [[100, 1], [1000, 10]]
    assert guide.tolist() == line.tolist()  # what is linear lies on it
    line, guide = (one.get_ydata() for one in memory.lines)
    assert line.tolist() == [300, 300]
    assert guide.tolist() == [30, 300]
    assert memory.get_ylim()[0] > 30
