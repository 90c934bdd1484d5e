"""The command `sample`: what it writes, when it is killed, what it refuses."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from ruamel.yaml import YAML

from pgprim.experience.rollout import sample_streams
from pgprim.rl.algorithms import make_settings
from pgprim.rl.initialise import make_agent
from pgprim.rl.streams import make_streams
from pgprim.store.checkpoints import save_checkpoint
from pgprim.types.agent import settings_of
from pgprim.types.checkpoint import Checkpoint, Moments
from pgprim.types.environment import Environment
from tests.oracles.pipeline import write_params

ROOT = Path(__file__).parents[2]
PARAMS = YAML(typ="safe", pure=True).load((ROOT / "workflow/scales/default.yaml").read_text())
PURPOSE = ("sample", "Hopper-v5", "ppo", 7, 3)


def make_checkpoint(env_id: str = "Hopper-v5", **changes) -> Checkpoint:
    """A policy with a will of its own, and normalisers that have seen something."""
    environment = Environment(env_id)
    with closing(make_streams(environment, [0])) as streams:
        num_obs, num_act = streams.num_obs, streams.num_act
    values = settings_of(PARAMS, "hopper", "ppo") | {"obs_clip": 1.5}
    state = make_agent(make_settings(values), num_obs, num_act, "test")
    rng = np.random.default_rng(0)
    theta = state.theta + 0.3 * torch.from_numpy(rng.standard_normal(state.theta.shape)).float()
    moments = Moments(100, rng.standard_normal((1, num_obs)), rng.uniform(50, 200, (1, num_obs)))
    state = type(state)(**(vars(state) | {"theta": theta, "obs_moments": moments}))
    checkpoint = Checkpoint("hopper", environment, "ppo", 7, 3, num_obs, num_act, values, state)
    return type(checkpoint)(**(vars(checkpoint) | changes))


def stage(*options: str) -> list[str]:
    return [sys.executable, "-m", "pgprim.commands.sample", "--checkpoint", "agent.safetensors", *options]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with a checkpoint and a small parameter set, and the environment to run commands there."""
    monkeypatch.chdir(tmp_path)
    save_checkpoint("agent.safetensors", make_checkpoint())

    def parameters(num_pairs: int) -> None:
        write_params("hopper", "Hopper-v5", [100, num_pairs], 8)

    parameters(600)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return (
        tmp_path,
        parameters,
        {"cwd": tmp_path, "env": environment, "stderr": subprocess.PIPE, "text": True},
    )


def test_the_stage_writes_what_the_sampler_makes(workplace):
    folder, _, settings = workplace
    subprocess.run(stage("--out", "1.zarr"), check=True, **settings)
    assert 10 < len([path for path in (folder / "1.zarr").rglob("*") if path.is_file()]) <= 36
    ds = xr.open_zarr(folder / "1.zarr")
    (expected,) = sample_streams(make_checkpoint(), PURPOSE, 8, 600, 600)
    np.testing.assert_array_equal(ds.obs, expected.obs)
    np.testing.assert_array_equal(ds.final_obs, expected.finals.obs)
    assert {
        "task": "hopper",
        "algo": "ppo",
        "seed": 7,
        "iteration": 3,
        "time_limit": 1000,
    }.items() <= ds.attrs.items()


def test_a_killed_stage_leaves_no_store_and_the_next_one_makes_it(workplace):
    folder, parameters, settings = workplace
    parameters(1_000_000)
    killed = subprocess.Popen(stage("--out", "r.zarr"), **settings)
    begun = folder / ".r.zarr.partial" / "obs" / "c" / "0" / "0" / "0"
    deadline = time.monotonic() + 120
    while not (begun.exists() and begun.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert begun.stat().st_size and killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (folder / "r.zarr").exists()
    parameters(600)
    subprocess.run(stage("--out", "r.zarr"), check=True, **settings)
    assert xr.open_zarr(folder / "r.zarr").sizes["t"] == 600
    assert not begun.exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--out", "r.zarr", "--checkpoint", "none.safetensors"], "none.safetensors"),
    ],
)
def test_bad_input_ends_the_stage_with_one_sentence(workplace, options, told):
    folder, _, settings = workplace
    result = subprocess.run(stage(*options), **settings)
    assert result.returncode == 1 and told in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (folder / "r.zarr").exists()
