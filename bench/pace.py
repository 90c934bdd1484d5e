"""Speed of sampling, training, estimating and storing, relative to the bare simulator and to other libraries.

`make bench-pace` runs the workloads in turns and measures the physics limit before and after each that is compared
with it, so that a slow moment of the machine affects both. It prints the medians of rates and of ratios within a
turn. Each workload is a separate process, one per core; the start of Python is not counted. The machine should be
idle.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, closing, contextmanager
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np

from bench.projects import (
    default_params,
    import_modules,
    make_project,
    measure,
    pool_of,
    run_stage,
    untrained,
)
from bench.records import judged, save, table
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.rollouts import Rollout

ROOT = Path(__file__).parents[1]
TASKS = ("hopper", "walker2d", "humanoid")
STREAMS = 60
LENGTH = 16
"""Pairs between two states from which the physics alone is simulated again."""
START = 64
"""Pairs of each stream in which the sampler gets going."""
WRITTEN = 2**27
"""Least size of the rollouts that are written and read [bytes]: what a store takes beside its data must not count."""

Turn = dict[str, dict[str, float]]
"""`paces` of the workloads, pairs (or bytes) per second, and of the `limits` beside those that are compared to it."""


def physics(agent: Checkpoint, pairs: int) -> Iterator[int]:
    """`mujoco.rollout` alone: transitions such as the sampler's, from recorded states and actions of the agent."""
    import gymnasium
    import mujoco
    from mujoco import rollout

    env = gymnasium.make(agent.environment.id).unwrapped
    obs, _ = env.reset(seed=0)
    spec = mujoco.mjtState.mjSTATE_FULLPHYSICS
    act_of, rng = actor(agent, 1), np.random.default_rng(0)
    state = np.empty(mujoco.mj_stateSize(env.model, spec))
    starts, controls = [], []
    for _ in range(STREAMS):
        mujoco.mj_getState(env.model, env.data, state, spec)
        starts.append(state.copy())
        acts = np.zeros((LENGTH, agent.num_act))
        for t in range(LENGTH):
            noise = rng.standard_normal((1, agent.num_act), dtype=np.float32)
            acts[t] = np.clip(act_of(obs[None], noise)[0], env.action_space.low, env.action_space.high)
            obs, _, terminated, _, _ = env.step(acts[t])
            if terminated:
                obs, _ = env.reset()
        controls.append(np.repeat(acts, env.frame_skip, axis=0))
    starts, controls, data = np.array(starts), np.array(controls), mujoco.MjData(env.model)
    times = max(1, pairs // (STREAMS * LENGTH))
    yield 0
    for _ in range(times):
        rollout.rollout(env.model, [data], starts, controls)
    yield times * STREAMS * LENGTH


def simulator(agent: Checkpoint, pairs: int) -> Iterator[int]:
    """The sampler's simulator without a policy: the same streams again, from actions that were recorded before."""
    from pgprim.rl.streams import make_streams

    act_of, rng = actor(agent, STREAMS), np.random.default_rng(0)
    acts = []
    with closing(make_streams(agent.environment, range(STREAMS))) as streams:
        obs = streams.reset()
        for _ in range(max(1, pairs // STREAMS)):
            acts.append(act_of(obs, rng.standard_normal((STREAMS, agent.num_act), dtype=np.float32)))
            obs = streams.step(acts[-1]).obs
    with closing(make_streams(agent.environment, range(STREAMS))) as streams:
        streams.reset()
        yield 0
        for act in acts:
            streams.step(act)
        yield len(acts) * STREAMS


def sampling(agent: Checkpoint, pairs: int) -> Iterator[int]:
    """Our sampler: a frozen policy in many streams, closed loop; its start is not counted, as little as the others'."""
    from pgprim.experience.rollout import sample_streams

    length = max(1, pairs // STREAMS)
    blocks = sample_streams(agent, ("bench",), STREAMS, START + length, START)
    next(blocks)
    yield 0
    for _ in blocks:
        pass
    yield STREAMS * length


def vector(agent: Checkpoint, pairs: int) -> Iterator[int]:
    """Gymnasium's own vector environment with the same policy."""
    import gymnasium
    from gymnasium.vector import SyncVectorEnv

    envs = SyncVectorEnv([lambda: gymnasium.make(agent.environment.id)] * STREAMS)
    act_of, rng = actor(agent, STREAMS), np.random.default_rng(0)
    obs, _ = envs.reset(seed=0)
    yield 0
    for _ in range(max(1, pairs // STREAMS)):
        noise = rng.standard_normal((STREAMS, agent.num_act), dtype=np.float32)
        obs, *_ = envs.step(act_of(obs, noise))
    yield max(1, pairs // STREAMS) * STREAMS


def training(agent: Checkpoint, pairs: int, algo: str) -> Iterator[int]:
    """Our whole training loop, as many agents in lock step as in the default set, from the start of training."""
    from pgprim.experience.train import train
    from pgprim.rl.algorithms import make_settings
    from pgprim.types.checkpoint import stack_agents

    seeds = range(default_params()["lockstep"])
    agents = [untrained(agent.task, algo, seed) for seed in seeds]
    settings = make_settings(agents[0].settings)
    iterations = max(1, pairs // (len(seeds) * settings.pairs))
    purposes = [("bench", seed) for seed in seeds]
    state = stack_agents([agent.state for agent in agents])
    yield 0
    for _ in train(agent.environment, state, settings, purposes, range(iterations)):
        pass
    yield iterations * len(seeds) * settings.pairs


def peer(agent: Checkpoint, pairs: int, algo: str) -> Iterator[int]:
    """stable-baselines3's PPO or sb3-contrib's TRPO with the same batch, epochs, networks and normalisation."""
    import gymnasium
    import torch
    from sb3_contrib import TRPO
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    torch.set_num_threads(1)
    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make(agent.environment.id)]))
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


def estimation(agent: Checkpoint, pairs: int) -> Iterator[int]:
    """The gradient probe on stored rollouts, with the default set's kept streams and their budgets."""
    from pgprim.probes.gradient.measure import measure as measure_gradient
    from pgprim.store.inputs import Inputs
    from pgprim.store.rollouts import BLOCK, open_rollouts

    params = probe_params(default_params(), pairs)
    sample = params["sample"]
    block = sample_block(agent, sample["kept"])
    times = ceil(sample["pairs"] / BLOCK)
    params["sample"] = sample | {"pairs": times * BLOCK}
    with tempfile.TemporaryDirectory() as folder:
        write(agent, Path(folder, "rollouts.zarr"), block, times)
        reader = open_rollouts(Path(folder, "rollouts.zarr"))
        yield 0
        measure_gradient(Inputs(agent, reader, params["sample"]), params["probes"]["rollouts"]["gradient"])
        yield num_sampled(params)


def landscape(agent: Checkpoint, pairs: int) -> Iterator[int]:
    """The stage `landscape` with a plane of the default set: batch, step, surrogate, and the reward at all points."""
    with project(agent, pairs, "commands.probe", "probes.landscape.measure") as params:
        points, (budget,) = params["landscape"]["plane"]["points"] ** 2, params["landscape"]["few"]["budgets"]
        yield 0
        measure("landscape", "landscape.nc", case="few")
        yield agent.settings["pairs"] + points * budget


def steps(agent: Checkpoint, pairs: int) -> Iterator[int]:
    """The stage `sample` and the probe `steps`."""
    modules = ("commands.sample", "commands.probe", "probes.steps.measure")
    with project(agent, pairs, *modules) as params:
        yield 0
        run_stage("sample", out="rollouts.zarr")
        measure("steps", "steps.nc", rollouts="rollouts.zarr", vectors="steps.zarr")
        yield num_sampled(params)


def baselines(agent: Checkpoint, pairs: int) -> Iterator[int]:
    """The stage `sample` and the probes `fit` and `baselines`."""
    modules = ("commands.sample", "commands.probe", "probes.fit.measure", "probes.baselines.measure")
    with project(agent, pairs, *modules) as params:
        yield 0
        run_stage("sample", out="rollouts.zarr")
        measure("fit", "fit.safetensors", rollouts="rollouts.zarr")
        result = [("fit", "fit.safetensors")]
        measure(
            "baselines", "baselines.nc", rollouts="rollouts.zarr", vectors="baselines.zarr", result=result
        )
        yield num_sampled(params)


def floors(agent: Checkpoint, pairs: int) -> Iterator[int]:
    """The probe `floors` after its update: a stream, and continuations of its states."""
    from pgprim.experience.fork import fork_stream
    from pgprim.probes.floors.measure import estimate, updated
    from pgprim.rl.streams import time_limit

    floor = default_params()["probes"]["checkpoints"]["floors"]
    num_pairs, states = agent.settings["pairs"], max(2, pairs // (floor["branches"] * floor["beyond"]))
    positions = [k * num_pairs // states for k in range(states)]
    simulated = [positions[-1] + 1]
    agent, phi = updated(agent)

    def forks():
        for fork in fork_stream(agent, positions, floor["branches"], floor["beyond"]):
            simulated.append(num_simulated(fork.branches.terminated))
            yield fork

    yield 0
    estimate(agent, phi, forks(), time_limit(agent.environment))
    yield sum(simulated)


def reading(agent: Checkpoint, pairs: int) -> Iterator[int]:
    """Stored rollouts read block by block; bytes instead of pairs."""
    from pgprim.store.rollouts import open_rollouts

    block = sample_block(agent)
    with tempfile.TemporaryDirectory() as folder:
        write(agent, Path(folder, "rollouts.zarr"), block, times_written(block))
        reader = open_rollouts(Path(folder, "rollouts.zarr"))
        yield 0
        yield sum(num_bytes(found) for found in reader.blocks())


def writing(agent: Checkpoint, pairs: int) -> Iterator[int]:
    """Rollouts written as the sampler hands them on; bytes instead of pairs."""
    block = sample_block(agent)
    times = times_written(block)
    with tempfile.TemporaryDirectory() as folder:
        yield 0
        write(agent, Path(folder, "rollouts.zarr"), block, times)
        yield times * num_bytes(block)


def sample_block(agent: Checkpoint, num_streams: int = STREAMS) -> Rollout:
    """A whole block of so many streams."""
    from pgprim.experience.rollout import sample_streams
    from pgprim.store.rollouts import BLOCK

    return next(sample_streams(agent, ("bench",), num_streams, BLOCK, BLOCK))


def num_bytes(block: Rollout) -> int:
    """Size of what is stored of a block, without its flags and final observations."""
    return block.obs.nbytes + block.act.nbytes + block.rew.nbytes


def times_written(block: Rollout) -> int:
    """How many times over a block takes `WRITTEN` bytes."""
    return ceil(WRITTEN / num_bytes(block))


def write(agent: Checkpoint, path: Path, block: Rollout, times: int) -> None:
    """Store a block so many times over: rollouts of any length without the time to sample them."""
    from pgprim.store.rollouts import BLOCK, RolloutWriter

    with RolloutWriter(path, len(block.rew), times * BLOCK, agent.num_obs, agent.num_act, {}) as writer:
        for start in range(0, times * BLOCK, BLOCK):
            finals = replace(block.finals, t=block.finals.t + np.int32(start))
            writer.append(replace(block, start=start, finals=finals))


def actor(agent: Checkpoint, num_streams: int):
    """(observations, noise) ↦ the agent's actions in so many streams."""
    from pgprim.experience.rollout import frozen_policies
    from pgprim.rl.acting import make_actor
    from pgprim.rl.networks import make_policy

    policies = frozen_policies(agent)
    net = make_policy(policies.settings, agent.num_obs, agent.num_act)
    act_of = make_actor(net, policies.theta, num_streams, policies.rows)
    return lambda obs, noise: act_of(policies.normaliser(obs), noise)


@contextmanager
def project(agent: Checkpoint, pairs: int, *modules: str) -> Iterator[dict]:
    """A folder with the agent and `probe_params`, entered; the modules of pgprim are imported."""
    import_modules(*modules)
    params = probe_params(default_params(), pairs)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        make_project(Path(folder), agent, params)
        yield params


def probe_params(params: dict, pairs: int) -> dict:
    """Parameters with so many pairs of rollouts, or of a landscape's reward, and budgets in proportion."""
    sample, scape = params["sample"], params["landscape"]
    length = pairs // sample["kept"]
    reward = {"budgets": [pairs // scape["plane"]["points"] ** 2]}

    def scaled(budgets: list[int], least: int) -> list[int]:
        within = [budget for budget in budgets if budget <= sample["pairs"]]
        return sorted({max(least, budget * length // sample["pairs"]) for budget in within})

    rollouts = {
        name: block | {"budgets": scaled(block["budgets"], 2 * params["train"]["minibatches"])}
        for name, block in params["probes"]["rollouts"].items()
    }
    return params | {
        "sample": pool_of(params, sample["kept"], length),
        "probes": params["probes"] | {"rollouts": rollouts},
        "plot": params["plot"] | {"budget": rollouts["gradient"]["budgets"][-1]},
        "baselines": params["baselines"]
        | {
            "budgets": scaled(params["baselines"]["budgets"], 2),
            "pairs": scaled([params["baselines"]["pairs"]], 2)[0],
        },
        "landscape": scape | {"few": scape["few"] | reward | {"closer": []}, "many": scape["many"] | reward},
    }


def num_sampled(params: dict) -> int:
    """Pairs of a checkpoint's rollouts."""
    sample = params["sample"]
    return sample["kept"] * sample["pairs"]


def num_simulated(terminated: np.ndarray) -> int:
    """Pairs that were simulated of continuations `[branch, t]`, which repeat the flag behind their end."""
    return int((~terminated).sum() + terminated.any(axis=1).sum())


LIMIT = "physics limit"
LARGE = (
    "landscape",
    "sample, steps",
    "sample, fit, baselines",
    "training PPO",
    "training TRPO",
    "gradient estimation",
)
"""Workloads of more pairs. What a probe takes beside its pairs must count as it does in the default set, and what training
takes while agents fall at once must not count for more than it does in a run of 500 iterations."""
IN_BYTES = ("rollouts written", "rollouts read")

WORKS: dict[str, tuple[Callable[..., Iterator[int]], tuple[str, ...]]] = {
    LIMIT: (physics, ()),
    "simulator alone": (simulator, ()),
    "sampling": (sampling, ()),
    "gymnasium vector": (vector, ()),
    "landscape": (landscape, ()),
    "sample, steps": (steps, ()),
    "sample, fit, baselines": (baselines, ()),
    "floors": (floors, ()),
    "training PPO": (training, ("ppo",)),
    "training TRPO": (training, ("trpo",)),
    "stable-baselines3 PPO": (peer, ("ppo",)),
    "sb3-contrib TRPO": (peer, ("trpo",)),
    "gradient estimation": (estimation, ()),
    "rollouts written": (writing, ()),
    "rollouts read": (reading, ()),
}
"""(agent, pairs) ↦ first a 0 when the work is ready to begin, then the pairs that were worked on."""

RATIOS = (
    ("simulator alone", LIMIT, None),
    ("sampling", LIMIT, 0.88),
    ("gymnasium vector", LIMIT, None),
    ("landscape", LIMIT, 0.80),
    ("sample, steps", LIMIT, 0.70),
    ("sample, fit, baselines", LIMIT, 0.80),
    ("floors", LIMIT, 0.80),
    ("training PPO", LIMIT, 0.50),
    ("training PPO", "stable-baselines3 PPO", {"hopper": 6, "walker2d": 5, "humanoid": 4}),
    ("training TRPO", LIMIT, 0.60),
    ("training TRPO", "sb3-contrib TRPO", None),
    ("gradient estimation", "sampling", 25),
)
"""Workload, what it is compared to, and the least ratio that is the target, of each task where they differ.

Estimation is to take 4 % of the time of sampling.
"""

LEAST_WRITTEN = 200
"""Target for writing rollouts [MB/s]."""


LIMITED = {name for name, other, _ in RATIOS if other == LIMIT}
"""Workloads that are compared to the physics limit."""


def take_turn(names: Sequence[str], pace_of: Callable[[str], float]) -> Turn:
    """The pace of each workload, one after the other; the limit beside one is the mean of those before and after it.

    Args:
        names: The workloads.
        pace_of: Measures one of them.
    """
    paces, limits = {}, {}
    measured: list[float] = []
    is_beside = False  # whether the limit was the last to be measured
    for name in names:
        if name == LIMIT:
            continue
        is_compared = name in LIMITED
        if is_compared and not is_beside:
            measured.append(pace_of(LIMIT))
        paces[name] = pace_of(name)
        if is_compared:
            measured.append(pace_of(LIMIT))
            limits[name] = (measured[-2] + measured[-1]) / 2
        is_beside = is_compared
    return {"paces": {LIMIT: float(np.median(measured or [pace_of(LIMIT)]))} | paces, "limits": limits}


def ratio(turns: list[Turn], name: str, other: str) -> float | None:
    """Median of the ratio of two paces of the same turn; None where one was not measured."""
    found = []
    for turn in turns:
        beside = turn["limits"].get(name) if other == LIMIT else turn["paces"].get(other)
        if beside is not None and name in turn["paces"]:
            found.append(turn["paces"][name] / beside)
    return float(np.median(found)) if found else None


def page(numbers: dict) -> str:
    """Tables of paces and of ratios."""
    turns, tasks = numbers["turns"], list(numbers["turns"])
    rows = []
    for name in WORKS:
        found = {
            task: [turn["paces"][name] for turn in turns[task] if name in turn["paces"]] for task in tasks
        }
        if not all(found.values()):
            continue
        unit, size = ("MB/s", 1e6) if name in IN_BYTES else ("pairs/s", 1)
        medians = [float(np.median(found[task])) / size for task in tasks]
        least = LEAST_WRITTEN if name == "rollouts written" else 0
        rows.append((name, unit, *(judged(f"{median:,.0f}", median >= least) for median in medians)))
        if name == "landscape":
            size = numbers["point_pairs"]
            rows.append((f"... of {size:,} pairs each", "points/s", *(f"{m / size:.2f}" for m in medians)))
    compared = []
    for name, other, least in RATIOS:
        found = [ratio(turns[task], name, other) for task in tasks]
        if None not in found:
            leasts = least if isinstance(least, dict) else dict.fromkeys(TASKS, least)
            target = " / ".join(f"{value:g}" for value in dict.fromkeys(leasts.values()) if value is not None)
            cells = [
                judged(f"{value:.2f}", leasts[task] is None or value >= leasts[task])
                for task, value in zip(tasks, found, strict=True)
            ]
            compared.append((f"{name} / {other}", f"≥ {target}" if target else "", *cells))
    num_turns = len(turns[tasks[0]])
    about = (
        f"{numbers['cores']} processes side by side, {f'medians over {num_turns} turns' if num_turns > 1 else 'one turn'}; agents: "
        f"{numbers['agents']}; {numbers['pairs']:,} pairs per process and workload, "
        f"{numbers['large_pairs']:,} of {'; '.join(LARGE)}."
    )
    return "\n\n".join([about, table(("", "", *tasks), rows), table(("ratio", "target", *tasks), compared)])


def run_work(name: str, task: str, pairs: int, agents: str | None) -> None:
    """One workload in this process: says that it is ready, waits for a line, and prints its pace."""
    from pgprim.store.checkpoints import load_checkpoint

    function, extra = WORKS[name]
    agent = load_checkpoint(agents.format(task=task)) if agents else untrained(task)
    work = function(agent, pairs, *extra)
    next(work)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    done = next(work)
    print(done / (time.perf_counter() - start), flush=True)


def pace(name: str, task: str, args: argparse.Namespace) -> float:
    """Pairs (or bytes) per second of one process per core, all at once."""
    pairs = args.large_pairs if name in LARGE else args.pairs
    command = [sys.executable, "-m", "bench.pace", "--work", name, "--tasks", task, "--pairs", str(pairs)]
    command += ["--agents", args.agents] if args.agents else []
    workers = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"TQDM_DISABLE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(args.cores)
    ]
    for worker in workers:
        if worker.stdout.readline() != "ready\n":
            raise SystemExit(f"{name} on {task} did not start")
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    found = round(sum(float(worker.communicate()[0]) for worker in workers), 1)
    print(f"{task:9} {name:22} {found:14,.0f}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measure in turns and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=list(TASKS))
    parser.add_argument("--works", nargs="*", choices=WORKS, default=list(WORKS), metavar="WORK")
    parser.add_argument("--pairs", type=int, default=40_000, help="pairs of a workload and process")
    parser.add_argument(
        "--large-pairs", type=int, default=400_000, help="the same, of whole probes and of training"
    )
    parser.add_argument(
        "--agents",
        help="path of the agents' checkpoints in the repository, such as data/checkpoints/{task}/ppo/0/450.safetensors;"
        " without it untrained ones, which soon fall",
    )
    parser.add_argument("--times", type=int, default=3, help="turns")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="processes side by side")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--work", choices=WORKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        run_work(args.work, *args.tasks, args.pairs, args.agents)
        return
    numbers = {
        "cores": args.cores,
        "agents": args.agents or "untrained",
        "pairs": args.pairs,
        "large_pairs": args.large_pairs,
        "point_pairs": default_params()["landscape"]["few"]["budgets"][-1],
        "turns": {task: [] for task in args.tasks},
    }
    for _ in range(args.times):
        for task in args.tasks:
            numbers["turns"][task].append(
                take_turn(args.works, lambda name, task=task: pace(name, task, args))
            )
        if args.json:  # a long run that is stopped keeps its whole turns
            save(args.json, numbers)
    print(page(numbers))


if __name__ == "__main__":
    main()
