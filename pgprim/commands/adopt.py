"""Convert an agent of another library into a checkpoint.

Reads zips of stable-baselines3 and sb3-contrib, CleanRL's state dicts, checkpoints of rsl_rl and skrl, and the
safetensors file of `pgprim.adopt.write_agent`, without these libraries and without running pickled code.
Prints what it read, assumed and could not represent, and compares the checkpoint with the file.
"""

import argparse
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pgprim.adopt.adopted import Adopted, adopt
from pgprim.adopt.foreign import Network, SavedNormaliser
from pgprim.adopt.read import ACTIVATIONS
from pgprim.commands.command import load_params, make_parser, output, run
from pgprim.store.checkpoints import save_checkpoint
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError


def main(args: argparse.Namespace) -> None:
    """Adopt a file or folder, given on the command line or by its name in `adopted` of the parameter file."""
    block = _block(args)
    out = Path(args.out or output(f"data/training/{block['task']}/{args.name}/0"))
    for adopted in adopt(
        block["file"],
        task=block["task"],
        environment=block["environment"],
        name=args.name,
        normaliser=block.get("normaliser"),
        activation=block.get("activation"),
        settings=block.get("settings"),
        num_episodes=args.episodes,
    ):
        path = out if out.suffix == ".safetensors" else out / f"{adopted.checkpoint.iteration}.safetensors"
        save_checkpoint(path, adopted.checkpoint)
        print("\n".join([*report(adopted), f"wrote     {path}"]))


def report(adopted: Adopted) -> list[str]:
    """Lines for the person at the keyboard: what was read, assumed and left out, and how faithful the checkpoint is."""
    agent, fidelity = adopted.agent, adopted.fidelity
    settings = ", ".join(f"{key} {value}" for key, value in sorted(adopted.checkpoint.settings.items()))
    return [
        *_part(
            "read", f"{agent.path}, written by {agent.written_by}, iteration {adopted.checkpoint.iteration}"
        ),
        *_part(
            "",
            f"{agent.num_obs} observations {_normaliser(agent.observations)}; rewards {_normaliser(agent.rewards)}",
            f"policy {_network(agent.policy)}; value network {_network(agent.value)}",
            f"{agent.num_act} actions, {'clipped to their bounds' if agent.clip_actions else 'not clipped'}",
            settings,
        ),
        *_part("assumed", *agent.assumed),
        *_part("left out", *agent.left_out),
        *_part(
            "fidelity",
            f"policy gradient against autograd: cosine {fidelity.grad_cosine:.8f} over {fidelity.num_pairs} pairs",
            f"largest error of V {fidelity.value_error:.1e} of its spread, of log π {fidelity.logp_error:.1e} nats",
            f"mean return {_mean(fidelity.returns)} in Gymnasium, {_mean(fidelity.stream_returns)} in pgprim, "
            f"{len(fidelity.returns)} episodes each, actions drawn",
        ),
    ]


def _part(label: str, *sentences: str) -> list[str]:
    """Lines with the label in front of the first."""
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, 110, subsequent_indent="  ")]
    return [f"{label if k == 0 else '':10}{line}" for k, line in enumerate(lines)]


def _block(args: argparse.Namespace) -> dict[str, Any]:
    """The block `adopted.NAME` of the parameter file, or the same from the command line."""
    if args.file is None:
        params = load_params(args.params)
        try:
            block = dict(params["adopted"][args.name])
            block["settings"] = block.get("settings", {}) | {"algorithm": block["algorithm"]}
        except KeyError:
            raise UserError(
                f"{args.params}: adopted.{args.name} is missing; give a FILE, or name an agent of this block"
            ) from None
    else:
        block = {
            "file": args.file,
            "task": args.task,
            "normaliser": args.normaliser,
            "activation": args.activation,
        }
        block["settings"] = settings_from(args.set)
        if block["task"] is None:
            raise UserError("--task is missing; it names the task in checkpoints and figures, such as hopper")
    if args.env is not None:
        block["environment"] = Environment(args.env, clip_actions=not args.no_clip_actions)
        return block
    env = load_params(args.params)["env"]
    if block["task"] not in env:
        raise UserError(
            f"{args.params}: env.{block['task']} is missing; add it, or give the environment by --env ID"
        )
    block["environment"] = Environment.from_dict(env[block["task"]])
    return block


def settings_from(given: list[str]) -> dict[str, Any]:
    """`["gamma=0.98"]` as `{"gamma": 0.98}`; values are read as YAML."""
    settings = {}
    for one in given:
        key, equals, value = one.partition("=")
        try:
            settings[key] = YAML(typ="safe", pure=True).load(value)
        except YAMLError:
            equals = ""
        if not equals:
            raise UserError(f"--set {one}: must be a setting and its value, such as gamma=0.98")
    return settings


def _network(network: Network) -> str:
    return "-".join(map(str, network.hidden)) + f" {network.activation}"


def _normaliser(normaliser: SavedNormaliser | str | None) -> str:
    if not isinstance(normaliser, SavedNormaliser):
        return "as they are"
    bound = "" if normaliser.clip is None else f", clipped at {normaliser.clip:g}"
    return f"normalised by {normaliser.count:.0f} values{bound}"


def _mean(values: np.ndarray) -> str:
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{values.mean():.1f} ± {error:.1f}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe an agent's file, for this command and for `audit`."""
    parser.add_argument(
        "--normaliser", help="file of the normalisers (VecNormalize's pickle or safetensors), or none"
    )
    parser.add_argument(
        "--activation",
        choices=ACTIVATIONS,
        help="activation of the hidden layers, if the file does not name it",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a training setting that replaces that of the file, such as gamma=0.98",
    )
    parser.add_argument(
        "--no-clip-actions", action="store_true", help="with --env: pass actions to the environment unclipped"
    )
    parser.add_argument("--episodes", type=int, default=10, help="episodes for comparing mean returns")


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.adopt", __doc__)
    parser.add_argument("file", nargs="?", help="the agent's file, or a folder of its checkpoints")
    parser.add_argument("--name", required=True, help="the agent's name in checkpoints, tables and figures")
    parser.add_argument("--task", help="the task's name, such as hopper")
    parser.add_argument(
        "--env", help="Gymnasium's id, such as Hopper-v5; default: env.TASK of the parameter file"
    )
    add_arguments(parser)
    parser.add_argument("--params", default="params.yaml", help="the parameter file")
    parser.add_argument(
        "--out", type=output, help="a .safetensors file, or a folder; default: data/training/TASK/NAME/0"
    )
    run(main, parser)
