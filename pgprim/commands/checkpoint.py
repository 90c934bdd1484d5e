"""Copy the checkpoint of one iteration from a training run.

The copy has the same bytes as the snapshot, so longer training leaves earlier checkpoints unchanged.
"""

import argparse
from pathlib import Path

from pgprim.commands.command import make_parser, output, run
from pgprim.store.checkpoints import KIND
from pgprim.store.files import read_sealed, write_bytes
from pgprim.types.errors import UserError


def main(args: argparse.Namespace) -> None:
    """Copy the snapshot."""
    snapshot = Path(args.training, f"{args.iteration}.safetensors")
    if Path(args.training).is_dir() and not snapshot.exists():
        raise UserError(
            f"{snapshot}: the training run holds no such snapshot; iterations in params.yaml must be multiples of "
            "train.snapshot_every up to train.iterations"
        )
    write_bytes(args.out, read_sealed(snapshot, KIND))


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.checkpoint", __doc__)
    parser.add_argument("--training", required=True, help="folder of one agent's snapshots")
    parser.add_argument(
        "--iteration", required=True, type=int, help="updates made; a multiple of train.snapshot_every"
    )
    parser.add_argument("--out", type=output, required=True, help="the checkpoint file")
    run(main, parser)
