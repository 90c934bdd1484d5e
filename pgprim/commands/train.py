"""Train agents of one task and algorithm, several seeds in lock step, and save each seed's snapshots and records."""

import argparse
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from pgprim.commands.command import code_of, load_params, make_parser, output, run, seeds_of
from pgprim.experience.train import RECORDS, train
from pgprim.rl.algorithms import make_settings
from pgprim.rl.initialise import make_agent
from pgprim.rl.streams import make_streams, time_limit
from pgprim.store.checkpoints import load_checkpoint, save_checkpoint
from pgprim.store.datasets import save_store
from pgprim.store.files import Pieces, writing
from pgprim.store.provenance import provenance
from pgprim.store.records import records_dataset
from pgprim.types.agent import settings_of
from pgprim.types.checkpoint import AgentState, Checkpoint, stack_agents
from pgprim.types.environment import Environment


def main(args: argparse.Namespace) -> None:
    """Start or resume one training."""
    torch.set_num_threads(1)
    params = load_params()
    seeds = args.seeds
    values = settings_of(params, args.task, args.algo)
    settings = make_settings(values)
    environment = Environment.from_dict(params["env"][args.task])
    time_limit(environment)  # a limit that nobody can know is refused here, not by the stages after training
    with closing(make_streams(environment, [0])) as streams:
        num_obs, num_act = streams.num_obs, streams.num_act
    blank = {"task": args.task, "algo": args.algo, "environment": environment}
    blank |= {"num_obs": num_obs, "num_act": num_act, "settings": values}
    purposes = [("train", args.task, args.algo, seed) for seed in seeds]
    num_iterations, every = params["train"]["iterations"], params["train"]["snapshot_every"]

    identity = blank | {
        "environment": environment.as_dict(),
        "seeds": seeds,
        "snapshot_every": every,
        "code": code_of("commands/train", f"agents/{args.algo}", f"environments/{args.task}"),
    }
    group = "-".join(map(str, seeds))
    with Pieces(Path(args.snapshots, group), identity) as pieces:
        folder = pieces.folder / "snapshots"
        state, columns = _resume(pieces, folder, seeds, num_iterations)
        if state is None:
            state = stack_agents(
                [make_agent(settings, num_obs, num_act, *purpose, "init") for purpose in purposes]
            )
        done = len(columns["return_mean"])

        def snapshot(iteration: int) -> None:
            for index, seed in enumerate(seeds):
                checkpoint = Checkpoint(**blank, seed=seed, iteration=iteration, state=state.agent(index))
                save_checkpoint(folder / str(seed) / f"{iteration}.safetensors", checkpoint)
            pieces.save("records", columns)

        if done == 0:
            snapshot(0)
        label = f"train {args.task} {args.algo} {group}"
        with tqdm(
            total=num_iterations, initial=done, desc=label, unit="iteration", mininterval=5
        ) as progress:
            for trained, records in train(
                environment, state, settings, purposes, range(done, num_iterations)
            ):
                state = trained
                columns = {name: np.concatenate([columns[name], records[name][None]]) for name in columns}
                done += 1
                if done % every == 0:
                    snapshot(done)
                progress.set_postfix_str(
                    "return " + " ".join(f"{x:.0f}" for x in records["return_mean"]), refresh=False
                )
                progress.update()

        attrs = provenance({"settings": values}, environment=environment)
        attrs["semantics"] = values["semantics"]
        for index, seed in enumerate(seeds):
            own = {name: column[:, index : index + 1] for name, column in columns.items()}
            ds = records_dataset(own, RECORDS, args.task, args.algo, [seed], attrs)
            save_store(Path(args.records, f"{seed}.zarr"), ds)
        for seed in seeds:
            with writing(Path(args.snapshots, str(seed))) as target:
                (folder / str(seed)).rename(target)


def _resume(
    pieces: Pieces, folder: Path, seeds: list[int], most: int
) -> tuple[AgentState | None, dict[str, np.ndarray]]:
    """The last iteration, at most `most`, that has every seed's snapshot and records; None without any."""
    if (recorded := pieces.load("records")) is None:
        return None, {name: np.zeros((0, len(seeds))) for name in RECORDS}
    for half_written in folder.rglob(".*"):
        half_written.unlink()
    saved = set.intersection(
        *({int(path.stem) for path in (folder / str(seed)).glob("[0-9]*.safetensors")} for seed in seeds)
    )
    done = max((k for k in saved if k <= min(most, len(recorded["return_mean"]))), default=None)
    if done is None:  # killed as it moved whole snapshots to their place
        return None, {name: np.zeros((0, len(seeds))) for name in RECORDS}
    for late in [iteration for iteration in saved if iteration > done]:
        for seed in seeds:
            (folder / str(seed) / f"{late}.safetensors").unlink(missing_ok=True)
    checkpoints = [load_checkpoint(folder / str(seed) / f"{done}.safetensors") for seed in seeds]
    return (
        stack_agents([checkpoint.state for checkpoint in checkpoints]),
        {name: column[:done] for name, column in recorded.items()},
    )


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.train", __doc__)
    parser.add_argument("--task", required=True, help="a task of params.yaml, such as hopper")
    parser.add_argument("--algo", required=True, help="an algorithm of params.yaml: ppo, ppo_m or trpo")
    parser.add_argument(
        "--seeds", required=True, type=seeds_of, help="seeds to train in lock step, such as 0-1-2"
    )
    parser.add_argument(
        "--snapshots", type=output, required=True, help="folder for snapshots, SEED/ITERATION.safetensors"
    )
    parser.add_argument(
        "--records", type=output, required=True, help="folder for the records of every iteration, SEED.zarr"
    )
    run(main, parser)
