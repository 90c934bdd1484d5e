"""Measure what a perfect value network would show at one checkpoint, and the noise-free error of the agent's own."""

import argparse

import torch
from tqdm import tqdm

from pgprim.commands.command import load_params, make_parser, run
from pgprim.core.seeding import generator
from pgprim.experience.fork import fork_stream
from pgprim.probes.value.floor import run as estimate
from pgprim.rl.limits import time_limit
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import save_dataset
from pgprim.store.provenance import provenance


def main(args: argparse.Namespace) -> None:
    """Continue some states of a batch, and keep what that says."""
    torch.set_num_threads(1)
    params = {name: value for name, value in load_params()["floor"].items() if name != "iterations"}
    checkpoint = load_checkpoint(args.checkpoint)
    name = ("floor", checkpoint.env_id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    # Equally far apart, so that every part of the batch is seen, from a random first one on.
    width, first = checkpoint.settings["pairs"] / params["states"], generator(*name, "positions").random()
    positions = [int(width * (k + first)) for k in range(params["states"])]
    attrs = provenance({"floor": params}, {"checkpoint": args.checkpoint}, checkpoint)
    label = "floor {task} {algo} {seed} {iteration}".format(**vars(checkpoint))
    forks = fork_stream(checkpoint, positions, params["branches"], params["beyond"])
    with tqdm(forks, total=len(positions), desc=label, unit="state", mininterval=5) as states:
        ds = estimate(checkpoint, iter(states), time_limit(checkpoint.env_id), attrs)
    save_dataset(args.out, ds)


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.floor", __doc__)
    parser.add_argument("--checkpoint", required=True, help="the agent, a checkpoint file")
    parser.add_argument("--out", required=True, help="NetCDF file for the numbers that figures read")
    run(main, parser)
