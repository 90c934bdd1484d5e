"""Sample rollouts of one checkpoint: the streams of the trials first, then those of the "true" quantities."""

import argparse
import json

from tqdm import tqdm

from pgprim.commands.command import load_params, make_parser, run
from pgprim.experience.rollout import sample_streams
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.provenance import provenance
from pgprim.store.rollouts import BLOCK, RolloutWriter


def main(args: argparse.Namespace) -> None:
    """Sample as many streams and pairs as the parameters say into one store."""
    params = load_params()["sample"]
    checkpoint = load_checkpoint(args.checkpoint)
    identity = {name: getattr(checkpoint, name) for name in ("task", "algo", "seed", "iteration")}
    identity["env_id"] = checkpoint.environment.id
    purpose = ("sample", checkpoint.environment.id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    attrs = identity | {
        "trials": params["trials"],
        "truth_streams": params["truth_streams"],
        "streams": "trials first, then truth; each an unbroken sequence of episodes from a reset",
        "settings": json.dumps(checkpoint.settings, sort_keys=True),
        **provenance({"sample": params}, {"checkpoint": args.checkpoint}, checkpoint),
    }
    num_streams, num_pairs = params["trials"] + params["truth_streams"], params["pairs"]
    label = "sample {task} {algo} {seed} {iteration}".format(**identity)
    with (
        RolloutWriter(
            args.out, num_streams, num_pairs, checkpoint.num_obs, checkpoint.num_act, attrs
        ) as writer,
        tqdm(
            total=num_streams * num_pairs, desc=label, unit="pair", unit_scale=True, mininterval=5
        ) as progress,
    ):
        for block in sample_streams(checkpoint, purpose, num_streams, num_pairs, BLOCK):
            writer.append(block)
            progress.update(block.rew.size)


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.sample", __doc__)
    parser.add_argument("--checkpoint", required=True, help="the agent, a checkpoint file")
    parser.add_argument("--out", required=True, help="the Zarr store of rollouts")
    run(main, parser)
