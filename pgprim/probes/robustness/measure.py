"""Returns of trained agents, unchanged, in perturbed tasks (the talk's robustness to the environment).

Masses, friction, gravity and actuator gains are multiplied by factors, or sensors get noise. Policy and normalisers
are frozen. Every stream runs one episode, so long and short episodes have equal weight. Episode i has the same
initial state and the same policy noise in every task, so differences are paired.
"""

from collections.abc import Sequence
from contextlib import closing

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from pgprim.core.intervals import UNKNOWN, Interval, jackknife, t_interval
from pgprim.core.seeding import derive_seed, generator
from pgprim.experience.rollout import Purpose, frozen_policies, step_streams
from pgprim.probes.robustness.perturb import SCALED, NoisySensors, scaled_streams
from pgprim.rl.streams import Streams
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import agent_of, label, stack
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.levels import LEVEL

BLOCK = 100
"""Steps after which it is seen whether all episodes have ended."""

Episodes = dict[str, np.ndarray]
"""`ret` and `length` of each episode."""

SUMMARY = {
    "return": ("mean return of an episode", "reward"),
    "change": ("mean return less that in the task as it is, episodes paired", "reward"),
    "retained": ("mean return over that in the task as it is, episodes paired", "1"),
    "length": ("mean length of an episode", "pairs"),
}
WHERE = {"scaled": ("quantity", "factor"), "noisy": ("noise",)}
"""Kinds of perturbation, and the dimensions of their results."""

DESCRIBED = {
    **{f"{kind}_{name}": described for kind in WHERE for name, described in SUMMARY.items()},
    "quantity": ("quantity of the simulator that is multiplied", "1"),
    "factor": ("multiple of a quantity of the simulator", "1"),
    "noise": ("sensor noise in standard deviations of each number of the observation", "1"),
}
"""Long name and unit."""


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: mean returns with intervals within the agent, over episodes.

    Args:
        inputs: A checkpoint.
        params: `factors` of each of the quantities `perturb.SCALED`, strengths of sensor `noise`, and the number of
            `episodes`. Noise of strength 1 has the standard deviation of the agent's normaliser, or 1 if the agent
            has none.
    """
    agent = inputs.checkpoint
    where = (agent.environment.id, agent.algo, agent.seed, agent.iteration)
    purposes = [("robustness", *where, episode) for episode in range(params["episodes"])]
    points = [("gravity", 1.0)]
    points += [(name, factor) for name in SCALED for factor in params["factors"] if factor != 1]
    points += [("noise", strength) for strength in params["noise"] if strength != 0]
    name = "robustness {task} {algo} {seed} {iteration}".format(**vars(agent))
    run: dict[tuple[str, float], Episodes] = {}
    for point in tqdm(points, desc=name, unit="task", mininterval=5):
        if (piece := inputs.pieces.load("-".join(map(str, point)))) is None:
            with closing(perturbed(agent, *point, purposes)) as streams:
                piece = run_episodes(agent, streams, purposes)
            inputs.pieces.save("-".join(map(str, point)), piece)
        run[point] = piece
    plain = run[points[0]]
    scaled = [
        stack([summarise(run.get((name, factor), plain), plain) for factor in params["factors"]])
        for name in SCALED
    ]
    noisy = [summarise(run.get(("noise", strength), plain), plain) for strength in params["noise"]]
    rows = {"scaled": stack(scaled), "noisy": stack(noisy)}
    numbers = {
        f"{kind}_{name}": (WHERE[kind], values)
        for kind, summaries in rows.items()
        for name, values in summaries.items()
    }
    coords = {"quantity": list(SCALED), "factor": params["factors"], "noise": params["noise"]}
    attrs = {"level": LEVEL, "num_episodes": len(purposes)}
    return Measured(label(numbers, DESCRIBED, coords, attrs, agent_of(agent)))


def perturbed(agent: Checkpoint, quantity: str, strength: float, purposes: Sequence[Purpose]) -> Streams:
    """Streams of the agent's task with one thing changed, one per episode.

    Args:
        agent: The agent.
        quantity: One of `perturb.SCALED`, or `noise`.
        strength: The quantity's factor, or the noise of the sensors.
        purposes: Purpose of each episode's random numbers.
    """
    seeds = [derive_seed(*purpose, "env") for purpose in purposes]
    if quantity != "noise":
        return scaled_streams(agent.environment, seeds, quantity, strength)
    streams = scaled_streams(agent.environment, seeds, "gravity", 1.0)
    rngs = [generator(*purpose, "sensors") for purpose in purposes]
    return NoisySensors(streams, strength * frozen_policies(agent).normaliser.scale, rngs)


def run_episodes(agent: Checkpoint, streams: Streams, purposes: Sequence[Purpose]) -> Episodes:
    """The first episode of every stream, by the frozen policy.

    Args:
        agent: The agent.
        streams: Streams with a time limit that have not been reset.
        purposes: Purpose of each stream's random numbers.
    """
    limit = streams.time_limit
    noises = [generator(*purpose, "noise") for purpose in purposes]
    edges = [*range(BLOCK, limit, BLOCK), limit]
    ret, length = np.zeros(streams.num_streams), np.zeros(streams.num_streams, int)
    going = np.ones(streams.num_streams, bool)
    blocks = step_streams(
        agent.environment,
        streams,
        streams.reset(),
        frozen_policies(agent),
        noises,
        edges,
        is_single_episode=True,
    )
    for block in blocks:
        ended, last = block.terminated.any(1), block.terminated.argmax(1) + 1
        ret += block.rew.sum(1)
        length += np.where(ended, last, block.terminated.shape[1]) * going
        going &= ~ended
        if not going.any():
            break
    return {"ret": ret, "length": length}


def summarise(episodes: Episodes, plain: Episodes) -> dict[str, Interval | float]:
    """Returns of the episodes in one task, with those of the same episodes in the unperturbed task.

    Args:
        episodes: Of the perturbed task.
        plain: Episodes of the unperturbed task.
    """
    return {
        "return": t_interval(episodes["ret"], LEVEL),
        "change": t_interval(episodes["ret"] - plain["ret"], LEVEL),
        "retained": paired_ratio(episodes["ret"], plain["ret"]),
        "length": float(episodes["length"].mean()),
    }


def paired_ratio(above: Float[np.ndarray, " episode"], below: Float[np.ndarray, " episode"]) -> Interval:
    """Ratio of means of paired values, with a jackknife interval over pairs; NaN if the denominator is not positive."""
    if not below.mean() > 0:
        return UNKNOWN
    left_out = (above.sum() - above) / (below.sum() - below)
    return jackknife(above.mean() / below.mean(), left_out, LEVEL)
