"""Train a variant of a study, agents with some settings changed, and keep the records of every iteration.

A run whose loss or step explodes is a finding: its records end there, and the other seeds go on.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

from pgprim.commands.command import load_params, make_parser, run
from pgprim.experience.train import RECORDS
from pgprim.rl.algorithms import make_settings
from pgprim.rl.envs import make_envs
from pgprim.rl.initialise import make_agent
from pgprim.store.records import save_records
from pgprim.store.unfinished import Pieces
from pgprim.store.variants import as_other, run_dataset
from pgprim.studies.variants import AGREEMENT, train_while_sound
from pgprim.types.checkpoint import stack_agents
from pgprim.types.errors import UserError
from pgprim.types.variants import STUDIES, Run, make_runs

CODE = Path("data/code/commands/vary.txt")
DESCRIBED = RECORDS | dict([AGREEMENT])


def main(args: argparse.Namespace) -> None:
    """Run, or go on with, the runs of one variant."""
    torch.set_num_threads(1)
    params = load_params()
    if args.task not in params["env"]:
        raise UserError(f"--task {args.task}: not one of env in params.yaml, {', '.join(params['env'])}")
    env_id = params["env"][args.task]["id"]
    runs = make_runs(params, args.study, args.task, args.variant)
    code = CODE.read_text() if CODE.exists() else None
    identity = {"runs": [asdict(one) for one in runs], "env_id": env_id, "seeds": args.seeds, "code": code}
    label = f"vary {args.study} {args.task} {args.variant} {'-'.join(map(str, args.seeds))}"
    total = sum(one.iterations * one.values["pairs"] for one in runs) * len(args.seeds)
    attrs = {"env_id": env_id, "study": args.study}
    attrs["runs"] = json.dumps([one.values for one in runs], sort_keys=True)
    parts = []
    with (
        Pieces(args.out, identity) as pieces,
        tqdm(total=total, desc=label, unit="pair", unit_scale=True, mininterval=5) as progress,
    ):
        for number, one in enumerate(runs):
            if (piece := pieces.load(str(number))) is None:
                piece = _train(env_id, one, args.seeds, progress)
                pieces.save(str(number), piece)
            else:
                done = one.iterations * one.values["pairs"] * len(args.seeds)
                progress.initial += done  # no part of the pace
                progress.update(done)
            diverged, where = piece.pop("diverged"), (args.task, one.algo, args.seeds)
            parts.append(run_dataset(piece, DESCRIBED, diverged, where, one.labels, attrs))
        ds = xr.combine_by_coords(parts, combine_attrs="drop_conflicts")
        save_records(args.out, as_other(ds) if args.study == "semantics" else ds)


def _train(env_id: str, one: Run, seeds: list[int], progress: tqdm) -> dict[str, np.ndarray]:
    """The records of one run, `[iteration, agent]`, and `diverged`."""
    settings = make_settings(one.values)
    envs = make_envs(env_id, seeds)
    envs.close()
    purposes = [(*one.purpose, seed) for seed in seeds]
    state = stack_agents(
        [make_agent(settings, envs.obs_dim, envs.act_dim, *purpose, "init") for purpose in purposes]
    )
    columns = {name: np.full((one.iterations, len(seeds)), np.nan) for name in DESCRIBED}
    diverged = np.zeros(len(seeds), bool)
    steps = train_while_sound(env_id, state, settings, purposes, one.iterations, one.agreement_at)
    for iteration, (sound, records) in enumerate(steps):
        for name, column in columns.items():
            column[iteration] = records[name]
        diverged = ~sound
        progress.update(settings.pairs * len(seeds))
    return columns | {"diverged": diverged}


def _seeds(text: str) -> list[int]:
    try:
        return [int(seed) for seed in text.split("-")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of seeds such as 0-1-2") from None


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.vary", __doc__)
    parser.add_argument("study", choices=list(STUDIES), help="a study of params.yaml")
    parser.add_argument("--task", required=True, help="a task of params.yaml, such as hopper")
    parser.add_argument("--variant", required=True, help="a variant of the study, such as 2048 of regime")
    parser.add_argument(
        "--seeds", required=True, type=_seeds, help="seeds to train in lock step, such as 0-1-2"
    )
    parser.add_argument("--out", required=True, help="Zarr store for the records of every iteration")
    run(main, parser)
