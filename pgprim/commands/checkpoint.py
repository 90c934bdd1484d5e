"""Extract one agent at one iteration from a training run.

The bytes are the training run's own: however long training went on, an earlier checkpoint stays what it was.
"""

import argparse
from pathlib import Path

from pgprim.commands.command import make_parser, run
from pgprim.store.checkpoints import KIND
from pgprim.store.files import read_sealed, write_bytes
from pgprim.types.errors import UserError


def main(args: argparse.Namespace) -> None:
    """Copy the snapshot of the seed and iteration, from whichever lock-step group holds it."""
    name = f"{args.seed}/{args.iteration}.safetensors"
    found = sorted(Path(args.training).glob(f"*/{name}"))
    if len(found) != 1:
        reason = "no training run holds it" if not found else f"{len(found)} training runs hold it"
        raise UserError(
            f"{args.training}: snapshot {name}: {reason}; params.yaml needs each seed in one group of lockstep, and "
            "iterations that are multiples of train.snapshot_every up to train.iterations"
        )
    write_bytes(args.out, read_sealed(found[0], KIND))


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.checkpoint", __doc__)
    parser.add_argument(
        "--training", required=True, help="folder of one task's and algorithm's training runs"
    )
    parser.add_argument("--seed", required=True, type=int, help="the agent")
    parser.add_argument(
        "--iteration", required=True, type=int, help="updates made; a multiple of snapshot_every"
    )
    parser.add_argument("--out", required=True, help="the checkpoint file")
    run(main, parser)
