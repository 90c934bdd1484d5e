"""Evaluate the updates of an adopted agent on fresh state-action pairs.

An update is two snapshots, of iterations k and k + 1. If a folder has no two such snapshots, the agent's own
algorithm makes the next update of each snapshot. The store has the form of `rerun`'s, without the updates' own
pairs, which are not in the agent's files; the probes `value` and `trust_region` read it.
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from pgprim.commands.command import load_params, make_parser, output, run
from pgprim.experience.updates import PARTS, fresh_purpose, look_at_updates, series_updates
from pgprim.rl.algorithms import make_settings
from pgprim.rl.streams import time_limit
from pgprim.store.datasets import save_store
from pgprim.store.provenance import provenance
from pgprim.store.updates import load_series, snapshots_digest, updates_dataset


def main(args: argparse.Namespace) -> None:
    """Load the snapshots, evaluate their updates, and save the result."""
    torch.set_num_threads(1)
    beyond = load_params()["rerun"]["beyond"]
    checkpoints = load_series(Path(args.training))
    updates, first = series_updates(checkpoints), checkpoints[0]
    settings = make_settings(first.settings)
    num_pairs = settings.pairs + beyond
    label = f"updates {first.task} {first.algo}"
    with tqdm(
        total=len(updates) * num_pairs, desc=label, unit="pair", unit_scale=True, mininterval=5
    ) as progress:
        arrays = look_at_updates(
            first.environment,
            [(before.state, after) for before, after in updates],
            settings,
            [fresh_purpose(before) for before, _ in updates],
            num_pairs,
            first.num_act,
            progress.update,
        )
    attrs = provenance({"rerun": {"beyond": beyond}}, agent=first)
    attrs["snapshots_sha256"] = snapshots_digest(Path(args.training), checkpoints)
    iterations = [before.iteration for before, _ in updates]
    ds = updates_dataset(arrays, first, iterations, PARTS, time_limit(first.environment), attrs)
    save_store(args.out, ds)


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.updates", __doc__)
    parser.add_argument("--training", required=True, help="folder of one agent's snapshots")
    parser.add_argument("--out", type=output, required=True, help="the Zarr store for what is kept")
    run(main, parser)
