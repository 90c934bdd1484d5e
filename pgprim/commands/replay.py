"""Do some iterations of a training run again, and keep what the networks before and after each say of its pairs.

Beside the update's own pairs, fresh ones of the same policies. The training run is only read.
"""

import argparse
import hashlib
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from pgprim.commands.command import load_params, make_parser, run
from pgprim.experience.rerun import (
    Pairs,
    held_out_pairs,
    join_updates,
    replay_iteration,
    sigma_divergence,
)
from pgprim.rl.algorithms import make_settings
from pgprim.rl.limits import time_limit
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.replays import replays_dataset, save_replays
from pgprim.types.checkpoint import Checkpoint, stack_agents
from pgprim.types.errors import UserError

CODE = Path("data/code/commands/replay.txt")


def main(args: argparse.Namespace) -> None:
    """Replay every so many iterations of one lock-step group."""
    torch.set_num_threads(1)
    if args.threads < 1:
        raise UserError(f"--threads is {args.threads}, but must be at least 1")
    params = load_params()
    every, beyond = params["replay"]["every"], params["replay"]["beyond"]
    iterations = list(range(0, params["train"]["iterations"], every))
    folder, digest = Path(args.training), hashlib.sha256()
    seeds = sorted(int(path.name) for path in folder.glob("[0-9]*"))
    updates, trained, divergence = [], [], []
    first = _load(folder, seeds, 0, digest)[0] if seeds else None
    if first is None:
        raise UserError(f"{folder}: holds no snapshots; make it with `snakemake {folder}`")
    settings, num_pairs = make_settings(first.settings), make_settings(first.settings).pairs + beyond
    name = (first.task, first.algo)
    with tqdm(
        total=2 * len(seeds) * len(iterations) * num_pairs,
        desc=f"replay {' '.join(name)} {folder.name}",
        unit="pair",
        unit_scale=True,
        mininterval=5,
    ) as progress:
        for iteration in iterations:
            checkpoints = _load(folder, seeds, iteration, digest)
            state = stack_agents([checkpoint.state for checkpoint in checkpoints])
            purposes = [("train", *name, seed) for seed in seeds]
            _, update, pairs = replay_iteration(first.env_id, state, settings, purposes, iteration, beyond)
            updates.append(update)
            trained.append(pairs)
            divergence.append(sigma_divergence(update, first.num_act))
            progress.update(len(seeds) * num_pairs)
        purposes = [("replay", *name, seed, iteration) for iteration in iterations for seed in seeds]
        stretches = []
        for pairs in held_out_pairs(
            first.env_id, join_updates(updates), settings, purposes, num_pairs, args.threads
        ):
            stretches.append(pairs)
            progress.update(pairs.rew.size)

    shape = (len(iterations), len(seeds), num_pairs)
    arrays = {"kl_sigma": np.stack(divergence, 1)}
    for field in (field.name for field in fields(Pairs)):
        fresh = np.concatenate([getattr(pairs, field) for pairs in stretches], axis=1).reshape(shape)
        own = np.stack([getattr(pairs, field) for pairs in trained])
        arrays[field] = np.stack([own, fresh], 2).swapaxes(0, 1)
    attrs = {
        "env_id": first.env_id,
        "num_pairs": settings.pairs,
        "time_limit": time_limit(first.env_id),
        "settings": json.dumps(first.settings, sort_keys=True),
        "params": json.dumps({"replay": params["replay"]}, sort_keys=True),
        "snapshots_sha256": digest.hexdigest(),
    }
    if CODE.exists():
        attrs["code_sha256"] = hashlib.sha256(CODE.read_bytes()).hexdigest()
    save_replays(args.out, replays_dataset(arrays, *name, seeds, iterations, attrs))


def _load(folder: Path, seeds: list[int], iteration: int, digest) -> list[Checkpoint]:
    """The snapshots of an iteration, their bytes added to a digest."""
    files = [folder / str(seed) / f"{iteration}.safetensors" for seed in seeds]
    checkpoints = [load_checkpoint(file) for file in files]
    for file in files:
        digest.update(file.read_bytes())
    return checkpoints


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.replay", __doc__)
    parser.add_argument("--training", required=True, help="folder of one lock-step group's snapshots")
    parser.add_argument("--out", required=True, help="Zarr store of the replays")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads that simulate; no effect on the result"
    )
    run(main, parser)
