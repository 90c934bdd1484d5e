"""The page on adding a probe, done to the letter in a copy of the project, at a tiny scale."""

import re

import numpy as np
import pytest

from pgprim.store.datasets import load_dataset
from pgprim.store.rollouts import open_rollouts
from tests.dag.checkouts import PROJECT, Checkout
from tests.workflow.projects import copy_project

PAGE = (PROJECT / "docs/adding_a_probe.md").read_text()
ESTIMATE = "data/estimates/returns/hopper/ppo/0/0.nc"


def blocks() -> list[tuple[str, str, str]]:
    """The page's code blocks: what the line before says, the language, the code."""
    return re.findall(r"([^\n]*)\n\n```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def do(checkout: Checkout, said: str, language: str, code: str) -> None:
    """What the page says of one block."""
    if language == "bash":
        checkout.run(code.replace("snakemake", "snakemake -j2"))
        return
    path, *anchors = re.findall(r"`([^`]+)`", said)
    file = checkout.path / path
    if language == "python":
        assert said == f"Write `{path}`:" and not file.exists()
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)
        return
    text, place = file.read_text(), 0
    assert said.startswith("Add to ") and anchors
    for anchor in anchors:
        place = text.index("\n", re.search(rf"^ *{anchor}", text[place:], re.MULTILINE).end() + place) + 1
    file.write_text(text[:place] + code + text[place:])


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Checkout:
    """A copy of the project in which the page was followed from top to bottom."""
    checkout = copy_project(tmp_path_factory.mktemp("probe"))
    for block in blocks():
        do(checkout, *block)
    return checkout


pytestmark = pytest.mark.slow


def test_the_estimate_is_what_a_plain_loop_finds(extended):
    ds = load_dataset(extended.path / ESTIMATE).squeeze()
    returns, current = [], np.zeros(3)
    for block in open_rollouts(extended.path / "data/rollouts/hopper/ppo/0/0.zarr").blocks(
        slice(0, 3), size=7
    ):
        for k, t in np.ndindex(block.rew.shape):
            current[k] += block.rew[k, t]
            if block.terminated[k, t] or block.truncated[k, t]:
                returns.append(current[k])
                current[k] = 0
    assert len(returns) > 20
    assert ds.num_episodes.sum() == len(returns)
    np.testing.assert_allclose(ds.return_mean, np.mean(returns), rtol=1e-12)
    assert ds.return_mean_ci.sel(bound="low") < ds.return_mean < ds.return_mean_ci.sel(bound="high")
    assert ds.num_episodes.attrs["units"] == "episodes"


def test_the_figure_is_drawn_and_its_data_kept(extended):
    assert (extended.path / "figures/returns.pdf").read_bytes().startswith(b"%PDF")
    assert (extended.path / "figures/returns.png").stat().st_size > 5000
    ds = load_dataset(extended.path / "data/figures/returns.nc")
    assert ds.iteration.values.tolist() == [0, 1]
    assert np.isfinite(ds.return_mean).all()
    assert "Nothing to be done" in extended.run("snakemake -j1 figures/returns.pdf").text


def test_another_level_redoes_this_probe_alone(extended):
    extended.edit("params.yaml", "level: 0.95        # ours", "level: 0.9")
    planned = extended.run("snakemake -n figures/returns.pdf").text
    assert "unless inputs turn out the same: 2 estimate, 1 figure" in planned


def test_the_template_keeps_the_house_rules(extended):
    extended.run(
        "ruff check pgprim/probes/returns && ruff format --check pgprim/probes/returns && lint-imports"
    )
