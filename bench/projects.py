"""Agents for the benchmarks, and the pipeline's stages in a separate folder."""

import argparse
import importlib
from contextlib import closing
from pathlib import Path

import torch
import yaml

from pgprim.commands.params import check, load
from pgprim.rl.algorithms import make_settings
from pgprim.rl.initialise import make_agent
from pgprim.rl.streams import make_streams
from pgprim.store.checkpoints import save_checkpoint
from pgprim.types.agent import settings_of
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.environment import Environment

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
    environment = Environment.from_dict(params["env"][task])
    with closing(make_streams(environment, [0])) as streams:
        shape = streams.num_obs, streams.num_act
    state = make_agent(make_settings(values), *shape, "bench", seed)
    return Checkpoint(task, environment, algo, seed, 0, *shape, values, state)


def pool_of(params: dict, num_streams: int, length: int) -> dict:
    """The section `sample` of a pool of so many streams of so many pairs, all kept, whatever the agent's seed."""
    sizes = {"streams": num_streams, "kept": num_streams, "pairs": length}
    return params["sample"] | sizes | {"deep": {"seeds": [], "pairs": length}}


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
    module = importlib.import_module(f"pgprim.commands.{name}")
    module.main(argparse.Namespace(checkpoint=CHECKPOINT, **arguments))


def measure(name: str, out: str, **arguments: str | list[tuple[str, str]]) -> None:
    """Measure a probe in the current folder's project in this process."""
    others = dict.fromkeys(("rollouts", "rerun", "vectors", "result"))
    run_stage("probe", **others | {"probe": name, "out": out, "case": ""} | arguments)
