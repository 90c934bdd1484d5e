"""Every figure can be drawn of tasks that the paper does not have, in `figures/` or `figures/mine/` (docs/your_task.md)."""

import re
from collections.abc import Mapping

import pytest

from pgprim.commands.plot import plot_module
from pgprim.plotting.combine import combine
from pgprim.types.params import read
from tests.checkouts import PROJECT
from tests.plotting.drawn import texts
from tests.plotting.synthetic import estimates, records
from tests.probes import test_landscape_plot, test_value_plot

STAGES = read(PROJECT / "dvc.yaml")["stages"]
MINE = STAGES["mine"]["foreach"] | STAGES["my_comparison"]["foreach"]
OTHERS = STAGES["figure"]["foreach"] | STAGES["comparison"]["foreach"]
PARAMS = {"plot": {"budget": 2048, "level": 0.95, "seeds": 10, "published": {}}, "iterations": [0, 150]}

SAME = {
    "fig7": "fig6", "fig9": "fig1", "fig10": "fig2", "fig14": "fig13", "fig15": "fig13", "fig16": "fig13",
    "fig17": "fig13", "fig18": "fig13", "fig20": "fig19",
}  # fmt: skip
"""Figures of the paper that differ in their task or agent alone."""


def reads_all(figure: Mapping[str, str]) -> bool:
    """Whether a figure draws whatever tasks were computed."""
    return all(figure[key].count("/") <= 2 for key in ("reads", "and") if key in figure)


def test_every_figure_of_some_tasks_has_one_of_all():
    for name, figure in OTHERS.items():
        if not reads_all(figure):
            other = MINE[SAME.get(name, name)]
            assert reads_all(other) and other["by"] == figure["by"], name


def test_the_page_names_the_figures_and_whose_place_they_take():
    page = (PROJECT / "docs/your_task.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+) \| `figures/mine/(\w+)\.pdf` \|", page, re.MULTILINE))
    assert set(rows.values()) == set(MINE)
    named = {f"fig{number}" for row in rows for number in re.findall(r"\d+", row)}
    some = {name for name, figure in OTHERS.items() if not reads_all(figure)}
    assert some - {"trajectories"} <= named | {f"fig{number}" for number in range(13, 19)}


@pytest.fixture(scope="module")
def results():
    """Results of two tasks that no other text of pgprim names, by the folder of the module that draws them."""
    tasks = ("ant_maze", "point")
    return {
        "probes/gradient": combine(estimates(tasks=tasks)),
        "probes/landscape": combine(test_landscape_plot.landscapes(tasks=tasks, algos=("ppo", "trpo"))),
        "probes/value": test_value_plot.results(tasks=tasks),
        "report/training": combine(records(tasks=tasks)),
    }


@pytest.mark.parametrize(
    "figure", sorted({*MINE, "fig8", "fig11", "fig12", "noise_scale", "alignment", "promise", "slices"})
)
def test_a_figure_shows_all_tasks(results, figure):
    module = plot_module((MINE | OTHERS)[figure]["by"], figure)
    drawn = module.plot(module.select(figure, results[(MINE | OTHERS)[figure]["by"]], PARAMS))
    pages = drawn if isinstance(drawn, list) else [drawn]
    words = "\n".join(texts(page) for page in pages)
    assert {"Ant maze", "Point"} <= set(re.findall("Ant maze|Point", words))
