"""One colour, marker and dash per meaning, told apart by readers of any colour vision, and on paper without colour."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.markers import MarkerStyle

import pgprim
from pgprim.plotting.style import (
    ABOVE,
    ALGOS,
    BASELINES,
    BATCHES,
    DASHES,
    ERRORS,
    FLOOR,
    NOISE_FREE,
    OTHERS,
    PUBLISHED,
    SURFACES,
    colour,
    look,
    marker,
)  # fmt: skip

GROUPS = {"algorithms": ALGOS, "baselines": BASELINES, "surfaces": SURFACES, "batches": BATCHES}
"""What stands beside each other on one panel."""

LOOKS = {name: one for group in GROUPS.values() for name, one in group.items()} | {
    f"other {k}": one for k, one in enumerate(OTHERS)
}

VISIONS = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}  # fmt: skip
"""What is seen of linear RGB: Machado, Oliveira and Fernandes (2009), "A Physiologically-based Model for Simulation of Color
Vision Deficiency", severity 1."""


def linear(hue: str) -> np.ndarray:
    rgb = np.array(to_rgb(hue))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear sRGB under D65."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ np.clip(rgb, 0, 1) / matrix.sum(1)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def lightness(hue: str) -> float:
    """CIELAB's L*, which is what a grey print keeps: 0 for black, 100 for white."""
    return lab(linear(hue))[0]


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_differ_for_every_kind_of_colour_vision(vision):
    """A difference of 2.3 in CIELAB is just noticeable side by side; thin lines apart from each other take several times that."""
    seen = {name: lab(np.array(VISIONS[vision]) @ linear(one.colour)) for name, one in LOOKS.items()}
    for one, other in combinations(LOOKS, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 15, (one, other)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_in_grey_what_stands_beside_each_other_differs_by_lightness(group):
    for one, other in combinations(group.values(), 2):
        assert abs(lightness(one.colour) - lightness(other.colour)) > 14, (one, other)


def test_every_colour_stands_out_from_the_white_page():
    for name, one in LOOKS.items():
        assert lightness(one.colour) < 80, name


def test_no_marker_has_two_meanings():
    symbols = [one.marker for one in LOOKS.values()] + [*ERRORS.values(), FLOOR, NOISE_FREE, PUBLISHED, ABOVE]
    assert len(set(symbols)) == len(symbols)
    styles = [MarkerStyle(symbol) for symbol in symbols]
    outlines = [one.get_transform().transform_path(one.get_path()).vertices.round(6) for one in styles]
    assert len({outline.tobytes() for outline in outlines}) == len(symbols)


def test_no_dash_has_two_meanings_and_each_has_its_own_rhythm():
    patterns = [dashes for name, dashes in DASHES.items() if name != "measured"]
    assert DASHES["measured"] == "-" and len(set(patterns)) == len(patterns)
    for one, other in combinations([dashes for _, dashes in patterns], 2):
        alike = len(one) == len(other)
        assert not alike or max(np.divide(one, other).max(), np.divide(other, one).max()) > 1.4


def test_an_algorithm_that_the_paper_lacks_takes_a_free_look():
    algos = ("ppo", "ppo_m", "trpo", "sac", "vpg")
    assert [look(algo, algos) for algo in algos[3:]] == list(OTHERS[:2])
    assert (colour("ppo", algos), marker("ppo", algos)) == ALGOS["ppo"]


def test_colours_are_chosen_in_one_module():
    folder = Path(pgprim.__file__).parent
    named = {
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*.py")
        if re.search(r"#[0-9A-Fa-f]{6}\b", file.read_text())
    }
    assert named == {"plotting/style.py"}
