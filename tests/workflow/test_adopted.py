"""An agent's file as an input of the pipeline, at a tiny scale."""

import numpy as np
import pytest
import torch

from pgprim.adopt import layers, write_agent
from pgprim.store.datasets import load_dataset
from tests.adopt import examples
from tests.adopt.examples import NUM_ACT, NUM_OBS
from tests.workflow.projects import TINY, copy_project

pytestmark = pytest.mark.slow

ESTIMATE = "data/estimates/gradient/hopper/mine/0/5.nc"
OF_UPDATES = tuple(f"data/estimates/{probe}/hopper/mine/0.nc" for probe in ("value", "trust_region"))
"""What the probes of re-runs find in the agent's next update, since its series holds none."""


def save(path, seed):
    torch.manual_seed(seed)
    nets = [layers(examples.make_mlp([NUM_OBS, 8, out], torch.nn.ReLU)) for out in (NUM_ACT, 1)]
    write_agent(
        path, policy=nets[0], value=nets[1], log_sigma=np.zeros(NUM_ACT), activation="relu", iteration=5
    )


def test_an_adopted_agent_is_probed_like_any_other_and_again_when_its_file_changes(tmp_path):
    adopted = {"mine": {"file": "agents/mine.safetensors", "task": "hopper", "algorithm": "ppo"}}
    small = {"tasks": ["hopper"], "algos": ["ppo"], "seeds": [0], "few": {"closer": []}}
    project = copy_project(
        tmp_path, adopted=adopted, probed=["ppo", "mine"], iterations=[5], train={"iterations": 5, "snapshot_every": 5},
        landscape=small, semantics={"algos": ["ppo"], "train_iterations": 2, "probes": ["gradient"]},
        fit={"tasks": ["hopper"], "iterations": [5], "beyond": 100},
        robustness=TINY["robustness"] | {"iterations": [5]}, reliability=TINY["reliability"] | {"algos": ["ppo"]},
    )  # fmt: skip
    save(project.path / "agents/mine.safetensors", 0)
    project.snakemake(ESTIMATE)
    first = load_dataset(project.path / ESTIMATE)
    assert not (project.path / "data/training/hopper/ppo").exists()  # nothing else was trained
    assert "Nothing to be done" in project.snakemake(ESTIMATE).text
    project.snakemake(" ".join(OF_UPDATES))
    for path in OF_UPDATES:
        ds = load_dataset(project.path / path)
        assert ds.part.values.tolist() == ["held_out"]
        assert (ds.algo.item(), ds.iteration.item()) == ("mine", 5)
    assert not (project.path / "data/training/hopper/ppo").exists()
    save(project.path / "agents/mine.safetensors", 1)
    project.snakemake(ESTIMATE)
    second = load_dataset(project.path / ESTIMATE)
    assert first.sizes == second.sizes
    assert not first.equals(second)
