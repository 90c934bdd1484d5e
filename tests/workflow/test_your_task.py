"""The page on a task of one's own, done to the letter in a copy of the project, at a tiny scale."""

import re
import shutil

import pytest

from pgprim.store.datasets import load_dataset
from tests.checkouts import PROJECT, Checkout
from tests.workflow.projects import copy_project
from tests.workflow.test_adding_a_probe import page_blocks

PAGE = (PROJECT / "docs/your_task.md").read_text()

PAPERS = ("humanoid", "walker2d", "hopper")


def do(checkout: Checkout, said: str, language: str, code: str) -> str:
    """What the page says of one block; what was printed."""
    if language == "bash":
        return checkout.run(code.replace("snakemake", "snakemake -j2")).text
    (path,) = re.findall(r"Write `([^`]+)`:", said)
    file = checkout.path / path
    assert not file.exists()
    file.write_text(code)
    return ""


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> tuple[Checkout, list[str]]:
    """A copy of the project, whose default set is tiny, in which the page was followed; what its blocks printed."""
    checkout = copy_project(tmp_path_factory.mktemp("task"))
    shutil.copy(checkout.path / "params.yaml", checkout.path / "workflow/scales/default.yaml")
    return checkout, [do(checkout, *block) for block in page_blocks(PAGE)]


@pytest.mark.slow
def test_its_figures_are_drawn(followed):
    checkout, _ = followed
    for figure in ("mine/fig1", "fig8"):
        assert (checkout.path / f"figures/{figure}.pdf").read_bytes().startswith(b"%PDF")
        ds = load_dataset(checkout.path / f"data/figures/{figure}.nc")
        assert ds.task.values.tolist() == ["point"]
    estimates = load_dataset(checkout.path / "data/estimates/gradient/point/ppo/0/1.nc")
    assert '"drag": 0.1' in estimates.attrs["environment"] and "point:Noisy" in estimates.attrs["environment"]


@pytest.mark.slow
def test_prices_name_what_has_no_rate(followed):
    _, (*_, planned, _) = followed
    assert "train of ppo on point:Point-v0" in planned.split("no rate yet for")[1]
    assert "to be computed unless inputs turn out the same:" in planned
    assert re.search(r"core-minutes? without .*1 train.*, for which there is no rate yet", planned)


@pytest.mark.slow
def test_another_reward_is_another_task_and_a_comment_is_none(followed):
    checkout, _ = followed
    checkout.edit("point.py", '"""A mass on a line', '"""A mass on a straight line')
    assert "Nothing to be done" in checkout.run("snakemake -n figures/mine/fig1.pdf").text
    checkout.edit("point.py", "1.0 - 0.1 * position**2", "1.0 - 0.2 * position**2")
    assert re.search(r"same: .*1 train", checkout.run("snakemake -n figures/mine/fig1.pdf").text)


@pytest.mark.slow
def test_every_figure_that_names_no_paper_s_task_can_be_made(followed):
    """All that `snakemake` alone makes, and all of `figures/mine`, are planned for the task alone."""
    checkout, _ = followed
    table = re.findall(r"^\| [^|]+ \| `(figures/mine/\w+\.pdf)` \|", PAGE, re.MULTILINE)
    planned = checkout.run(f"snakemake -n {' '.join(table)}").text
    assert "for which there is no rate yet" in planned
    assert not any(f"/{task}/" in planned for task in PAPERS)
    assert "Missing input" not in checkout.run("snakemake -n").text
