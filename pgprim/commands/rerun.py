"""Run some iterations of training again, and store the networks' outputs before and after each update.

Outputs are stored on the update's own pairs and on held-out pairs of the same policy. Snapshots and records of
training are only read: every re-run iteration must reproduce the recorded numbers. A killed run resumes at the first
incomplete group of iterations.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from pgprim.commands.command import code_of, load_params, make_parser, output, run, seeds_of
from pgprim.experience.rerun import (
    Pairs,
    check_records,
    held_out_pairs,
    join_updates,
    rerun_iteration,
    sigma_divergence,
)
from pgprim.rl.algorithms import make_settings
from pgprim.rl.streams import time_limit
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import open_store, save_store
from pgprim.store.files import Pieces, missing
from pgprim.store.provenance import provenance
from pgprim.store.reruns import reruns_dataset
from pgprim.types.checkpoint import stack_agents
from pgprim.types.errors import UserError

GROUP = 10
"""Iterations whose held-out pairs are sampled side by side: wide products, and little is lost by a killed run. No result
depends on it."""


def main(args: argparse.Namespace) -> None:
    """Re-run every n-th iteration (`rerun.every`) of some seeds of one task and algorithm."""
    torch.set_num_threads(1)
    params, seeds, folder = load_params(), args.seeds, Path(args.training)
    iterations = list(range(0, params["train"]["iterations"], params["rerun"]["every"]))
    first = load_checkpoint(folder / str(seeds[0]) / "0.safetensors")
    settings = make_settings(first.settings)
    if settings.envs > 1:
        raise UserError(
            f"{folder}: envs is {settings.envs}, but must be 1, because iterations of several environments cannot be run again"
        )
    recorded = [open_store(Path(args.records, f"{seed}.zarr"), "store of training records") for seed in seeds]
    attrs = {
        "env_id": first.environment.id,
        "num_pairs": settings.pairs,
        "time_limit": time_limit(first.environment),
        "settings": json.dumps(first.settings, sort_keys=True),
        **provenance({"rerun": params["rerun"]}, agent=first),
    }
    num_pairs = settings.pairs + params["rerun"]["beyond"]
    label = f"rerun {first.task} {first.algo} {'-'.join(map(str, seeds))}"
    total = 2 * len(seeds) * len(iterations) * num_pairs
    code = code_of("commands/rerun", f"agents/{first.algo}", f"environments/{first.task}")
    with ExitStack() as stack:
        own, pieces = [], []
        for seed in seeds:
            snapshots = {"snapshots_sha256": _digest(folder / str(seed), iterations)}
            out = Path(args.out, f"{seed}.zarr")
            own.append(attrs | snapshots)
            pieces.append(stack.enter_context(Pieces(out, own[-1] | {"code": code})))
        progress = stack.enter_context(
            tqdm(total=total, desc=label, unit="pair", unit_scale=True, mininterval=5)
        )
        parts: list[list[dict[str, np.ndarray]]] = [[] for _ in seeds]
        for start in range(0, len(iterations), GROUP):
            group = iterations[start : start + GROUP]
            name = f"{group[0]}-{group[-1]}"
            loaded = [piece.load(name) for piece in pieces]
            if any(part is None for part in loaded):
                loaded = _run_group(folder, seeds, group, num_pairs, recorded, progress.update)
                for piece, part in zip(pieces, loaded, strict=True):
                    piece.save(name, part)
            else:
                done = 2 * len(seeds) * len(group) * num_pairs
                progress.initial += done  # not into the pace
                progress.update(done)
            for several, part in zip(parts, loaded, strict=True):
                several.append(part)
        for seed, several, about in zip(seeds, parts, own, strict=True):
            arrays = {name: np.concatenate([part[name] for part in several])[None] for name in several[0]}
            ds = reruns_dataset(arrays, first.task, first.algo, [seed], iterations, about)
            save_store(Path(args.out, f"{seed}.zarr"), ds)


def _run_group(
    folder: Path,
    seeds: list[int],
    iterations: list[int],
    num_pairs: int,
    recorded: list,
    advance: Callable[[int], object],
) -> list[dict[str, np.ndarray]]:
    """Re-run some iterations: for each seed all variables, `[iteration, part, t]` and `kl_of_sigma` `[iteration]`."""
    updates, trained, divergence = [], [], []
    for iteration in iterations:
        checkpoints = [load_checkpoint(folder / str(seed) / f"{iteration}.safetensors") for seed in seeds]
        first = checkpoints[0]
        settings = make_settings(first.settings)
        purposes = [("train", first.task, first.algo, seed) for seed in seeds]
        state = stack_agents([checkpoint.state for checkpoint in checkpoints])
        beyond = num_pairs - settings.pairs
        _, records, update, pairs = rerun_iteration(
            first.environment, state, settings, purposes, iteration, beyond
        )
        check_records(first.environment, iteration, seeds, records, _recorded(recorded, iteration, records))
        updates.append(update)
        trained.append(pairs)
        divergence.append(sigma_divergence(update, settings, first.num_act))
        advance(pairs.rew.size)
    purposes = [("rerun", first.task, first.algo, seed, k) for k in iterations for seed in seeds]
    stretches = []
    for pairs in held_out_pairs(first.environment, join_updates(updates), settings, purposes, num_pairs):
        stretches.append(pairs)
        advance(pairs.rew.size)
    arrays = {"kl_of_sigma": np.stack(divergence)}
    for name in (field.name for field in fields(Pairs)):
        fresh = np.concatenate([getattr(pairs, name) for pairs in stretches], axis=1)
        own = np.stack([getattr(pairs, name) for pairs in trained])
        arrays[name] = np.stack([own, fresh.reshape(own.shape)], 2)
    return [{name: array[:, index] for name, array in arrays.items()} for index in range(len(seeds))]


def _recorded(stores: list, iteration: int, names: Mapping[str, object]) -> dict[str, np.ndarray]:
    """Training's own record of an iteration, one number per seed."""
    rows = [store.sel(iteration=iteration) for store in stores]
    return {name: np.array([float(row[name].squeeze()) for row in rows]) for name in names}


def _digest(folder: Path, iterations: list[int]) -> str:
    """One hash of all snapshots that are run again."""
    digest = hashlib.sha256()
    for iteration in iterations:
        file = folder / f"{iteration}.safetensors"
        if not file.exists():
            raise missing(file, "checkpoint")
        digest.update(file.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.rerun", __doc__)
    parser.add_argument("--training", required=True, help="folder of one task's and algorithm's snapshots")
    parser.add_argument("--records", required=True, help="folder of its records, SEED.zarr")
    parser.add_argument("--seeds", required=True, type=seeds_of, help="seeds to run again, such as 0-1-2")
    parser.add_argument("--out", type=output, required=True, help="folder for what is kept, SEED.zarr")
    run(main, parser)
