"""Estimate once more with the other semantics what a probe measured at a checkpoint, and compare.

The checkpoint's policy, value network and rollouts stay as they are; only what time limits and cuts mean is changed.
"""

import argparse
import importlib
import importlib.util
from dataclasses import replace

import torch

from pgprim.commands.command import load_params, make_parser, run
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import load_dataset, open_store, save_dataset
from pgprim.store.provenance import provenance
from pgprim.store.rollouts import open_rollouts
from pgprim.studies.semantics.compare import compare
from pgprim.types.errors import UserError
from pgprim.types.variants import other_semantics


def main(args: argparse.Namespace) -> None:
    """Run the probe with the other semantics, and compare with what is stored."""
    torch.set_num_threads(1)
    params = load_params()
    block, module = params["semantics"], f"pgprim.probes.{args.probe}.measure"
    if args.probe not in params["estimate"] or importlib.util.find_spec(module) is None:
        raise UserError(
            f"{args.probe}: not a probe of params.yaml, which has {', '.join(params['estimate'])}"
        )
    used = {"sample": params["sample"], "estimate": {args.probe: params["estimate"][args.probe]}}
    checkpoint, rollouts = load_checkpoint(args.checkpoint), open_rollouts(args.rollouts)
    own = checkpoint.settings["semantics"]
    other = other_semantics(own)
    changed = replace(checkpoint, settings=checkpoint.settings | {"semantics": other})
    found = importlib.import_module(module).run(changed, rollouts, used)
    stored = open_store(args.gradients), load_dataset(args.estimates)
    vectors, numbers = ({own: mine, other: its} for mine, its in zip(stored, found, strict=True))
    ds = compare(vectors, numbers, args.probe, block["level"])
    inputs = {name: getattr(args, name) for name in ("checkpoint", "rollouts", "gradients", "estimates")}
    save_dataset(args.out, ds.assign_attrs(provenance(used, inputs, checkpoint)))


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.semantics", __doc__)
    parser.add_argument("probe", help="a probe of estimate in params.yaml, such as gradient")
    parser.add_argument("--checkpoint", required=True, help="the agent, a checkpoint file")
    parser.add_argument("--rollouts", required=True, help="its Zarr store of rollouts")
    parser.add_argument("--gradients", required=True, help="Zarr store of the probe's vectors")
    parser.add_argument("--estimates", required=True, help="NetCDF file of the probe's numbers")
    parser.add_argument("--out", required=True, help="NetCDF file for the comparison")
    run(main, parser)
