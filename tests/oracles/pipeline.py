"""The real path without training: a checkpoint, the sample stage, the estimate stage, what they wrote."""

import argparse
import shutil
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from pgprim.commands import probe, sample
from pgprim.commands.params import load
from pgprim.core.adam import adam_init
from pgprim.core.prefix_sums import batch_gradient
from pgprim.rl.normalise import make_moments
from pgprim.store.checkpoints import save_checkpoint
from pgprim.store.datasets import load_dataset, open_store
from pgprim.types.agent import settings_of
from pgprim.types.checkpoint import AgentState, Checkpoint
from pgprim.types.environment import Environment
from tests.checkouts import narrow
from tests.probes.synthetic import pool_of

DEFAULT = Path(__file__).parents[2] / "workflow" / "scales" / "default.yaml"
ALGO = "trpo"  # rewards and observations as they are


def write_params(task, env_id, budgets, streams, trials=4, **train):
    """A parameter file in the current folder: the default set with one task, one algorithm and a sampler to measure."""
    params = narrow(load(DEFAULT), {"tasks": [task], "algos": [ALGO], "seeds": [0], "probed_seeds": [0]})
    params["env"] = {task: {"id": env_id}}
    all_ppo, ppo = (params["agents"]["ppo"][key] for key in ("all", "hopper"))
    params["agents"] = {
        ALGO: {"all": params["agents"][ALGO]["all"], task: {"delta": 0.01, "value_lr": 1e-4}},
        "ppo": {"all": all_ppo, task: ppo},
    }
    params["train"] |= train
    pairs = budgets[-1]
    params["sample"] = pool_of(streams, pairs, trials)
    params["probes"]["rollouts"] = {"gradient": {"budgets": budgets}}
    params["plot"]["budget"] = budgets[-1]
    params["semantics"]["probes"] = ["gradient"]
    grid = {"tasks": [task], "iterations": params["iterations"][-1:], "beyond": min(500, budgets[0])}
    params["fit"] |= grid
    params["baselines"] |= grid | {"budgets": budgets, "pairs": budgets[-1]}
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)
    return load()


def make_agent(params, task, theta, phi, num_obs, num_act):
    """An agent with given networks, in its checkpoint file."""
    moments = [make_moments(1, num_obs), make_moments(1, 1)]
    state = AgentState(theta, phi, adam_init(theta), adam_init(phi), *moments)
    settings = settings_of(params, task, ALGO)
    checkpoint = Checkpoint(
        task, Environment.from_dict(params["env"][task]), ALGO, 0, 0, num_obs, num_act, settings, state
    )
    save_checkpoint("agent.safetensors", checkpoint)
    return checkpoint


def sample_and_estimate(name="it"):
    """Run the two stages as their commands do; the sums of the streams in full length, and the numbers of the figures."""
    if not Path("rollouts.zarr").exists():
        sample.main(argparse.Namespace(checkpoint="agent.safetensors", out="rollouts.zarr"))
    paths = {"vectors": f"{name}.zarr", "out": f"{name}.nc"}
    inputs = {"checkpoint": "agent.safetensors", "rollouts": "rollouts.zarr", "rerun": None, "result": None}
    probe.main(argparse.Namespace(probe="gradient", case="", **inputs, **paths))
    return open_store(paths["vectors"]).load(), load_dataset(paths["out"]).squeeze(drop=True)


def estimate_at(budgets, joined=()):
    """The sums of the same streams at several lengths, and the numbers of all budgets, from the longest.

    A stream of N pairs is the first N pairs of a longer one, so that its gradient is that of the budget N.

    Args:
        budgets: The lengths.
        joined: Budgets of several streams of the longest.
    """
    sums = []
    for pairs in budgets:
        params = load()
        params["sample"] |= {"pairs": pairs, "deep": {"seeds": [], "pairs": pairs}}
        params["probes"]["rollouts"]["gradient"]["budgets"] = [n for n in budgets if n <= pairs] + [
            n for n in joined if pairs == budgets[-1]
        ]
        params["plot"]["budget"] = pairs
        params["fit"]["beyond"] = params["baselines"]["beyond"] = 1
        params["baselines"] |= {"budgets": [pairs], "pairs": pairs}
        with Path("params.yaml").open("w") as file:
            YAML(typ="safe", pure=True).dump(params, file)
        shutil.rmtree("rollouts.zarr", ignore_errors=True)
        of_streams, numbers = sample_and_estimate()
        sums.append(of_streams)
    return sums, numbers


def gradients_of(sums):
    """The estimates that sums stand for, one per stream, in double precision."""
    return batch_gradient(*_arrays(sums))


def union_of(sums):
    """The gradient of all streams together."""
    return batch_gradient(*(values.sum(0, keepdims=True) for values in _arrays(sums)))[0]


def mean_advantage_gradients(sums):
    """Σ s·(A − mean A)/n per stream: the estimates without division by the advantages' deviation."""
    pairs, score, score_adv, adv, _ = _arrays(sums)
    return (score_adv - (adv / pairs)[:, None] * score) / pairs[:, None]


def _arrays(sums):
    pairs = np.full(sums.sizes["stream"], float(sums.attrs["stream_pairs"]))
    names = ("score_sum", "score_adv_sum", "adv_sum", "adv_sq_sum")
    return pairs, *(sums[name].values.astype(np.float64) for name in names)


def slope_of_error(budgets, squared_errors):
    """The slope of log root-mean-square error over trials against log N, and its jackknife standard error.

    Args:
        budgets: N.
        squared_errors: Per budget and trial; trials are independent, budgets of one trial are not.
    """
    trials = squared_errors.shape[1]

    def slope(errors):
        return np.polyfit(np.log(budgets), 0.5 * np.log(errors.mean(1)), 1)[0]

    left_out = np.array([slope(np.delete(squared_errors, k, axis=1)) for k in range(trials)])
    spread = np.sqrt((trials - 1) / trials * np.square(left_out - left_out.mean()).sum())
    return slope(squared_errors), spread
