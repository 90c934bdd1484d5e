"""Sample and store rollouts of one checkpoint: the stored streams of its pool, which the probes read pair by pair."""

import argparse
import json

from tqdm import tqdm

from pgprim.commands.command import load_params, make_parser, output, run
from pgprim.experience.rollout import sample_pool
from pgprim.rl.streams import time_limit
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.provenance import provenance
from pgprim.store.rollouts import BLOCK, RolloutWriter


def main(args: argparse.Namespace) -> None:
    """Sample `sample.kept` streams of `sample.pairs` pairs into one store."""
    sample = load_params()["sample"]
    num_streams, num_pairs = sample["kept"], sample["pairs"]
    used = {"sample": {"kept": num_streams, "pairs": num_pairs}}
    checkpoint = load_checkpoint(args.checkpoint)
    identity = {name: getattr(checkpoint, name) for name in ("task", "algo", "seed", "iteration")}
    identity["env_id"] = checkpoint.environment.id
    attrs = identity | {
        "streams": "each an unbroken sequence of episodes from a reset",
        "time_limit": time_limit(checkpoint.environment),
        "settings": json.dumps(checkpoint.settings, sort_keys=True),
        **provenance(used, {"checkpoint": args.checkpoint}, checkpoint),
    }
    label = "sample {task} {algo} {seed} {iteration}".format(**identity)
    with (
        RolloutWriter(
            args.out, num_streams, num_pairs, checkpoint.num_obs, checkpoint.num_act, attrs
        ) as writer,
        tqdm(
            total=num_streams * num_pairs, desc=label, unit="pair", unit_scale=True, mininterval=5
        ) as progress,
    ):
        for block in sample_pool(checkpoint, slice(0, num_streams), num_pairs, BLOCK):
            writer.append(block)
            progress.update(block.rew.size)


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.sample", __doc__)
    parser.add_argument("--checkpoint", required=True, help="the agent, a checkpoint file")
    parser.add_argument("--out", type=output, required=True, help="the Zarr store of rollouts")
    run(main, parser)
