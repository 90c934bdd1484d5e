"""Estimate what baselines buy at one checkpoint, from stored rollouts and a fitted "true" value function."""

import argparse

import torch

from pgprim.commands.command import load_params, make_parser, run
from pgprim.probes.baselines.measure import run as run_probe
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import save_dataset, save_store
from pgprim.store.fits import load_fit
from pgprim.store.labelled import AGENT
from pgprim.store.provenance import provenance
from pgprim.store.rollouts import open_rollouts
from pgprim.types.errors import UserError


def main(args: argparse.Namespace) -> None:
    """Run the probe and keep its vectors and its numbers."""
    torch.set_num_threads(1)
    params = load_params()
    chosen = {name: params["baselines"][name] for name in ("budgets", "level", "lambdas", "pairs")}
    chosen["fit"] = {"beyond": params["baselines"]["fit"]["beyond"]}
    used = {"sample": params["sample"], "baselines": chosen}
    checkpoint, rollouts = load_checkpoint(args.checkpoint), open_rollouts(args.rollouts)
    fit = load_fit(args.fit)
    for path, found in ((args.rollouts, rollouts.attrs), (args.fit, vars(fit))):
        for name in ("env_id", *AGENT):
            if found.get(name) != getattr(checkpoint, name):
                raise UserError(
                    f"{path}: {name} is {found.get(name)!r}, but must be that of {args.checkpoint}, "
                    f"{getattr(checkpoint, name)!r}"
                )
    num_streams = params["sample"]["trials"] + params["sample"]["truth_streams"]
    if (rollouts.num_streams, rollouts.num_pairs) != (num_streams, params["sample"]["pairs"]):
        raise UserError(
            f"{args.rollouts}: has {rollouts.num_streams} streams of {rollouts.num_pairs} pairs, but sample in "
            f"params.yaml asks for {num_streams} of {params['sample']['pairs']}; sample again"
        )
    vectors, numbers = run_probe(checkpoint, fit, rollouts, used)
    inputs = {"checkpoint": args.checkpoint, "rollouts": args.rollouts, "fit": args.fit}
    attrs = {"probe": "baselines"} | provenance(used, inputs, checkpoint)
    save_store(args.gradients, vectors.assign_attrs(attrs))
    save_dataset(args.out, numbers.assign_attrs(attrs))


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.baselines", __doc__)
    parser.add_argument("--checkpoint", required=True, help="the agent, a checkpoint file")
    parser.add_argument("--rollouts", required=True, help="its Zarr store of rollouts")
    parser.add_argument("--fit", required=True, help="its fitted value functions, a safetensors file")
    parser.add_argument("--gradients", required=True, help="Zarr store for the vectors and their sums")
    parser.add_argument("--out", required=True, help="NetCDF file for the numbers that figures read")
    run(main, parser)
