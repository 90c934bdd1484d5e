"""Train one variant of a study (agents with some settings changed), and store the records of every iteration.

A run may diverge: its records end there, and the other seeds continue.
"""

import argparse
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

from pgprim.commands.command import code_of, load_params, make_parser, output, run, seeds_of
from pgprim.experience.train import RECORDS
from pgprim.rl.algorithms import make_settings
from pgprim.rl.initialise import make_agent
from pgprim.rl.streams import make_streams
from pgprim.store.datasets import save_store
from pgprim.store.files import Pieces
from pgprim.store.provenance import provenance
from pgprim.store.records import as_other, records_dataset
from pgprim.studies.variants import AGREEMENT, COSTS, train_while_sound
from pgprim.types.checkpoint import stack_agents
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from pgprim.types.variants import LABELS, STUDIES, Run, make_runs

DESCRIBED = RECORDS | dict([AGREEMENT])
"""Long name and unit of what is recorded of every run."""


def main(args: argparse.Namespace) -> None:
    """Start or resume the runs of one variant."""
    torch.set_num_threads(1)
    params = load_params()
    if args.task not in params["env"]:
        raise UserError(f"--task {args.task}: not one of env in params.yaml, {', '.join(params['env'])}")
    environment = Environment.from_dict(params["env"][args.task])
    runs = make_runs(params, args.study, args.task, args.variant)
    agents = sorted({f"agents/{one.algo}" for one in runs})
    identity = {
        "runs": [asdict(one) for one in runs],
        "environment": environment.as_dict(),
        "seeds": args.seeds,
        "code": code_of("commands/vary", *agents, f"environments/{args.task}"),
    }
    group = "-".join(map(str, args.seeds))
    label = f"vary {args.study} {args.task} {args.variant} {group}"
    total = sum(one.iterations * one.values["pairs"] for one in runs) * len(args.seeds)
    used = {"runs": [_used(one) for one in runs]}
    parts = []
    with (
        Pieces(Path(args.out, group), identity) as pieces,
        tqdm(total=total, desc=label, unit="pair", unit_scale=True, mininterval=5) as progress,
    ):
        for number, one in enumerate(runs):
            its_own = one.environment or environment
            attrs = provenance(used, environment=its_own) | {"study": args.study}
            if (piece := pieces.load(str(number))) is None:
                piece = _train(its_own, one, args.seeds, progress)
                pieces.save(str(number), piece)
            else:
                done = one.iterations * one.values["pairs"] * len(args.seeds)
                progress.initial += done  # no part of the pace
                progress.update(done)
            diverged, where = piece.pop("diverged"), (args.task, one.algo, args.seeds)
            parts.append(
                records_dataset(piece, DESCRIBED | COSTS | LABELS, *where, attrs, one.labels, diverged)
            )
        ds = xr.combine_by_coords(parts, combine_attrs="drop_conflicts")
        for seed in args.seeds:
            own = ds.sel(seed=[seed])
            save_store(Path(args.out, f"{seed}.zarr"), as_other(own) if args.study == "semantics" else own)


def _used(one: Run) -> dict[str, Any]:
    """A run's settings, and its environment if it differs from the task's own."""
    return one.values | ({"environment": one.environment.as_dict()} if one.environment else {})


def _train(environment: Environment, one: Run, seeds: list[int], progress: tqdm) -> dict[str, np.ndarray]:
    """The records of one run, `[iteration, agent]`, and `diverged`."""
    settings = make_settings(one.values)
    with closing(make_streams(environment, [0])) as streams:
        num_obs, num_act = streams.num_obs, streams.num_act
    purposes = [(*one.purpose, seed) for seed in seeds]
    state = stack_agents([make_agent(settings, num_obs, num_act, *purpose, "init") for purpose in purposes])
    names = [*DESCRIBED, *(COSTS if one.costs_at else ())]
    columns = {name: np.full((one.iterations, len(seeds)), np.nan) for name in names}
    diverged = np.zeros(len(seeds), bool)
    steps = train_while_sound(
        environment, state, settings, purposes, one.iterations, one.agreement_at, one.costs_at
    )
    for iteration, (sound, records) in enumerate(steps):
        for name, column in columns.items():
            column[iteration] = records[name]
        diverged = ~sound
        progress.update(settings.pairs * len(seeds))
    return columns | {"diverged": diverged}


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.vary", __doc__)
    parser.add_argument("study", choices=list(STUDIES), help="a study of params.yaml")
    parser.add_argument("--task", required=True, help="a task of params.yaml, such as hopper")
    parser.add_argument("--variant", required=True, help="a variant of the study, such as 2048 of regime")
    parser.add_argument(
        "--seeds", required=True, type=seeds_of, help="seeds to train in lock step, such as 0-1-2"
    )
    parser.add_argument(
        "--out", type=output, required=True, help="folder for the records of every iteration, SEED.zarr"
    )
    run(main, parser)
