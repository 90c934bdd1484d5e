"""Agents to measure with, and the pipeline's stages in a folder of their own."""

import argparse
import importlib
import os
from pathlib import Path

importlib.import_module("pgprim.stages")  # sets how numerical libraries compute, before they are imported
os.environ["TQDM_DISABLE"] = "1"  # read when it is first imported, too

import torch  # noqa: E402
import yaml  # noqa: E402

from pgprim.agents.envs import make_envs  # noqa: E402
from pgprim.agents.initialise import make_agent  # noqa: E402
from pgprim.store.checkpoints import save_checkpoint  # noqa: E402
from pgprim.types.agent import make_settings, settings_of  # noqa: E402
from pgprim.types.checkpoint import Checkpoint  # noqa: E402
from pgprim.types.params import check, load  # noqa: E402

DEFAULT = Path(__file__).parents[1] / "workflow/scales/default.yaml"
CHECKPOINT = "checkpoint.safetensors"

torch.set_num_threads(1)


def default_params() -> dict:
    """The default set."""
    return load(DEFAULT)


def untrained(task: str, algo: str = "ppo", seed: int = 0, hidden: int | None = None) -> Checkpoint:
    """An agent at the start of training, with the numbers of the default set.

    Args:
        task: Its task.
        algo: Its algorithm.
        seed: Its seed.
        hidden: Units of each hidden layer, where not the default's.
    """
    params = default_params()
    values = settings_of(params, task, algo)
    if hidden is not None:
        values["hidden"] = [hidden] * len(values["hidden"])
    env_id = params["env"][task]["id"]
    envs = make_envs(env_id, [0])
    state = make_agent(make_settings(values), envs.obs_dim, envs.act_dim, "bench", seed)
    envs.close()
    return Checkpoint(task, env_id, algo, seed, 0, envs.obs_dim, envs.act_dim, values, state)


def make_project(folder: Path, agent: Checkpoint, params: dict) -> None:
    """Put into a folder what the stages of one checkpoint read."""
    check(params, "the parameters to measure")
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    save_checkpoint(folder / CHECKPOINT, agent)


def import_modules(*names: str) -> None:
    """Import modules of pgprim ahead, so that what is timed is work alone."""
    for name in names:
        importlib.import_module(f"pgprim.{name}")


def run_stage(name: str, **arguments: str | int) -> None:
    """Run a stage of the current folder's project in this process."""
    module = importlib.import_module(f"pgprim.stages.{name}")
    module.main(argparse.Namespace(checkpoint=CHECKPOINT, **arguments))
