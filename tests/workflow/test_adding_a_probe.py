"""The page on adding a probe, done to the letter in a copy of the project, at a tiny scale."""

import re

import numpy as np
import pytest

from pgprim.rl.algorithms import make_settings
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import load_dataset
from pgprim.store.reruns import open_reruns
from pgprim.store.rollouts import open_rollouts
from tests.checkouts import PROJECT, Checkout
from tests.workflow.projects import copy_of

PAGE = (PROJECT / "docs/adding_a_probe.md").read_text()


def page_blocks(page: str) -> list[tuple[str, str, str]]:
    """A page's code blocks: what the line before says, the language, the code."""
    return re.findall(r"([^\n]*)\n\n```(\w+)\n(.*?)```", page, re.DOTALL)


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
def extended(origin, tmp_path_factory) -> Checkout:
    """A copy of the computed project in which the page was followed from top to bottom."""
    checkout = copy_of(origin, tmp_path_factory.mktemp("probe"))
    for block in page_blocks(PAGE):
        do(checkout, *block)
    return checkout


pytestmark = pytest.mark.slow


def test_what_is_measured_of_rollouts_is_what_a_plain_loop_finds(extended):
    ds = load_dataset(extended.path / "data/estimates/returns/hopper/ppo/0/0.nc").squeeze()
    returns, current = [], np.zeros(4)
    for block in open_rollouts(extended.path / "data/rollouts/hopper/ppo/0/0.zarr").blocks(
        slice(0, 4), size=7
    ):
        for k, t in np.ndindex(block.rew.shape):
            current[k] += block.rew[k, t]
            if block.terminated[k, t] or block.truncated[k, t]:
                returns.append(current[k])
                current[k] = 0
    assert len(returns) > 20
    assert ds.num_episodes.sum() == len(returns)
    np.testing.assert_allclose(ds.return_mean, np.mean(returns), rtol=1e-12)
    low, high = ds.return_mean_ci.values
    assert low < ds.return_mean < high
    assert ds.num_episodes.attrs["units"] == "episodes"
    assert ds.attrs["params"] == (
        '{"probes": {"rollouts": {"returns": {"fewest": 2}}}, "sample": {"kept": 7, "pairs": 700, "trials": 4}}'
    )


def test_what_is_measured_of_a_checkpoint_is_in_it(extended):
    untrained = load_dataset(extended.path / "data/estimates/exploration/hopper/ppo/0/0.nc")
    assert untrained.log_sigma.item() == 0
    extended.snakemake("data/estimates/exploration/hopper/ppo/0/1.nc")
    ds = load_dataset(extended.path / "data/estimates/exploration/hopper/ppo/0/1.nc")
    agent = load_checkpoint(extended.path / "data/checkpoints/hopper/ppo/0/1.safetensors")
    assert make_settings(agent.settings).sigma == "log"
    np.testing.assert_allclose(ds.log_sigma.item(), agent.state.theta[0, -agent.num_act :].double().mean())
    assert ds.log_sigma.item() != 0


def test_what_is_measured_of_reruns_is_in_them(extended):
    ds = load_dataset(extended.path / "data/estimates/value_step/hopper/ppo/0.nc").squeeze()
    rerun = open_reruns(extended.path / "data/rerun/hopper/ppo/0.zarr").isel(seed=0, iteration=0)
    for part in ("train", "held_out"):
        one = rerun.sel(part=part)
        change = [
            float(new) - float(old) for new, old in zip(one.val_new.values, one.val_old.values, strict=True)
        ]
        right = (sum(each**2 for each in change) / len(change)) ** 0.5
        found = ds.value_step.sel(part=part)
        np.testing.assert_allclose(found.isel(iteration=0) if "iteration" in found.dims else found, right)


def test_the_figure_is_drawn_and_its_data_kept(extended):
    assert (extended.path / "figures/returns.pdf").read_bytes().startswith(b"%PDF")
    assert (extended.path / "figures/returns.png").stat().st_size > 5000
    ds = load_dataset(extended.path / "data/figures/returns.nc")
    assert ds.iteration.values.tolist() == [0, 1]
    assert np.isfinite(ds.return_mean).all()
    assert "Nothing to be done" in extended.run("snakemake -j1 figures/returns.pdf").text


def test_its_price_says_that_there_is_no_rate_yet(extended):
    printed = extended.run("python -m pgprim.commands.cost").text
    for name in ("returns", "exploration", "value_step"):
        assert f"{name} of ppo on Hopper-v5" in printed.split("no rate yet for")[1]


def test_another_setting_redoes_this_probe_alone_and_a_mistake_is_one_sentence(extended):
    extended.edit("params.yaml", "fewest: 2          # ours", "fewest: 0")
    refused = extended.run("snakemake -n figures/returns.pdf", check=False).text
    assert (
        "params.yaml: probes.rollouts.returns.fewest is 0, but must be a whole number of episodes, at least 1"
        in refused
    )
    extended.edit("params.yaml", "fewest: 0", "fewest: 1")
    planned = extended.run("snakemake -n figures/returns.pdf").text
    assert "unless inputs turn out the same: 2 rollout_probe, 1 figure" in planned


def test_a_record_recomputes_nothing(extended):
    before = extended.run("snakemake -n figures/returns.pdf").text
    extended.edit(
        "pgprim/probes/returns/record.py", "What does the frozen policy earn?", "What is the mean return?"
    )
    assert re.findall("unless inputs.*", extended.run("snakemake -n figures/returns.pdf").text) == re.findall(
        "unless inputs.*", before
    )


def test_the_templates_keep_the_house_rules(extended):
    added = " ".join(f"pgprim/probes/{name}" for name in ("returns", "exploration", "value_step"))
    extended.run(f"ruff check {added} && ruff format --check {added}")
