"""The sampler: streams that depend on nothing but themselves, actions of the frozen policy, ends kept as they are."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
import xarray as xr
from pgprim.experience.sampling import sample_streams
from pgprim.rl.envs import make_envs
from ruamel.yaml import YAML

from pgprim.core.mlp import forward, policy_net
from pgprim.core.seeding import derive_seed, generator
from pgprim.rl.algorithms import make_settings
from pgprim.rl.initialise import make_agent
from pgprim.store.checkpoints import save_checkpoint
from pgprim.types.agent import settings_of
from pgprim.types.checkpoint import Checkpoint, Moments
from pgprim.types.errors import UserError
from pgprim.types.rollouts import Block, Finals

ROOT = Path(__file__).parents[2]
PARAMS = YAML(typ="safe", pure=True).load((ROOT / "workflow/scales/default.yaml").read_text())
PURPOSE = ("sample", "Hopper-v5", "ppo", 7, 3)


def make_checkpoint(env_id: str = "Hopper-v5", **changes) -> Checkpoint:
    """A policy with a will of its own, and normalisers that have seen something."""
    envs = make_envs(env_id, [0])
    num_obs, num_act = envs.obs_dim, envs.act_dim
    values = settings_of(PARAMS, "hopper", "ppo") | {"obs_clip": 1.5}
    state = make_agent(make_settings(values), num_obs, num_act, "test")
    rng = np.random.default_rng(0)
    theta = state.theta + 0.3 * torch.from_numpy(rng.standard_normal(state.theta.shape)).float()
    moments = Moments(100, rng.standard_normal((1, num_obs)), rng.uniform(50, 200, (1, num_obs)))
    state = type(state)(**(vars(state) | {"theta": theta, "obs_moments": moments}))
    checkpoint = Checkpoint("hopper", env_id, "ppo", 7, 3, num_obs, num_act, values, state)
    return type(checkpoint)(**(vars(checkpoint) | changes))


def sample(
    checkpoint: Checkpoint, num_streams: int, num_pairs: int, block: int = 64, num_threads: int = 1
) -> Block:
    """All blocks as one."""
    blocks = list(sample_streams(checkpoint, num_streams, num_pairs, block, num_threads))
    starts = [part.start for part in blocks]
    assert starts == list(range(0, num_pairs, block))
    arrays = {
        name: np.concatenate([getattr(part, name) for part in blocks], axis=1)
        for name in ("obs", "act", "rew", "terminated", "truncated")
    }
    finals = [
        np.concatenate([getattr(part.finals, name) for part in blocks]) for name in ("stream", "t", "obs")
    ]
    order = np.lexsort((finals[1], finals[0]))
    return Block(0, **arrays, finals=Finals(*(part[order] for part in finals)))


def assert_same(one: Block, two: Block, streams: slice = slice(None)) -> None:
    for name in ("obs", "act", "rew", "terminated", "truncated"):
        np.testing.assert_array_equal(getattr(one, name)[streams], getattr(two, name)[streams], err_msg=name)


@pytest.mark.parametrize("env_id", ["Hopper-v5", "Humanoid-v5", "Pendulum-v1"])
def test_a_stream_depends_on_no_other_and_on_no_detail_of_the_run(env_id):
    checkpoint = make_checkpoint(env_id)
    few = sample(checkpoint, 3, 150)
    assert_same(few, sample(checkpoint, 35, 150, num_threads=2), slice(0, 3))
    assert_same(few, sample(checkpoint, 3, 150, block=41))
    longer = sample(checkpoint, 3, 200)
    np.testing.assert_array_equal(longer.obs[:, :150], few.obs)
    assert np.abs(few.obs[0] - few.obs[1]).max() > 0.1
    np.testing.assert_array_equal(np.flatnonzero(few.finals.t == 149), [0, 1, 2])


def test_actions_are_the_frozen_policys():
    """An action is μ(s) + σ·ε, with s normalised by the checkpoint's statistics and ε the stream's own noise."""
    checkpoint = make_checkpoint()
    rollouts = sample(checkpoint, 4, 100)
    moments = checkpoint.state.obs_moments
    seen = np.clip((rollouts.obs - moments.mean) / np.sqrt(moments.m2 / 99), -1.5, 1.5)
    assert (np.abs(seen) == 1.5).mean() > 0.01
    parts = policy_net(checkpoint.num_obs, checkpoint.num_act, (64, 64)).split(
        checkpoint.state.theta.double()
    )
    mu = forward(parts, torch.from_numpy(seen.reshape(1, 400, -1)), 3).numpy().reshape(4, 100, -1)
    noise = np.stack(
        [generator(*PURPOSE, "noise", k).standard_normal((100, 3), dtype=np.float32) for k in range(4)]
    )
    np.testing.assert_allclose(rollouts.act, mu + parts[-1].exp().numpy() * noise, rtol=0, atol=2e-5)


def test_rollouts_are_what_the_environment_does_with_these_actions(monkeypatch):
    """Replayed one stream at a time; the limit is short, so that falls and truncations both occur."""
    monkeypatch.setattr(gymnasium.spec("Hopper-v5"), "max_episode_steps", 18)
    num_pairs = 200
    rollouts = sample(make_checkpoint(), 4, num_pairs)
    assert rollouts.terminated.sum() > 4 and rollouts.truncated.sum() > 4
    finals = []
    for stream in range(4):
        envs = make_envs("Hopper-v5", [derive_seed(*PURPOSE, "env", stream)])
        obs = envs.reset()
        for t in range(num_pairs):
            np.testing.assert_array_equal(rollouts.obs[stream, t], obs[0].astype(np.float32))
            step = envs.step(rollouts.act[stream, t][None].astype(np.float64))
            assert rollouts.rew[stream, t] == step.rew[0]
            assert rollouts.terminated[stream, t] == step.terminated[0]
            assert rollouts.truncated[stream, t] == step.truncated[0]
            if step.truncated[0] or t == num_pairs - 1:
                finals.append((stream, t, step.next_obs[0].astype(np.float32)))
            obs = step.obs
    np.testing.assert_array_equal(rollouts.finals.stream, [stream for stream, _, _ in finals])
    np.testing.assert_array_equal(rollouts.finals.t, [t for _, t, _ in finals])
    np.testing.assert_array_equal(rollouts.finals.obs, [obs for _, _, obs in finals])


def test_agents_and_iterations_get_other_streams():
    one = sample(make_checkpoint(), 1, 20)
    for change in ({"seed": 8}, {"iteration": 4}, {"algo": "trpo"}):
        assert np.abs(one.obs[0, 0] - sample(make_checkpoint(**change), 1, 20).obs[0, 0]).max() > 0


def test_a_checkpoint_of_another_environment_is_refused():
    hopper = make_checkpoint()
    with pytest.raises(UserError, match=r"Walker2d-v5.*17 observations and 6 actions.*11 and 3"):
        next(sample_streams(Checkpoint(**(vars(hopper) | {"env_id": "Walker2d-v5"})), 1, 1, 1))


def stage(*options: str) -> list[str]:
    return [sys.executable, "-m", "pgprim.commands.sample", "--checkpoint", "agent.safetensors", *options]


@pytest.fixture
def workplace(tmp_path):
    """A folder with a checkpoint and a small parameter set, and the environment to run commands there."""
    save_checkpoint(tmp_path / "agent.safetensors", make_checkpoint())

    def parameters(**sample: int) -> None:
        estimate = {"gradient": {"budgets": [100], "level": 0.95}}
        fit = PARAMS["baselines"]["fit"] | {"beyond": 100}
        baselines = PARAMS["baselines"] | {"budgets": [600], "pairs": 600, "fit": fit}
        with (tmp_path / "params.yaml").open("w") as file:
            changed = {"sample": sample, "estimate": estimate, "baselines": baselines}
            YAML(typ="safe", pure=True).dump(PARAMS | changed, file)

    parameters(trials=3, truth_streams=4, pairs=600)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return (
        tmp_path,
        parameters,
        {"cwd": tmp_path, "env": environment, "stderr": subprocess.PIPE, "text": True},
    )


def test_the_stage_writes_the_same_bytes_with_one_and_two_threads(workplace):
    folder, _, settings = workplace
    for threads in "12":
        subprocess.run(stage("--out", f"{threads}.zarr", "--threads", threads), check=True, **settings)
    files = [
        path.relative_to(folder / "1.zarr")
        for path in sorted((folder / "1.zarr").rglob("*"))
        if path.is_file()
    ]
    other = [
        path.relative_to(folder / "2.zarr")
        for path in sorted((folder / "2.zarr").rglob("*"))
        if path.is_file()
    ]
    assert files == other and 10 < len(files) <= 36
    for file in files:
        assert (folder / "1.zarr" / file).read_bytes() == (folder / "2.zarr" / file).read_bytes(), file
    ds = xr.open_zarr(folder / "1.zarr")
    expected = sample(make_checkpoint(), 7, 600)
    np.testing.assert_array_equal(ds.obs, expected.obs)
    np.testing.assert_array_equal(ds.final_obs, expected.finals.obs)
    assert {
        "task": "hopper",
        "algo": "ppo",
        "seed": 7,
        "iteration": 3,
        "trials": 3,
    }.items() <= ds.attrs.items()


def test_a_killed_stage_leaves_no_store_and_the_next_one_makes_it(workplace):
    folder, parameters, settings = workplace
    parameters(trials=3, truth_streams=4, pairs=1_000_000)
    killed = subprocess.Popen(stage("--out", "r.zarr"), **settings)
    begun = folder / ".r.zarr.partial" / "obs" / "c" / "0" / "0" / "0"
    deadline = time.monotonic() + 120
    while not (begun.exists() and begun.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert begun.stat().st_size and killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (folder / "r.zarr").exists()
    parameters(trials=3, truth_streams=4, pairs=600)
    subprocess.run(stage("--out", "r.zarr"), check=True, **settings)
    assert xr.open_zarr(folder / "r.zarr").sizes["t"] == 600
    assert not begun.exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--out", "r.zarr", "--threads", "0"], "--threads is 0"),
        (["--out", "r.zarr", "--checkpoint", "none.safetensors"], "none.safetensors"),
    ],
)
def test_bad_input_ends_the_stage_with_one_sentence(workplace, options, told):
    folder, _, settings = workplace
    result = subprocess.run(stage(*options), **settings)
    assert result.returncode == 1 and told in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (folder / "r.zarr").exists()
