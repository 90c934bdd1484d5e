"""How fast pgprim samples, trains, estimates and stores, against the simulator's own pace and against peers.

`make bench-pace` runs every workload in turns, so that a slow moment of the machine hits all alike, and prints the median
of each pace with its ratio to the physics limit of the same turn. Workloads are processes of their own, one per core,
side by side. The machine should be idle.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402

TASKS = {"hopper": "Hopper-v5", "walker2d": "Walker2d-v5", "humanoid": "Humanoid-v5"}
SEEDS = 3
STREAMS = 60
LENGTH = 16
"""Pairs between two states from which the physics alone is simulated again."""

Work = Callable[[str, int], Iterator[int]]
"""(task, pairs) ↦ first a 0 when it is ready to begin, then the pairs that were worked on."""


def physics(task: str, pairs: int) -> Iterator[int]:
    """`mujoco.rollout` alone: the same transitions as the sampler's, from recorded states and actions."""
    import gymnasium
    import mujoco
    from mujoco import rollout

    env = gymnasium.make(TASKS[task]).unwrapped
    env.reset(seed=0)
    spec = mujoco.mjtState.mjSTATE_FULLPHYSICS
    rng = np.random.default_rng(0)
    state = np.empty(mujoco.mj_stateSize(env.model, spec))
    starts, controls = [], []
    for _ in range(STREAMS):
        mujoco.mj_getState(env.model, env.data, state, spec)
        acts = rng.standard_normal((LENGTH, env.model.nu))
        starts.append(state.copy())
        controls.append(np.repeat(np.clip(acts, *env.model.actuator_ctrlrange.T), env.frame_skip, axis=0))
        for act in acts:
            if env.step(act)[2]:
                env.reset()
                break
    starts, controls, data = np.array(starts), np.array(controls), mujoco.MjData(env.model)
    yield 0
    for _ in range(max(1, pairs // (STREAMS * LENGTH))):
        rollout.rollout(env.model, [data], starts, controls)
    yield max(1, pairs // (STREAMS * LENGTH)) * STREAMS * LENGTH


def sampling(task: str, pairs: int) -> Iterator[int]:
    """Our sampler: a frozen policy in many streams, closed loop."""
    from pgprim.agents.sampling import sample_streams

    agent = checkpoint(task, "ppo")
    length = max(1, pairs // STREAMS)
    next(sample_streams(agent, STREAMS, 1, 1))
    yield 0
    for _ in sample_streams(agent, STREAMS, length, 512):
        pass
    yield STREAMS * length


def vector(task: str, pairs: int) -> Iterator[int]:
    """Gymnasium's own vector environment with the same policy."""
    import gymnasium
    from gymnasium.vector import SyncVectorEnv

    from pgprim.agents.acting import make_actor

    envs = SyncVectorEnv([lambda: gymnasium.make(TASKS[task])] * STREAMS)
    agent = checkpoint(task, "ppo")
    act_of = make_actor(agent.state.theta.numpy(), agent.num_obs, agent.num_act, (64, 64))
    rng = np.random.default_rng(0)
    obs, _ = envs.reset(seed=0)
    yield 0
    for _ in range(max(1, pairs // STREAMS)):
        noise = rng.standard_normal((1, STREAMS, agent.num_act), dtype=np.float32)
        obs, *_ = envs.step(act_of(obs[None].astype(np.float32), noise)[0].astype(np.float64))
    yield max(1, pairs // STREAMS) * STREAMS


def training(task: str, pairs: int, algo: str) -> Iterator[int]:
    """Our whole training loop, `SEEDS` agents in lock step."""
    from pgprim.agents.train import train
    from pgprim.types.agent import make_settings
    from pgprim.types.checkpoint import stack_agents

    agents = [checkpoint(task, algo, seed) for seed in range(SEEDS)]
    settings = make_settings(agents[0].settings)
    iterations = max(1, pairs // (SEEDS * settings.pairs))
    purposes = [("bench", seed) for seed in range(SEEDS)]
    state = stack_agents([agent.state for agent in agents])
    yield 0
    for _ in train(TASKS[task], state, settings, purposes, range(iterations)):
        pass
    yield iterations * SEEDS * settings.pairs


def peer(task: str, pairs: int, algo: str) -> Iterator[int]:
    """stable-baselines3's PPO or sb3-contrib's TRPO: same batch, epochs and networks, observations and rewards normalised."""
    import gymnasium
    import torch
    from sb3_contrib import TRPO
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    torch.set_num_threads(1)
    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make(TASKS[task])]))
    shared = {
        "n_steps": 2048, "batch_size": 64, "device": "cpu",
        "policy_kwargs": {"net_arch": {"pi": [64, 64], "vf": [64, 64]}},
    }  # fmt: skip
    if algo == "ppo":
        model = PPO("MlpPolicy", env, n_epochs=10, **shared)
    else:
        model = TRPO("MlpPolicy", env, cg_max_steps=10, n_critic_updates=10, sub_sampling_factor=1, **shared)
    iterations = max(1, pairs // 2048)
    yield 0
    model.learn(iterations * 2048)
    yield iterations * 2048


def estimation(task: str, pairs: int) -> Iterator[int]:
    """The gradient probe on stored rollouts."""
    from pgprim.probes.gradient.estimate import run
    from pgprim.store.rollouts import open_rollouts

    agent = checkpoint(task, "ppo")
    with tempfile.TemporaryDirectory() as folder:
        length = write(agent, Path(folder, "rollouts.zarr"), pairs)
        params = {
            "sample": {"trials": 10, "truth_streams": STREAMS - 10, "pairs": length},
            "estimate": {"gradient": {"budgets": [length // 4, length], "level": 0.95}},
        }
        reader = open_rollouts(Path(folder, "rollouts.zarr"))
        yield 0
        run(agent, reader, params)
        yield STREAMS * length


def reading(task: str, pairs: int) -> Iterator[int]:
    """Stored rollouts read block by block; bytes instead of pairs."""
    from pgprim.store.rollouts import open_rollouts

    with tempfile.TemporaryDirectory() as folder:
        write(checkpoint(task, "ppo"), Path(folder, "rollouts.zarr"), pairs)
        reader = open_rollouts(Path(folder, "rollouts.zarr"))
        yield 0
        yield sum(
            block.obs.nbytes + block.act.nbytes + block.rew.nbytes
            for block in reader.blocks(slice(0, STREAMS))
        )


def writing(task: str, pairs: int) -> Iterator[int]:
    """Rollouts written as the sampler hands them on; bytes instead of pairs."""
    from pgprim.agents.sampling import sample_streams
    from pgprim.store.rollouts import BLOCK, RolloutWriter

    agent, length = checkpoint(task, "ppo"), max(1, pairs // STREAMS)
    blocks = list(sample_streams(agent, STREAMS, length, BLOCK))
    with tempfile.TemporaryDirectory() as folder:
        yield 0
        with RolloutWriter(
            Path(folder, "r.zarr"), STREAMS, length, agent.num_obs, agent.num_act, {}
        ) as writer:
            for block in blocks:
                writer.append(block)
        yield sum(block.obs.nbytes + block.act.nbytes + block.rew.nbytes for block in blocks)


def write(agent, path: Path, pairs: int) -> int:
    """Sample into a store; returns the pairs per stream."""
    from pgprim.agents.sampling import sample_streams
    from pgprim.store.rollouts import BLOCK, RolloutWriter

    length = max(8, pairs // STREAMS)
    attrs = {name: getattr(agent, name) for name in ("task", "env_id", "algo", "seed", "iteration")}
    with RolloutWriter(path, STREAMS, length, agent.num_obs, agent.num_act, attrs) as writer:
        for block in sample_streams(agent, STREAMS, length, BLOCK):
            writer.append(block)
    return length


def checkpoint(task: str, algo: str, seed: int = 0):
    """An agent at the start of training, with the numbers of the default set."""
    import torch

    from pgprim.agents.envs import make_envs
    from pgprim.agents.initialise import make_agent
    from pgprim.types.agent import make_settings, settings_of
    from pgprim.types.checkpoint import Checkpoint
    from pgprim.types.params import load

    torch.set_num_threads(1)
    values = settings_of(load(Path(__file__).parents[1] / "workflow/scales/default.yaml"), task, algo)
    envs = make_envs(TASKS[task], [0])
    state = make_agent(make_settings(values), envs.obs_dim, envs.act_dim, "bench", seed)
    envs.close()
    return Checkpoint(task, TASKS[task], algo, seed, 0, envs.obs_dim, envs.act_dim, values, state)


WORKS: dict[str, tuple[Callable[..., Iterator[int]], tuple[str, ...]]] = {
    "physics limit": (physics, ()),
    "sampling": (sampling, ()),
    "gymnasium vector": (vector, ()),
    "training PPO": (training, ("ppo",)),
    "stable-baselines3 PPO": (peer, ("ppo",)),
    "training TRPO": (training, ("trpo",)),
    "sb3-contrib TRPO": (peer, ("trpo",)),
    "gradient estimation": (estimation, ()),
    "rollouts written": (writing, ()),
    "rollouts read": (reading, ()),
}
IN_BYTES = ("rollouts written", "rollouts read")


def run_work(name: str, task: str, pairs: int) -> None:
    """One workload in this process: says that it is ready, waits for a line, and prints its pace."""
    function, extra = WORKS[name]
    work = function(task, pairs, *extra)
    next(work)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    done = next(work)
    print(done / (time.perf_counter() - start), flush=True)


def pace(name: str, task: str, pairs: int, cores: int) -> float:
    """Pairs (or bytes) per second of one process per core, all at once."""
    command = [sys.executable, __file__, "--work", name, "--task", task, "--pairs", str(pairs)]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(cores)
    ]
    for worker in workers:
        if worker.stdout.readline() != "ready\n":
            raise SystemExit(f"{name} on {task} did not start")
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return sum(float(worker.communicate()[0]) for worker in workers)


def main() -> None:
    """Measure in turns and print a table, and JSON below it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=list(TASKS))
    parser.add_argument("--works", nargs="*", choices=WORKS, default=list(WORKS), metavar="WORK")
    parser.add_argument("--pairs", type=int, default=40_000, help="pairs of a workload and process")
    parser.add_argument("--times", type=int, default=3, help="turns")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="processes side by side")
    parser.add_argument("--work", choices=WORKS, help=argparse.SUPPRESS)
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        run_work(args.work, args.task, args.pairs)
        return
    works = ["physics limit", *(name for name in args.works if name != "physics limit")]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for task in args.tasks:
        turns = [
            {name: pace(name, task, args.pairs, args.cores) for name in works} for _ in range(args.times)
        ]
        found[task] = {
            name: {
                "per_second": float(np.median([turn[name] for turn in turns])),
                "of_limit": float(np.median([turn[name] / turn["physics limit"] for turn in turns])),
            }
            for name in works
        }
        for name, numbers in found[task].items():
            unit = "MB/s" if name in IN_BYTES else "pairs/s"
            value = numbers["per_second"] / (1e6 if name in IN_BYTES else 1)
            ratio = "" if name in IN_BYTES else f"{numbers['of_limit']:8.2f} of the limit"
            print(f"{task:9} {name:22} {value:12,.0f} {unit:8}{ratio}", flush=True)
    print(json.dumps({"cores": args.cores, "pairs": args.pairs, "paces": found}))


if __name__ == "__main__":
    main()
