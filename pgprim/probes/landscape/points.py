"""Landscapes around a checkpoint (Figs. 5-7, 13-20): points in parameter space, and what is measured at each of them.

A point is θ + α·step + β·u: `step` is the whole update that the algorithm would make, u a random direction. At every
point there is the surrogate, what the algorithm maximises, and the true reward, what the policy of that point earns.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward
from pgprim.core.returns import gae
from pgprim.core.seeding import derive_seed, generator
from pgprim.core.surrogate import normalise_advantage, ratio
from pgprim.experience.appraise import appraise
from pgprim.experience.frozen import run_frozen
from pgprim.experience.train import Purpose, update_policy
from pgprim.rl.acting import make_actor
from pgprim.rl.algorithms import algorithm, make_settings
from pgprim.rl.batch import Batch
from pgprim.rl.envs import make_envs
from pgprim.rl.networks import make_policy
from pgprim.rl.normalise import normalise_obs, std
from pgprim.types.checkpoint import Checkpoint, stack_agents

BLOCK = 512
"""Pairs of a stream that are simulated before the next noise is drawn."""

ROWS = 16384
"""Pairs whose log-densities are computed at once."""


def landscape_purpose(checkpoint: Checkpoint, *what: str | int) -> Purpose:
    """What random numbers of a landscape are for; no other probe, and no training, shares them."""
    name = (checkpoint.env_id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    return ("landscape", *name, *what)


def run_points(
    checkpoint: Checkpoint,
    theta: Float[np.ndarray, "point param"],
    purposes: Sequence[Purpose],
    num_pairs: int,
    num_threads: int = 1,
) -> Iterator[tuple[Float64[np.ndarray, "point t"], Bool[np.ndarray, "point t"]]]:
    """What policies with other parameters than the checkpoint's, but its frozen normalisers, earn side by side.

    Each point has one stream, and its network sees one observation at a time: with sixteen rows to a product, as in
    `frozen.run_frozen`, a step of a Hopper would cost 6 % more.

    Args:
        checkpoint: The agent.
        theta: Parameters of each point, single precision.
        purposes: What each point's random numbers are for. Points of one purpose have common random numbers.
        num_pairs: Pairs of each point.
        num_threads: Threads that simulate.

    Yields:
        Raw rewards, and whether the episode ended, in the order of time. A point does not depend on the others.
    """
    num_points, num_act = len(theta), checkpoint.num_act
    settings, moments = make_settings(checkpoint.settings), checkpoint.state.obs_moments
    mean, scale = moments.mean, std(moments)
    act_of = make_actor(theta, checkpoint.num_obs, num_act, settings.hidden)
    noises = [generator(*purpose, "noise") for purpose in purposes]
    seeds = [derive_seed(*purpose, "env") for purpose in purposes]
    with closing(make_envs(checkpoint.env_id, seeds, num_threads)) as envs:
        raw = envs.reset()
        for start in range(0, num_pairs, BLOCK):
            shape = (min(BLOCK, num_pairs - start), num_points)
            noise = np.stack([rng.standard_normal((shape[0], 1, num_act), np.float32) for rng in noises], 1)
            rew, ended = np.empty(shape), np.empty(shape, bool)
            for t in range(len(rew)):
                obs = normalise_obs(raw.astype(np.float32), mean, scale, settings.obs_clip)
                act = act_of(obs.astype(np.float32)[:, None], noise[t])
                step = envs.step(act[:, 0].astype(np.float64))
                rew[t], ended[t], raw = step.rew, step.terminated | step.truncated, step.obs
            yield rew.T, ended.T


def sample_batch(
    checkpoint: Checkpoint,
    num_streams: int,
    num_pairs: int,
    purpose: Purpose,
    num_threads: int = 1,
    advance: Callable[[int], object] = lambda num_pairs: None,
) -> Batch:
    """Fresh pairs of the checkpoint's own policy, as its next update would see them: one agent per stream.

    Advantages are those of the frozen value network, cut at the end of each stream; the normalisers stay as they are.

    Args:
        checkpoint: The agent.
        num_streams: Streams.
        num_pairs: Pairs of each.
        purpose: What the pairs are for.
        num_threads: Threads that simulate.
        advance: Told of pairs as they come.
    """
    settings, moments = make_settings(checkpoint.settings), checkpoint.state.obs_moments
    purposes = [(*purpose, stream) for stream in range(num_streams)]
    blocks = run_frozen(
        checkpoint.env_id,
        checkpoint.state.theta.numpy(),
        moments.mean,
        std(moments),
        settings.obs_clip,
        settings.hidden,
        [derive_seed(*purpose, "env") for purpose in purposes],
        [generator(*purpose, "noise") for purpose in purposes],
        num_pairs,
        BLOCK,
        num_threads,
    )
    parts = []
    for part in appraise(checkpoint, blocks):
        parts.append(part)
        advance(part.rew.size)

    def along(name: str) -> np.ndarray:
        return np.concatenate([np.asarray(getattr(part, name)) for part in parts], axis=1)

    val, next_val = along("val"), along("next_val")
    if settings.semantics == "paper":
        next_val[:, -1] = val[:, -1]
    ends = along("terminated"), along("truncated")
    adv = gae(along("rew"), val, next_val, *ends, settings.gamma, settings.lam)
    single = [torch.from_numpy(values.astype(np.float32)) for values in (adv, val + adv, val)]
    return Batch(torch.from_numpy(along("obs")), torch.from_numpy(along("act")), *single)


def as_one_agent(batch: Batch) -> Batch:
    """All pairs of all streams as those of one agent."""
    arrays = (batch.obs, batch.act, batch.adv, batch.target, batch.val_old)
    return Batch(*(values.flatten(0, 1).unsqueeze(0) for values in arrays))


def take_steps(checkpoint: Checkpoint, batch: Batch, purposes: list[Purpose]) -> Float[Tensor, "agent param"]:
    """θ_new − θ by the whole update of the checkpoint's next iteration, from its optimiser state, for each agent's pairs."""
    state = stack_agents([checkpoint.state] * len(purposes))
    new = update_policy(state, batch, make_settings(checkpoint.settings), purposes, checkpoint.iteration)
    return new.theta - state.theta


def random_direction(checkpoint: Checkpoint, norm: float) -> Float[Tensor, " param"]:
    """u: a Gaussian direction of the given Euclidean norm, the same for all steps from this checkpoint (Sec. 4)."""
    num_params = checkpoint.state.theta.shape[1]
    drawn = generator(*landscape_purpose(checkpoint, "direction")).standard_normal(num_params)
    return torch.from_numpy((norm / np.linalg.norm(drawn) * drawn).astype(np.float32))


def plane(
    theta: Float[Tensor, "1 param"],
    step: Float[Tensor, " param"],
    direction: Float[Tensor, " param"],
    axis: Float[np.ndarray, " axis"],
) -> Float[Tensor, "point param"]:
    """θ + α·step + β·u for all α and β of one axis, α the slower; θ itself, to the bit, at the origin."""
    alpha, beta = (torch.from_numpy(grid.ravel())[:, None] for grid in np.meshgrid(axis, axis, indexing="ij"))
    return (theta.double() + alpha * step.double() + beta * direction.double()).to(theta.dtype)


def surrogate_gain(
    checkpoint: Checkpoint, theta: Float[Tensor, "point param"], batch: Batch
) -> Float[np.ndarray, " point"]:
    """The objective that the algorithm maximises at some points, less that at the checkpoint: exactly 0 there.

    Eq. 14, or with PPO's ε Eq. 17, in either case with the advantages normalised over the whole batch (Eq. 15); PPO's
    updates normalise them in each minibatch. What is subtracted is 0 but for rounding.

    Args:
        checkpoint: The agent that made the pairs, π_old.
        theta: The points.
        batch: The pairs of one agent, on which all points are judged, or of as many as there are points.
    """
    settings = make_settings(checkpoint.settings)
    adv = normalise_advantage(batch.adv.double())

    objective, num_agents = algorithm(settings.algorithm).objective, len(batch.adv)
    logp_old = _log_probs(checkpoint, checkpoint.state.theta.expand(num_agents, -1), batch)
    start = objective(torch.ones_like(adv), adv, settings)
    gains = [
        objective(ratio(_log_probs(checkpoint, some, batch).double(), logp_old.double()), adv, settings)
        - start
        for some in theta.split(num_agents)
    ]
    return torch.cat(gains).numpy()


def _log_probs(
    checkpoint: Checkpoint, theta: Float[Tensor, "agent param"], batch: Batch
) -> Float[Tensor, "agent pair"]:
    net = make_policy(make_settings(checkpoint.settings), checkpoint.num_obs, checkpoint.num_act)
    parts = net.split(theta.contiguous())
    found = []
    for start in range(0, batch.num_pairs, ROWS):
        rows = slice(start, start + ROWS)
        mu = forward(net, parts, batch.obs[:, rows])
        found.append(log_prob(mu, net.log_sigma(parts), batch.act[:, rows]))
    return torch.cat(found, dim=1)
