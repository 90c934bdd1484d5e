"""Measure one landscape around a checkpoint: surrogate and true reward over a plane, or at the ends of steps.

`few` and `many` are planes, spanned by a random direction and the update step from as many pairs as training uses, or
from many more; `steps` are the ends of independent update steps. The reward takes hours at large sizes: points are
measured side by side, in groups, and a killed run goes on with the first group that is not whole.
"""

import argparse
from collections.abc import Iterator
from math import ceil
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

from pgprim.commands.command import load_params, make_parser, run
from pgprim.core.episodes import Episodes, complete_episodes, estimate_return, within
from pgprim.probes.landscape.label import plane_dataset, steps_dataset
from pgprim.probes.landscape.points import (
    as_one_agent,
    landscape_purpose,
    plane,
    random_direction,
    run_points,
    sample_batch,
    surrogate_gain,
    take_steps,
)
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import save_dataset
from pgprim.store.files import Pieces
from pgprim.store.provenance import provenance
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.errors import UserError

CODE = Path("data/code/commands/landscape.txt")

KINDS = ("few", "many", "steps")

GROUP = 25
"""Points that are measured side by side, at most: enough for the overhead of a step to be small, few enough that a killed
run loses little. No result depends on it."""

STREAMS = 64
"""Streams of a batch of many pairs, at most."""


def main(args: argparse.Namespace) -> None:
    """Make, or go on with, one landscape."""
    torch.set_num_threads(1)
    if args.threads < 1:
        raise UserError(f"--threads is {args.threads}, but must be at least 1")
    params = load_params()["landscape"]
    checkpoint = load_checkpoint(args.checkpoint)
    common = params["common_random_numbers"]
    used = {name: params[name] for name in ("plane", args.kind)} | {"common_random_numbers": common}
    attrs = provenance({"landscape": used}, {"checkpoint": args.checkpoint}, checkpoint)
    code = CODE.read_text() if CODE.exists() else None
    most = used[args.kind]["budgets"][-1]
    shape = _shape_of_batch(checkpoint, args.kind, used)
    num_points = shape[0] if args.kind == "steps" else used["plane"]["points"] ** 2
    label = (
        f"landscape {args.kind} {checkpoint.task} {checkpoint.algo} {checkpoint.seed} {checkpoint.iteration}"
    )
    total = shape[0] * shape[1] + num_points * most
    with (
        Pieces(args.out, attrs | {"kind": args.kind, "code": code}) as pieces,
        tqdm(total=total, desc=label, unit="pair", unit_scale=True, mininterval=5) as progress,
    ):
        if (points := pieces.load("points")) is None:
            points = _make_points(checkpoint, args.kind, used, shape, args.threads, progress)
            pieces.save("points", points)
        else:
            _skip(progress, shape[0] * shape[1])
        theta = points["theta"]
        measured = _measure(checkpoint, args.kind, theta, most, common, pieces, args.threads, progress)
        episodes = list(measured)
        save_dataset(args.out, _assemble(checkpoint, args.kind, used, points, episodes, attrs))


def _assemble(
    checkpoint: Checkpoint,
    kind: str,
    used: dict,
    points: dict[str, np.ndarray],
    episodes: list[Episodes],
    attrs: dict[str, str],
) -> xr.Dataset:
    """The labelled result."""
    sizes = {"budget": used[kind]["budgets"], "trajectories": used[kind].get("trajectories", [])}
    rewards = {
        "budget": _rewards([[within(some, size) for size in sizes["budget"]] for some in episodes]),
        "trajectories": _rewards([[some.ret[:size] for size in sizes["trajectories"]] for some in episodes]),
    }
    surrogate = points["surrogate"]
    if kind == "steps":
        return steps_dataset(
            checkpoint, surrogate, points["norms"], rewards["budget"], sizes["budget"], attrs
        )
    axis = _axis(used["plane"])
    square = (len(axis), len(axis))
    for found in rewards.values():
        for name, values in found.items():
            found[name] = values.reshape(*square, *values.shape[1:])
    norms = {name: float(points[name]) for name in ("step_norm", "random_norm", "batch_pairs")}
    return plane_dataset(checkpoint, kind, axis, surrogate.reshape(square), rewards, sizes, norms, attrs)


def _axis(settings: dict) -> np.ndarray:
    return np.linspace(*settings["extent"], settings["points"])


def _shape_of_batch(checkpoint: Checkpoint, kind: str, used: dict) -> tuple[int, int]:
    """Streams, and pairs of each: one stream per step, or for one step streams at least as long as training's.

    Streams of one step are all of a length, which may make its pairs a few less than asked for.
    """
    few = checkpoint.settings["pairs"]
    if kind == "steps":
        return used["steps"]["steps"], few
    num_pairs = used[kind].get("pairs", few)
    num_streams = max(1, min(STREAMS, num_pairs // few))
    return num_streams, num_pairs // num_streams


def _make_points(
    checkpoint: Checkpoint, kind: str, used: dict, shape: tuple[int, int], num_threads: int, progress: tqdm
) -> dict[str, np.ndarray]:
    """Parameters and surrogate of each point, and what the step was."""
    purpose = landscape_purpose(checkpoint, kind)
    sampled = sample_batch(checkpoint, *shape, (*purpose, "batch"), num_threads, progress.update)
    if kind == "steps":
        steps = take_steps(checkpoint, sampled, [(*purpose, k) for k in range(shape[0])])
        theta = checkpoint.state.theta + steps
        return {
            "theta": theta.numpy(),
            "surrogate": surrogate_gain(checkpoint, theta, sampled),
            "norms": steps.double().norm(dim=1).numpy(),
        }
    batch = as_one_agent(sampled)
    step = take_steps(checkpoint, batch, [purpose])[0]
    direction = random_direction(checkpoint, used["plane"]["random_norm"])
    theta = plane(checkpoint.state.theta, step, direction, _axis(used["plane"]))
    return {
        "theta": theta.numpy(),
        "surrogate": surrogate_gain(checkpoint, theta, batch),
        "step_norm": step.double().norm().numpy(),
        "random_norm": direction.double().norm().numpy(),
        "batch_pairs": np.array(batch.num_pairs),
    }


def _measure(
    checkpoint: Checkpoint,
    kind: str,
    theta: np.ndarray,
    num_pairs: int,
    common: bool,
    pieces: Pieces,
    num_threads: int,
    progress: tqdm,
) -> Iterator[Episodes]:
    """The complete episodes of one stream at every point, in the order of the points."""
    purpose = (*landscape_purpose(checkpoint, kind), "reward")
    for group in np.array_split(np.arange(len(theta)), ceil(len(theta) / GROUP)):
        name = f"{group[0]}-{group[-1]}"
        if (piece := pieces.load(name)) is not None:
            _skip(progress, len(group) * num_pairs)
        else:
            purposes = [purpose if common else (*purpose, int(point)) for point in group]
            blocks = []
            for block in run_points(checkpoint, theta[group], purposes, num_pairs, num_threads):
                blocks.append(block)
                progress.update(block[0].size)
            rew, ended = (np.concatenate(parts, axis=1) for parts in zip(*blocks, strict=True))
            found = [complete_episodes(*stream) for stream in zip(rew, ended, strict=True)]
            piece = {
                "num": np.array([len(episodes.ret) for episodes in found]),
                "stop": np.concatenate([episodes.stop for episodes in found]),
                "ret": np.concatenate([episodes.ret for episodes in found]),
            }
            pieces.save(name, piece)
        edges = np.cumsum(piece["num"])[:-1]
        yield from map(Episodes, np.split(piece["stop"], edges), np.split(piece["ret"], edges))


def _skip(progress: tqdm, num_pairs: int) -> None:
    """Count pairs of an earlier run as done, but not into the pace."""
    progress.initial += num_pairs
    progress.update(num_pairs)


def _rewards(returns: list[list[np.ndarray]]) -> dict[str, np.ndarray]:
    """The estimates of each point and size as arrays by variable."""
    found = [[estimate_return(ret) for ret in sizes] for sizes in returns]
    return {
        name: np.array([[getattr(estimate, field) for estimate in sizes] for sizes in found], np.float64)
        for name, field in (
            ("reward", "mean"),
            ("reward_se", "se"),
            ("num_trajectories", "num"),
            ("reward_half", "halves"),
        )
    }


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.landscape", __doc__)
    parser.add_argument("kind", choices=KINDS, help="a plane of a step by few or many pairs, or many steps")
    parser.add_argument("--checkpoint", required=True, help="the agent, a checkpoint file")
    parser.add_argument("--out", required=True, help="NetCDF file for the landscape")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads that simulate; no effect on the result"
    )
    run(main, parser)
