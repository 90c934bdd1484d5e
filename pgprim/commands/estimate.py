"""Estimate what one probe measures at one checkpoint, from stored rollouts.

The probe's module `pgprim.probes.PROBE.estimate` is loaded by its name, so that estimates of one probe do not depend on
the code of the others.
"""

import argparse
import importlib
import importlib.util

import torch

from pgprim.commands.command import load_params, make_parser, run
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import save_dataset, save_store
from pgprim.store.provenance import provenance
from pgprim.store.rollouts import open_rollouts
from pgprim.types.errors import UserError


def main(args: argparse.Namespace) -> None:
    """Run the probe and keep its vectors and its numbers."""
    torch.set_num_threads(1)
    params = load_params()
    module = f"pgprim.probes.{args.probe}.measure"
    if args.probe not in params["estimate"] or importlib.util.find_spec(module) is None:
        raise UserError(
            f"{args.probe}: not a probe of params.yaml, which has {', '.join(params['estimate'])}"
        )
    used = {"sample": params["sample"], "estimate": {args.probe: params["estimate"][args.probe]}}
    checkpoint, rollouts = load_checkpoint(args.checkpoint), open_rollouts(args.rollouts)
    _require_match(checkpoint, rollouts, params["sample"], args)
    vectors, numbers = importlib.import_module(module).run(checkpoint, rollouts, used)
    inputs = {"checkpoint": args.checkpoint, "rollouts": args.rollouts}
    attrs = {"probe": args.probe} | provenance(used, inputs, checkpoint)
    save_store(args.gradients, vectors.assign_attrs(attrs))
    save_dataset(args.out, numbers.assign_attrs(attrs))


def _require_match(checkpoint, rollouts, sample: dict, args: argparse.Namespace) -> None:
    for name in ("task", "env_id", "algo", "seed", "iteration"):
        here, there = getattr(checkpoint, name), rollouts.attrs.get(name)
        if here != there:
            raise UserError(
                f"{args.rollouts}: {name} is {there!r}, but must be that of {args.checkpoint}, {here!r}"
            )
    num_streams = sample["trials"] + sample["truth_streams"]
    if (rollouts.num_streams, rollouts.num_pairs) != (num_streams, sample["pairs"]):
        raise UserError(
            f"{args.rollouts}: has {rollouts.num_streams} streams of {rollouts.num_pairs} pairs, but sample in "
            f"params.yaml asks for {num_streams} of {sample['pairs']}; sample again"
        )


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.estimate", __doc__)
    parser.add_argument("probe", help="a probe of params.yaml, such as gradient")
    parser.add_argument("--checkpoint", required=True, help="the agent, a checkpoint file")
    parser.add_argument("--rollouts", required=True, help="its Zarr store of rollouts")
    parser.add_argument("--gradients", required=True, help="Zarr store for the vectors and their sums")
    parser.add_argument("--out", required=True, help="NetCDF file for the numbers that figures read")
    run(main, parser)
