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
from pgprim.experience.updates import look_at_updates, series_updates
from pgprim.store.datasets import save_store
from pgprim.store.provenance import provenance
from pgprim.store.updates import load_series, snapshots_digest, updates_dataset


def main(args: argparse.Namespace) -> None:
    """Load the snapshots, evaluate their updates, and save the result."""
    torch.set_num_threads(1)
    beyond = load_params()["rerun"]["beyond"]
    checkpoints = load_series(Path(args.training))
    updates, first = series_updates(checkpoints), checkpoints[0]
    total, label = len(updates) * (first.settings["pairs"] + beyond), f"updates {first.task} {first.algo}"
    with tqdm(total=total, desc=label, unit="pair", unit_scale=True, mininterval=5) as progress:
        arrays = look_at_updates(updates, beyond, advance=progress.update)
    attrs = provenance({"rerun": {"beyond": beyond}}, agent=first)
    attrs["snapshots_sha256"] = snapshots_digest(Path(args.training), checkpoints)
    save_store(args.out, updates_dataset(arrays, [before for before, _ in updates], attrs))


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.updates", __doc__)
    parser.add_argument("--training", required=True, help="folder of one agent's snapshots")
    parser.add_argument("--out", type=output, required=True, help="the Zarr store for what is kept")
    run(main, parser)
