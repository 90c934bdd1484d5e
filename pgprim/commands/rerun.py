"""Run some iterations of training again, and keep what the networks before and after each say of its pairs.

Beside the update's own pairs, held-out ones of the same policies. Snapshots are only read.
"""

import argparse
import hashlib
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from pgprim.commands.command import load_params, make_parser, run, seeds_of
from pgprim.experience.rerun import (
    Pairs,
    held_out_pairs,
    join_updates,
    replay_iteration,
    sigma_divergence,
)
from pgprim.rl.algorithms import make_settings
from pgprim.rl.streams import time_limit
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import save_store
from pgprim.store.provenance import provenance
from pgprim.store.reruns import reruns_dataset
from pgprim.types.checkpoint import Checkpoint, stack_agents


def main(args: argparse.Namespace) -> None:
    """Run every so many iterations of some seeds of one task and algorithm again."""
    torch.set_num_threads(1)
    params = load_params()
    every, beyond = params["rerun"]["every"], params["rerun"]["beyond"]
    iterations = list(range(0, params["train"]["iterations"], every))
    folder, seeds = Path(args.training), args.seeds
    digests = [hashlib.sha256() for _ in seeds]
    updates, trained, divergence = [], [], []
    first = load_checkpoint(folder / str(seeds[0]) / "0.safetensors")
    limit = time_limit(first.environment)
    settings, num_pairs = make_settings(first.settings), make_settings(first.settings).pairs + beyond
    name = (first.task, first.algo)
    with tqdm(
        total=2 * len(seeds) * len(iterations) * num_pairs,
        desc=f"rerun {' '.join(name)} {'-'.join(map(str, seeds))}",
        unit="pair",
        unit_scale=True,
        mininterval=5,
    ) as progress:
        for iteration in iterations:
            checkpoints = _load(folder, seeds, iteration, digests)
            state = stack_agents([checkpoint.state for checkpoint in checkpoints])
            purposes = [("train", *name, seed) for seed in seeds]
            _, _, update, pairs = replay_iteration(
                first.environment, state, settings, purposes, iteration, beyond
            )
            updates.append(update)
            trained.append(pairs)
            divergence.append(sigma_divergence(update, settings, first.num_act))
            progress.update(len(seeds) * num_pairs)
        purposes = [("replay", *name, seed, iteration) for iteration in iterations for seed in seeds]
        stretches = []
        for pairs in held_out_pairs(first.environment, join_updates(updates), settings, purposes, num_pairs):
            stretches.append(pairs)
            progress.update(pairs.rew.size)

    shape = (len(iterations), len(seeds), num_pairs)
    arrays = {"kl_of_sigma": np.stack(divergence, 1)}
    for field in (field.name for field in fields(Pairs)):
        fresh = np.concatenate([getattr(pairs, field) for pairs in stretches], axis=1).reshape(shape)
        own = np.stack([getattr(pairs, field) for pairs in trained])
        arrays[field] = np.stack([own, fresh], 2).swapaxes(0, 1)
    attrs = {
        "env_id": first.environment.id,
        "num_pairs": settings.pairs,
        "time_limit": limit,
        "settings": json.dumps(first.settings, sort_keys=True),
        **provenance({"rerun": params["rerun"]}, agent=first),
    }
    for index, (seed, digest) in enumerate(zip(seeds, digests, strict=True)):
        own = {name: array[index : index + 1] for name, array in arrays.items()}
        ds = reruns_dataset(own, *name, [seed], iterations, attrs | {"snapshots_sha256": digest.hexdigest()})
        save_store(Path(args.out, f"{seed}.zarr"), ds)


def _load(folder: Path, seeds: list[int], iteration: int, digests: list) -> list[Checkpoint]:
    """The snapshots of an iteration, the bytes of each added to its seed's digest."""
    files = [folder / str(seed) / f"{iteration}.safetensors" for seed in seeds]
    for file, digest in zip(files, digests, strict=True):
        if file.exists():
            digest.update(file.read_bytes())
    return [load_checkpoint(file) for file in files]


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.rerun", __doc__)
    parser.add_argument("--training", required=True, help="folder of one task's and algorithm's snapshots")
    parser.add_argument("--seeds", required=True, type=seeds_of, help="seeds to run again, such as 0-1-2")
    parser.add_argument("--out", required=True, help="folder for what is kept, SEED.zarr")
    run(main, parser)
