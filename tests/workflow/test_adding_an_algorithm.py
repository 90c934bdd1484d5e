"""The page on adding an algorithm, done to the letter in a copy of the project, at a tiny scale."""

import re
import shutil

import numpy as np
import pytest

from pgprim.store.datasets import load_dataset
from tests.checkouts import PROJECT, Checkout
from tests.workflow.projects import copy_of
from tests.workflow.test_adding_a_probe import page_blocks
from tests.workflow.test_your_task import do

PAGE = (PROJECT / "docs/adding_an_algorithm.md").read_text()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def followed(origin, tmp_path_factory) -> Checkout:
    """A copy of the computed project, whose default set is tiny, in which the page was followed."""
    checkout = copy_of(origin, tmp_path_factory.mktemp("algorithm"))
    shutil.copy(checkout.path / "params.yaml", checkout.path / "workflow/scales/default.yaml")
    for block in page_blocks(PAGE):
        do(checkout, *block)
    return checkout


def test_it_is_trained_probed_and_drawn_beside_the_others(followed):
    for figure in ("fig8", "steps", "mine/fig1"):
        assert (followed.path / f"figures/{figure}.pdf").read_bytes().startswith(b"%PDF")
        ds = load_dataset(followed.path / f"data/figures/{figure}.nc")
        assert sorted(ds.algo.values.tolist()) == ["a2c", "ppo"]
    gradient = load_dataset(followed.path / "data/estimates/gradient/hopper/a2c/0/1.nc")
    assert np.isfinite(gradient.cosine).all()


def test_its_code_is_an_input_of_its_own_agents_alone(followed):
    followed.edit("pgprim/rl/algorithms/a2c.py", "* (-1 / batch.num_pairs)", "* (-2 / batch.num_pairs)")
    planned = followed.run("snakemake -n figures/fig8.pdf").text
    assert re.search(r"same: 1 train, 1 figure", planned), planned
