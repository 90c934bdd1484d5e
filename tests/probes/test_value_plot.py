"""Figs. 3, 11 and 12: what is on each panel is what the dataset says."""

import numpy as np
import pytest
import xarray as xr

from pgprim.plotting.style import FLOOR
from pgprim.probes.value.plot import FIGURES, PAGES, ROBUST, TARGETS, plot, select
from pgprim.types.errors import UserError
from tests.plotting import drawn

ITERATIONS, CHECKPOINTS = list(range(0, 50, 10)), [0, 20]


def results(tasks=("hopper", "humanoid", "walker2d"), algos=("ppo", "trpo"), seeds=(0, 1)):
    """Errors every ten iterations, floors at two checkpoints, as `commands.plot` combines them."""
    rng = np.random.default_rng(0)
    labels = ("task", "algo", "seed", "iteration")
    sizes = (len(tasks), len(algos), len(seeds), len(ITERATIONS))
    known = np.isin(ITERATIONS, CHECKPOINTS)
    floor = np.where(known[:, None, None], np.exp2(rng.uniform(-5, -2, (*sizes, 2, 3))), np.nan)
    squares = np.where(known, rng.uniform(0.01, 0.2, sizes), np.nan)
    describe = {"long_name": "mean relative error", "units": "1"}
    return xr.Dataset(
        {
            "mre": ((*labels, "part", "target", "definition"), np.exp2(rng.uniform(-4, 1, (*sizes, 2, 2, 3))), describe),
            "median_re": ((*labels, "part", "target", "definition"), np.exp2(rng.uniform(-5, 0, (*sizes, 2, 2, 3))), describe),
            "total_re": ((*labels, "part", "target", "definition"), np.exp2(rng.uniform(-5, 0, (*sizes, 2, 2, 3))), describe),
            "floor": ((*labels, "target", "definition"), floor, describe),
            "error": ((*labels, "target", "definition"), 2 * floor, describe),
            "floor_total": ((*labels, "target", "definition"), floor / 2, describe),
            "error_total": ((*labels, "target", "definition"), 3 * floor, describe),
            "squared_error": (labels, squares, describe),
            "squared_value": (labels, np.where(known, 4.0, np.nan) * np.ones(sizes), describe),
        },
        {
            "task": list(tasks), "algo": list(algos), "seed": list(seeds), "iteration": ITERATIONS,
            "part": ["held_out", "train"], "target": ["gae", "returns"], "definition": ["as_text", "as_code", "exact"],
        },
    )  # fmt: skip


TASKS = {
    "fig3": ["walker2d"],
    "fig11": ["humanoid", "walker2d", "hopper"],
    "fig12": ["humanoid", "hopper"],
}
PARTS = {"fig3": "held_out", "fig11": "train", "fig12": "held_out"}


@pytest.mark.parametrize("figure", FIGURES)
def test_panels_show_what_the_dataset_says(figure):
    given = results(tasks=TASKS[figure] if figure == "fig3" else ("hopper", "humanoid", "walker2d"))
    ds = select(figure, given, {})
    assert ds.task.values.tolist() == TASKS[figure]
    pages = plot(ds)
    assert len(pages) == len(PAGES) + len(ROBUST)
    for page, definition in zip(pages[:3], ("as_text", "as_code", "exact"), strict=True):
        panels = iter(page.axes)
        for task in TASKS[figure]:
            for target in TARGETS:
                panel, here = next(panels), {"task": task, "target": target, "definition": definition}
                for algo in ("ppo", "trpo"):
                    for seed in (0, 1):
                        (line,) = drawn.lines(panel, f"{algo} {seed}")
                        right = given.mre.sel(here | {"algo": algo, "seed": seed, "part": PARTS[figure]})
                        np.testing.assert_array_equal(line, np.stack([ITERATIONS, right], 1))
                    (median,) = drawn.lines(panel, f"{algo} median")
                    right = given.mre.sel(here | {"algo": algo, "part": PARTS[figure]}).median("seed")
                    np.testing.assert_allclose(median, np.stack([ITERATIONS, right], 1))
                    for name, label in (("floor", "floor"), ("error", "at floor")):
                        (points,) = drawn.lines(panel, f"{algo} {label}")
                        right = (
                            given[name].sel(here | {"algo": algo}).sel(iteration=CHECKPOINTS).median("seed")
                        )
                        np.testing.assert_allclose(points, np.stack([CHECKPOINTS, right], 1))
                crosses = drawn.lines(panel, "ppo V")
                assert bool(crosses) == ((target, definition) == ("returns", "exact"))
                for points in crosses:
                    of = given.sel(task=task, algo="ppo")
                    right = np.sqrt(of.squared_error / of.squared_value).median("seed")
                    np.testing.assert_allclose(
                        points, np.stack([CHECKPOINTS, right.sel(iteration=CHECKPOINTS)], 1)
                    )
                assert panel.get_yscale() == "log" and panel.yaxis.get_transform().base == 2
        assert drawn.overlaps(page) == drawn.small_texts(page) == []


def test_a_page_says_what_it_shows():
    pages = plot(select("fig11", results(), {}))
    for page, words in zip(pages, [*PAGES.values(), *(PAGES[one] for one in ROBUST)], strict=True):
        assert f"{words}\n(on the update's own pairs)" in drawn.texts(page)


def test_the_squared_error_of_the_released_code_is_not_called_relative():
    pages = plot(select("fig11", results(), {}))
    as_code = pages[1].axes[0]
    assert "error² / |target|" in as_code.get_title() and as_code.get_ylabel().startswith("Error²")
    for page in (pages[0], pages[2], *pages[3:]):
        assert "²" not in drawn.texts(page)
    assert all("V at the bar's held-out pairs" in drawn.texts(page) for page in pages)


def test_many_agents_are_a_band_of_their_middle_half():
    given = results(tasks=("walker2d",), seeds=range(8))
    panel = plot(select("fig3", given, {}))[0].axes[1]
    here = {
        "task": "walker2d",
        "algo": "trpo",
        "target": "returns",
        "definition": "as_text",
        "part": "held_out",
    }
    expected = np.quantile(given.mre.sel(here).transpose("seed", "iteration"), [0.25, 0.75], axis=0)
    np.testing.assert_allclose(drawn.band(panel, "trpo middle half"), expected)
    assert not drawn.lines(panel, "trpo 0") and drawn.lines(panel, "trpo median")


def test_a_floor_that_came_out_negative_is_not_drawn():
    given = results(seeds=(0,))
    given["floor"], given["floor_total"] = given.floor * -1, given.floor_total * -1
    for page in plot(select("fig11", given, {})):
        assert all(points.size == 0 for panel in page.axes for points in drawn.lines(panel, "ppo floor"))


def test_wrong_input_is_one_sentence():
    with pytest.raises(UserError, match="has no variable 'floor'"):
        select("fig3", results().drop_vars("floor"), {})


def test_a_task_that_stands_elsewhere_is_drawn_if_there_is_no_other():
    assert select("fig12", results(tasks=("walker2d",)), {}).task.values.tolist() == ["walker2d"]


def test_floors_are_points_that_no_line_joins():
    for page in plot(select("fig11", results(), {})):
        for panel in page.axes:
            for line in panel.get_lines():
                if line.get_label().endswith(("floor", "V")):
                    assert line.get_linestyle() == "None"
                if line.get_label() in ("ppo floor", "trpo floor"):
                    assert line.get_marker() == FLOOR


def test_outliers_do_not_rule_two_pages():
    given = results(tasks=("walker2d",))
    pages = plot(select("fig3", given, {}))[len(PAGES) :]
    columns = [(target, name) for target in TARGETS for name in ("median_re", "total_re")]
    for page, definition in zip(pages, ROBUST, strict=True):
        for panel, (target, name) in zip(page.axes, columns, strict=True):
            here = {"task": "walker2d", "algo": "trpo", "target": target, "definition": definition}
            (line,) = drawn.lines(panel, "trpo median")
            expected = given[name].sel(here | {"part": "held_out"}).median("seed")
            np.testing.assert_allclose(line[:, 1], expected)
            floors = drawn.lines(panel, "trpo floor")
            assert len(floors) == (name == "total_re")
            for points in floors:
                right = given.floor_total.sel(here).sel(iteration=CHECKPOINTS).median("seed")
                np.testing.assert_allclose(points, np.stack([CHECKPOINTS, right], 1))


def test_every_median_and_floor_is_inside_the_frame_and_one_wild_iteration_does_not_stretch_it():
    given = results(seeds=(0, 1, 2))
    given["mre"] = given.mre.where((given.seed != 2) | (given.iteration != 30), 1e6)
    for page in plot(select("fig11", given, {})):
        for panel in page.axes:
            low, high = panel.get_ylim()
            assert high < 100
            for label in ("median", "floor", "at floor"):
                for points in drawn.lines(panel, f"ppo {label}"):
                    assert np.all((low < points[:, 1]) & (points[:, 1] < high))
