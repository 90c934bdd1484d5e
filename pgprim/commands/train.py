"""Train the agents of one task and algorithm in lock step; keep snapshots and records."""

import argparse
import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from pgprim.commands.command import load_params, make_parser, run
from pgprim.experience.train import RECORDS, train
from pgprim.rl.algorithms import make_settings
from pgprim.rl.envs import make_envs
from pgprim.rl.initialise import make_agent
from pgprim.store.checkpoints import load_checkpoint, save_checkpoint
from pgprim.store.records import records_dataset, save_records
from pgprim.types.agent import settings_of
from pgprim.types.checkpoint import AgentState, Checkpoint, stack_agents

UNFINISHED = Path("data/unfinished")
"""Where a run keeps what it has until it is whole; a killed run goes on from there."""

CODE = Path("data/code/commands/train.txt")


def main(args: argparse.Namespace) -> None:
    """Run, or go on with, one training."""
    torch.set_num_threads(1)
    params = load_params()
    seeds = args.seeds
    values = settings_of(params, args.task, args.algo)
    settings = make_settings(values)
    env_id = params["env"][args.task]["id"]
    envs = make_envs(env_id, seeds)
    identity = {"task": args.task, "env_id": env_id, "algo": args.algo}
    blank = identity | {"num_obs": envs.obs_dim, "num_act": envs.act_dim, "settings": values}
    envs.close()
    purposes = [("train", args.task, args.algo, seed) for seed in seeds]
    num_iterations, every = params["train"]["iterations"], params["train"]["snapshot_every"]

    folder = UNFINISHED / args.snapshots
    code = CODE.read_text() if CODE.exists() else None
    _discard_if_other(folder, blank | {"seeds": seeds, "snapshot_every": every, "code": code})
    state, columns = _resume(folder, seeds, num_iterations)
    if state is None:
        state = stack_agents(
            [make_agent(settings, envs.obs_dim, envs.act_dim, *purpose, "init") for purpose in purposes]
        )
    done = len(columns["return_mean"])

    def snapshot(iteration: int) -> None:
        for index, seed in enumerate(seeds):
            checkpoint = Checkpoint(**blank, seed=seed, iteration=iteration, state=state.agent(index))
            save_checkpoint(folder / str(seed) / f"{iteration}.safetensors", checkpoint)
        np.savez(folder / ".records.npz", **columns)
        os.replace(folder / ".records.npz", folder / "records.npz")

    if done == 0:
        snapshot(0)
    label = f"train {args.task} {args.algo} {'-'.join(map(str, seeds))}"
    with tqdm(total=num_iterations, initial=done, desc=label, unit="iteration", mininterval=5) as progress:
        for trained, records in train(env_id, state, settings, purposes, range(done, num_iterations)):
            state = trained
            columns = {name: np.concatenate([columns[name], records[name][None]]) for name in columns}
            done += 1
            if done % every == 0:
                snapshot(done)
            progress.set_postfix_str(
                "return " + " ".join(f"{x:.0f}" for x in records["return_mean"]), refresh=False
            )
            progress.update()

    attrs = {name: str(value) for name, value in identity.items()} | {
        "settings": json.dumps(values, sort_keys=True)
    }
    save_records(args.records, records_dataset(columns, RECORDS, args.task, args.algo, seeds, attrs))
    for name in ("records.npz", "run.json"):
        (folder / name).unlink(missing_ok=True)
    target = Path(args.snapshots)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    os.replace(folder, target)


def _seeds(text: str) -> list[int]:
    try:
        return [int(seed) for seed in text.split("-")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of seeds such as 0-1-2") from None


def _discard_if_other(folder: Path, run_description: dict) -> None:
    """Start afresh unless the unfinished run is of this very code and these very settings."""
    text = json.dumps(run_description, sort_keys=True)
    file = folder / "run.json"
    if not file.exists() or file.read_text() != text:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        file.write_text(text)


def _resume(folder: Path, seeds: list[int], most: int) -> tuple[AgentState | None, dict[str, np.ndarray]]:
    """The last iteration, at most `most`, for which every seed's snapshot and the records are there, if any."""
    file = folder / "records.npz"
    if not file.exists():
        return None, {name: np.zeros((0, len(seeds))) for name in RECORDS}
    with np.load(file) as saved:
        recorded = {name: saved[name] for name in RECORDS}
    for half_written in folder.rglob(".*"):
        half_written.unlink()
    kept = {int(path.stem) for path in (folder / str(seeds[0])).glob("*.safetensors")}
    done = max(iteration for iteration in kept if iteration <= min(most, len(recorded["return_mean"])))
    for late in [iteration for iteration in kept if iteration > done]:
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
        "--seeds", required=True, type=_seeds, help="seeds to train in lock step, such as 0-1-2"
    )
    parser.add_argument(
        "--snapshots", required=True, help="folder for snapshots, {seed}/{iteration}.safetensors"
    )
    parser.add_argument("--records", required=True, help="Zarr store for the records of every iteration")
    run(main, parser)
