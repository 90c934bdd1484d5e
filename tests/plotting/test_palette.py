"""One colour, marker and dash per meaning, told apart by readers of any colour vision, and on paper without colour."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import pgprim
from pgprim.plotting.style import BLACK, GREEN, ORANGE, PINK, colour, marker

ALGOS = ("ppo", "trpo", "ppo_m")
LOOKS = {algo: (colour(algo), marker(algo)) for algo in ALGOS} | {
    "pink": PINK, "green": GREEN, "orange": ORANGE, "black": BLACK,
}  # fmt: skip

VISIONS = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}  # fmt: skip
"""What is seen of linear RGB: Machado, Oliveira and Fernandes (2009), severity 1."""


def linear(hue: str) -> np.ndarray:
    rgb = np.array(to_rgb(hue))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear sRGB under D65."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ np.clip(rgb, 0, 1) / matrix.sum(1)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_differ_for_every_kind_of_colour_vision(vision):
    """A difference of 2.3 in CIELAB is just noticeable side by side; thin lines apart from each other take several times that."""
    seen = {name: lab(np.array(VISIONS[vision]) @ linear(hue)) for name, (hue, _) in LOOKS.items()}
    for one, other in combinations(LOOKS, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 15, (one, other)


def test_in_grey_algorithms_differ_by_lightness_and_everything_by_marker():
    lightness = {algo: lab(linear(LOOKS[algo][0]))[0] for algo in ALGOS}
    for one, other in combinations(ALGOS, 2):
        assert abs(lightness[one] - lightness[other]) > 7
    assert len({symbol for _, symbol in LOOKS.values()}) == len(LOOKS)


def test_colours_are_chosen_in_one_module():
    folder = Path(pgprim.__file__).parent
    named = {
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*.py")
        if re.search(r"#[0-9A-Fa-f]{6}\b", file.read_text())
    }
    assert named == {"plotting/style.py"}
