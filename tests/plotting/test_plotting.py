import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle
from PIL import Image

from pgprim.plotting.choose import choose
from pgprim.plotting.combine import combine
from pgprim.plotting.labels import (
    algo_label,
    axis_label,
    count_label,
    figure_label,
    order_algos,
    order_tasks,
    task_label,
)
from pgprim.plotting.panels import budget_axis, panel_grid
from pgprim.plotting.save import about, first_page, save
from pgprim.plotting.style import STYLE, WIDTH, colour, marker, shades, style
from pgprim.probes.gradient.plot import plot, select
from pgprim.types.errors import UserError
from tests.plotting.synthetic import estimate, estimates

PLOTS = [
    f"pgprim.{place}.plot"
    for place in ("probes.gradient", "probes.steps", "report.training", "report.hyperparameters")
]


@pytest.mark.parametrize("module", [*PLOTS, "pgprim.commands.plot"])
def test_drawing_needs_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'gymnasium' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_known_algorithms_have_colours_that_differ_without_hue():
    algos = ("ppo", "ppo_m", "trpo", "sac", "vpg")
    hues = [colour(algo, algos) for algo in algos]
    assert len(set(hues)) == len({marker(algo, algos) for algo in algos}) == len(algos)
    assert colour("ppo") == colour("ppo", algos)


def test_colours_of_the_papers_algorithms_differ_for_the_colour_blind():
    # Simulated by Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
    deficiencies = {
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    }  # fmt: skip
    linear = np.array([matplotlib.colors.to_rgb(colour(algo)) for algo in ("ppo", "trpo", "ppo_m")]) ** 2.2
    for matrix in deficiencies.values():
        seen = np.clip(linear @ np.array(matrix).T, 0, 1) ** (1 / 2.2)
        distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[np.triu_indices(3, 1)]
        assert distances.min() > 0.15


def test_shades_go_from_light_to_dark():
    brightness = [sum(shade) for shade in shades("#0072B2", 4)]
    assert brightness == sorted(brightness, reverse=True)
    assert len(set(brightness)) == 4
    assert all(0 <= part <= 1 for shade in shades("#D55E00", 5) for part in shade)


def test_names():
    assert [task_label(t) for t in ("walker2d", "half_cheetah")] == ["Walker2d", "Half cheetah"]
    assert [algo_label(a) for a in ("ppo", "ppo_m")] == ["PPO", "PPO-M"]
    assert [figure_label(f) for f in ("fig2", "table1", "noise_scale")] == [
        "Figure 2",
        "Table 1",
        "Noise scale",
    ]
    assert order_tasks(["hopper", "ant", "walker2d", "humanoid"]) == ["humanoid", "walker2d", "hopper", "ant"]
    assert order_algos(["trpo", "vpg", "ppo", "ppo"]) == ["ppo", "trpo", "vpg"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (100, "100"),
        (2048, "2K"),
        (12500, "12.5K"),
        (500_000, "500K"),
        (1e7, "10M"),
        (1e6, "1M"),
        (1500, "1.5K"),
    ],
)
def test_counts_as_the_paper_writes_them(count, text):
    assert count_label(count) == text


def test_axis_labels_come_from_attributes():
    array = xr.DataArray(0, attrs={"long_name": "gradient noise scale", "units": "pairs"})
    assert axis_label(array) == "Gradient noise scale [pairs]"
    assert axis_label(array, width=10) == "Gradient\nnoise\nscale\n[pairs]"
    assert axis_label(array, width=26) == "Gradient noise\nscale [pairs]"
    assert axis_label(xr.DataArray(0, attrs={"long_name": "cosine", "units": "1"})) == "Cosine"


def test_choose_keeps_only_what_is_drawn_in_the_papers_order():
    parts = estimates(("hopper", "humanoid"), ("trpo", "ppo"), (0,), (0,))
    chosen = choose(combine(parts), ["cosine"])
    assert list(chosen) == ["cosine", "cosine_ci"]
    assert chosen.task.values.tolist() == ["humanoid", "hopper"]
    assert chosen.algo.values.tolist() == ["ppo", "trpo"]
    np.testing.assert_array_equal(
        chosen.cosine.sel(task="hopper", algo="trpo").squeeze(),
        estimate("hopper", "trpo", 0, 0).cosine.squeeze(),
    )


def test_choose_names_the_source_and_what_it_lacks():
    ds = estimate("hopper", "ppo", 0, 0)
    ds.encoding["source"] = "data/estimates/steps"
    with pytest.raises(UserError, match=r"^data/estimates/steps: has no variable 'sharpness'"):
        choose(ds, ["cosine", "sharpness"])
    with pytest.raises(UserError, match="nothing to draw"):
        choose(None, ["cosine"])


@pytest.mark.parametrize(
    ("budgets", "ticks"),
    [((100, 12500), [100, 1000, 10000]), ((300, 1000), [300, 1000, 2048]), ((200, 400, 600), [200, 2048])],
)
def test_budget_axis_spans_budgets_and_regime(budgets, ticks):
    panel = Figure().subplots()
    budget_axis(panel, np.array(budgets), 2048)
    low, high = panel.get_xlim()
    assert low < min(budgets) and high > max(*budgets, 2048)
    assert panel.get_xscale() == "log"
    assert [tick for tick in panel.get_xticks() if low <= tick <= high] == ticks
    (regime,) = panel.get_lines()
    assert set(regime.get_xdata()) == {2048}


def test_figures_have_column_width():
    assert panel_grid(2, 4, 1.5, 0.5)[0].get_size_inches().tolist() == [WIDTH, 3.5]


def test_no_text_is_smaller_than_seven_points():
    assert (
        min(STYLE[key] for key in STYLE if key.endswith("size") and "marker" not in key and "font" in key)
        >= 7
    )
    assert min(STYLE[f"{axis}tick.labelsize"] for axis in "xy") >= 7


def test_style_leaves_the_users_settings_alone():
    with matplotlib.rc_context({"lines.linewidth": 7.0, "axes.facecolor": "red"}):
        with style():
            assert matplotlib.rcParams["axes.facecolor"] == "white"
            assert matplotlib.rcParams["lines.linewidth"] == STYLE["lines.linewidth"]
        assert matplotlib.rcParams["axes.facecolor"] == "red"


def test_saving_replaces_whole_files_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "new" / "figure.png"
    save(Figure(), path)
    before = path.read_bytes()
    broken = Figure()
    broken.text(0.5, 0.5, r"$\no_such_symbol$")
    with pytest.raises(ValueError, match="no_such_symbol"):
        save(broken, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["figure.png"]


def _page(width, colour):
    page = Figure(figsize=(width, 1))
    page.add_artist(Rectangle((0, 0), 1, 1, color=colour))
    return page


def _shown(image):
    return np.asarray(image.convert("RGB"), np.float32) / np.float32(255)


def test_several_figures_are_pages_of_one_file(tmp_path):
    for run in ("once", "again"):
        save([_page(2, "red"), _page(1, "blue")], tmp_path / f"{run}.pdf", tmp_path / f"{run}.png")
    for suffix in ("pdf", "png"):
        assert (tmp_path / f"once.{suffix}").read_bytes() == (tmp_path / f"again.{suffix}").read_bytes()
    pdf = (tmp_path / "once.pdf").read_bytes()
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") == 2 and b"Date" not in pdf
    image = imread(tmp_path / "once.png")
    dpi = STYLE["savefig.dpi"]
    assert image.shape[:2] == (2 * dpi, 2 * dpi)
    assert image[0, 0, :3].tolist() == [1, 0, 0]
    assert image[-1, 0, :3].tolist() == [0, 0, 1] and image[-1, -1, :3].tolist() == [1, 1, 1]
    assert np.array_equal(_shown(first_page(tmp_path / "once.png")), image[:dpi, :, :3])
    with Image.open(tmp_path / "once.png") as stitched:
        assert stitched.info["dpi"] == pytest.approx((dpi, dpi), abs=0.1)


def test_a_figure_is_the_same_bytes_twice_and_its_pdf_has_a_title(tmp_path):
    ds = select("fig2", combine(estimates(seeds=(0,))), {"plot": {"budget": 2048}})
    paths = [[tmp_path / run / f"fig2.{suffix}" for suffix in ("pdf", "png")] for run in ("once", "again")]
    for files in paths:
        save(plot(ds), *files, said=about(ds))
    for one, other in zip(*paths, strict=True):
        assert one.read_bytes() == other.read_bytes()
    pdf = paths[0][0].read_bytes()
    assert b"/Title (Figure 2; task humanoid; algo ppo, trpo; seed 0; iteration 0, 150, 300, 450)" in pdf
    assert b"Date" not in pdf


def test_one_page_is_the_figure_itself(tmp_path):
    save([_page(1, "red")], tmp_path / "list.png")
    save(_page(1, "red"), tmp_path / "alone.png")
    assert (tmp_path / "list.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
    assert np.array_equal(_shown(first_page(tmp_path / "list.png")), imread(tmp_path / "list.png")[..., :3])


def test_a_png_with_a_palette_looks_like_the_figure(tmp_path):
    """A surface has the most colours: the pixels that matplotlib draws are the reference."""
    page = Figure(figsize=(3, 3))
    axes = page.subplots()
    axes.imshow(np.arange(400).reshape(20, 20), interpolation="bilinear")
    axes.plot([0, 19], [19, 0], "r--", linewidth=0.5)
    save(page, tmp_path / "palette.png", said={"Title": "a surface, \u03bb = .95"})
    with style():
        page.savefig(tmp_path / "drawn.png", pil_kwargs={"optimize": True})
    with Image.open(tmp_path / "palette.png") as palette, Image.open(tmp_path / "drawn.png") as drawn:
        assert palette.mode == "P" and palette.info["Title"] == "a surface, \u03bb = .95"
        differences = np.abs(_shown(palette) - _shown(drawn))
        paper = (_shown(drawn) == 1).all(axis=2)
    assert np.sqrt((differences**2).mean()) < 0.01  # the eye tells about 1 % apart
    assert paper.any() and (differences[paper] == 0).all()
    assert (tmp_path / "palette.png").stat().st_size < (tmp_path / "drawn.png").stat().st_size


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match="svg"):
        save(Figure(), tmp_path / "figure.svg")
