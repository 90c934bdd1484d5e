"""Estimate what one probe measures about updates, from replayed iterations of training.

The probe's module `pgprim.probes.PROBE.estimate` is loaded by its name, so that estimates of one probe do not depend on
the code of the others. Its `run(replay, params)` makes the dataset.
"""

import argparse
import importlib
import importlib.util

import torch

from pgprim.commands.command import load_params, make_parser, run
from pgprim.store.datasets import save_dataset
from pgprim.store.provenance import provenance, union
from pgprim.store.replays import open_replays
from pgprim.types.errors import UserError


def main(args: argparse.Namespace) -> None:
    """Run the probe and keep its numbers."""
    torch.set_num_threads(1)
    params = load_params()
    module = f"pgprim.probes.{args.probe}.measure"
    if args.probe not in params["assess"] or importlib.util.find_spec(module) is None:
        raise UserError(
            f"{args.probe}: not a probe of assess in params.yaml, which has {', '.join(params['assess'])}"
        )
    replay = open_replays(args.replay)
    numbers = importlib.import_module(module).run(replay, params)
    attrs = {"probe": args.probe} | union([replay.attrs, provenance({}, {"replay": args.replay})])
    save_dataset(args.out, numbers.assign_attrs(attrs))


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.assess", __doc__)
    parser.add_argument("probe", help="a probe of assess in params.yaml, such as value")
    parser.add_argument("--replay", required=True, help="Zarr store of one lock-step group's replays")
    parser.add_argument("--out", required=True, help="NetCDF file for the numbers that figures read")
    run(main, parser)
