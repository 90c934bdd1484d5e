"""One time limit for training, exact values, floors and landscapes: every reward is 1, so all returns are closed forms.

Undiscounted, an episode of L pairs returns L. Discounted, n rewards are worth (1 − γⁿ)/(1 − γ).
"""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from pgprim.commands import sample
from pgprim.core.mlp import policy_net, value_net
from pgprim.experience.rerun import rerun_iteration
from pgprim.experience.updates import next_update
from pgprim.rl.algorithms import make_settings
from pgprim.store.datasets import load_dataset
from pgprim.store.fits import save_fit
from pgprim.types.errors import UserError
from pgprim.types.fit import NUMBERS, Fit
from tests.commands.measuring import measure
from tests.oracles.pipeline import make_agent, write_params

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STRANGE, HIDDEN = "tests.rl.strange:Strange-v0", (4,)
LIMIT, PAIRS, BEYOND, GAMMA = 7, 24, 30, 0.8
LIMITED = {
    "argument": {"kwargs": {"rew": 1.0, "max_episode_steps": LIMIT}},
    "wrapper": {
        "kwargs": {"rew": 1.0, "max_episode_steps": 2 * LIMIT},
        "wrappers": [{"class": "gymnasium.wrappers:TimeLimit", "max_episode_steps": LIMIT}],
    },
}
OWN = {"kwargs": {"rew": 1.0, "truncates_at": LIMIT}}
"""An environment whose own step truncates."""


def worth(num_pairs):
    return (1 - GAMMA ** np.asarray(num_pairs, float)) / (1 - GAMMA)


def make(block):
    """Parameters and a checkpoint on the environment, in the current folder."""
    params = write_params(
        "strange", STRANGE, [10, 50], 8, hidden=list(HIDDEN), pairs=PAIRS, gamma=GAMMA, minibatches=4
    )
    params["env"]["strange"] |= block
    params["probes"]["checkpoints"]["floors"] = {"states": PAIRS, "branches": 3, "beyond": BEYOND}
    params["landscape"] |= {
        "plane": {"extent": [0.0, 3.0], "points": 3, "random_norm": 2.0},
        "few": {"budgets": [60], "trajectories": [2], "closer": []},
        "many": {"pairs": 60, "budgets": [60]},
    }
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)
    theta = torch.zeros(1, policy_net(2, 2, HIDDEN).num_params)
    phi = torch.zeros(1, value_net(2, HIDDEN).num_params)
    return make_agent(params, "strange", theta, phi, 2, 2)


@pytest.mark.parametrize("block", LIMITED.values(), ids=LIMITED)
def test_training_exact_values_and_landscapes_agree_on_the_limit(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoint = make(block)
    _, records = next_update(checkpoint)
    assert records["return_mean"] == records["length_mean"] == LIMIT

    measure("floors", "floors.nc", checkpoint="agent.safetensors")
    floors = load_dataset("floors.nc").squeeze(drop=True)
    t = np.arange(PAIRS)  # every pair of the batch is a state, and no branch ends within `BEYOND` pairs
    target = worth(np.minimum(LIMIT - t % LIMIT, PAIRS - t))
    floor = (worth(BEYOND) - target) / target
    published = floors.sel(target="returns", definition="as_text")
    assert float(published.floor) == pytest.approx(floor.mean(), rel=1e-6)

    measure("landscape", "few.nc", case="few", checkpoint="agent.safetensors")
    landscape = load_dataset("few.nc")
    for name in ("reward", "first_reward"):
        assert landscape[name].size == 9 and np.all(landscape[name] == LIMIT), name


def test_truncations_by_the_environments_own_step_stop_what_needs_the_limit_alone(tmp_path, monkeypatch):
    """Gradients need no limit; complete returns do, of stored rollouts, forks and re-runs."""
    monkeypatch.chdir(tmp_path)
    checkpoint = make(OWN)
    _, records = next_update(checkpoint)
    assert records["return_mean"] == LIMIT
    sample.main(argparse.Namespace(checkpoint="agent.safetensors", out="rollouts.zarr"))
    both = {"checkpoint": "agent.safetensors", "rollouts": "rollouts.zarr"}
    measure("gradient", "gradient.nc", vectors="gradient.zarr", **both)
    assert load_dataset("gradient.nc").attrs
    told = rf"stream {{}}, step {LIMIT - 1}: the environment truncates an episode after {LIMIT} steps, but no time limit"
    with pytest.raises(UserError, match=told.format(0)):
        measure("floors", "floors.nc", checkpoint="agent.safetensors")
    with pytest.raises(UserError, match=told.format(4)):  # the first stream that is no trial
        measure("fit", "fit.safetensors", **both)
    phi = checkpoint.state.phi
    identity = {name: getattr(checkpoint, name) for name in ("task", "env_id", "algo", "seed", "iteration")}
    numbers = dict.fromkeys(NUMBERS, 1.0)
    save_fit(
        "other.safetensors", Fit(**identity, true=phi, optimal=phi.clone(), numbers=numbers, made_from={})
    )
    with pytest.raises(UserError, match=told.format(0)):
        measure("baselines", "baselines.nc", vectors="baselines.zarr", fit="other.safetensors", **both)
    with pytest.raises(UserError, match=told.format(0)):
        settings = make_settings(checkpoint.settings)
        rerun_iteration(checkpoint.environment, checkpoint.state, settings, [("test",)], 0, BEYOND)
    for name in ("floors.nc", "fit.safetensors", "baselines.nc", "baselines.zarr"):
        assert not Path(name).exists()
