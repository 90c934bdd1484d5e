"""Figs. 3, 11 and 12: what is on each panel is what the dataset says."""

import numpy as np
import pytest
import xarray as xr

from pgprim.probes.value.plot import COLUMNS, FIGURES, PAGES, plot, select
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
            "floor": ((*labels, "target", "definition"), floor, describe),
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
    assert len(pages) == len(PAGES)
    for page, definition in zip(pages, PAGES, strict=True):
        panels = iter(page.axes)
        for task in TASKS[figure]:
            for target in COLUMNS:
                panel, here = next(panels), {"task": task, "target": target, "definition": definition}
                for algo in ("ppo", "trpo"):
                    for seed in (0, 1):
                        (line,) = drawn.lines(panel, f"{algo} {seed}")
                        right = given.mre.sel(here | {"algo": algo, "seed": seed, "part": PARTS[figure]})
                        np.testing.assert_array_equal(line, np.stack([ITERATIONS, right], 1))
                    (floor,) = drawn.lines(panel, f"{algo} floor")
                    right = given.floor.sel(here | {"algo": algo}).sel(iteration=CHECKPOINTS).mean("seed")
                    np.testing.assert_allclose(floor, np.stack([CHECKPOINTS, right], 1))
                crosses = drawn.lines(panel, "ppo V")
                assert bool(crosses) == ((target, definition) == ("returns", "exact"))
                for points in crosses:
                    of = given.sel(task=task, algo="ppo")
                    right = np.sqrt(of.squared_error / of.squared_value).mean("seed")
                    np.testing.assert_allclose(points[:, 1], right)
                assert panel.get_yscale() == "log" and panel.yaxis.get_transform().base == 2
        assert drawn.overlaps(page) == []


def test_a_page_says_what_it_shows():
    pages = plot(select("fig11", results(), {}))
    for page, words in zip(pages, PAGES.values(), strict=True):
        assert f"{words}\n(on the update's own pairs)" in drawn.texts(page)


def test_a_floor_that_came_out_negative_is_not_drawn():
    given = results(seeds=(0,))
    given["floor"] = given.floor * -1
    for page in plot(select("fig11", given, {})):
        assert all(len(drawn.lines(panel, "ppo floor")[0]) == 0 for panel in page.axes)


def test_wrong_input_is_one_sentence():
    with pytest.raises(UserError, match="has no variable 'floor'"):
        select("fig3", results().drop_vars("floor"), {})


def test_a_task_that_stands_elsewhere_is_drawn_if_there_is_no_other():
    assert select("fig12", results(tasks=("walker2d",)), {}).task.values.tolist() == ["walker2d"]
