"""Landscapes around a checkpoint (Figs. 5-7, 13-20): points in parameter space, their surrogate and their true reward.

A point is θ + α·step + β·u: `step` is the algorithm's whole next update, u a random direction. A slice is the line β
= 0. The surrogate is the objective that the algorithm maximises, the true reward the mean return of the point's
policy.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.core.gaussian import log_prob
from pgprim.core.intervals import Interval, t_interval
from pgprim.core.mlp import forward
from pgprim.core.seeding import generator
from pgprim.core.surrogate import normalise_advantage, ratio, surrogate
from pgprim.experience.rollout import Purpose, frozen_policies, run_policies, sample_streams
from pgprim.experience.seen import join, make_batch, see
from pgprim.rl.algorithms import algorithm, make_settings
from pgprim.rl.batch import Batch
from pgprim.rl.networks import make_policy
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.rollouts import Rollout

BLOCK = 512
"""Pairs of a stream that are simulated before the next noise is drawn."""

BLOCKS = 16
"""Blocks of consecutive pairs whose means tell the error of a mean over a batch: 128 pairs of 2048 each."""

ROWS = 16384
"""Pairs whose log-densities are computed at once."""


def landscape_purpose(checkpoint: Checkpoint, *what: str | int) -> Purpose:
    """Purpose of a landscape's random numbers, which no other probe and no training shares."""
    name = (checkpoint.environment.id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    return ("landscape", *name, *what)


def run_points(
    checkpoint: Checkpoint,
    theta: Float[np.ndarray, "point param"],
    purposes: Sequence[Purpose],
    num_pairs: int,
) -> Iterator[Rollout]:
    """Run policies with other parameters and the checkpoint's frozen normalisers, one stream each.

    Args:
        checkpoint: The agent.
        theta: Parameters of each point, single precision.
        purposes: Purpose of each point's random numbers. Points with the same purpose have common random numbers.
        num_pairs: Pairs of each point.

    Yields:
        Blocks in order of time. A point does not depend on the others.
    """
    return run_policies(
        checkpoint.environment, frozen_policies(checkpoint, theta), purposes, num_pairs, BLOCK
    )


def sample_batch(
    checkpoint: Checkpoint,
    num_streams: int,
    num_pairs: int,
    purpose: Purpose,
    advance: Callable[[int], object] = lambda num_pairs: None,
) -> Batch:
    """Fresh pairs of the checkpoint's own policy, as its next update would see them: one agent per stream.

    Advantages are those of the frozen value network, cut at the end of each stream; the normalisers stay as they are.

    Args:
        checkpoint: The agent.
        num_streams: Streams.
        num_pairs: Pairs of each.
        purpose: Purpose of the pairs' random numbers.
        advance: Called with the number of new pairs, for the progress bar.
    """
    parts = []
    for seen in see(checkpoint, sample_streams(checkpoint, purpose, num_streams, num_pairs, BLOCK)):
        parts.append(seen)
        advance(seen.rew.size)
    return make_batch(join(parts), make_settings(checkpoint.settings))


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


def line(
    theta: Float[Tensor, "1 param"], step: Float[Tensor, " param"], along: Float[np.ndarray, " point"]
) -> Float[Tensor, "point param"]:
    """θ + α·step; θ itself, to the bit, at α = 0."""
    return (theta.double() + torch.from_numpy(along)[:, None] * step.double()).to(theta.dtype)


def surrogate_gain(
    checkpoint: Checkpoint, theta: Float[Tensor, "point param"], batch: Batch
) -> Float[np.ndarray, " point"]:
    """The algorithm's objective at some points minus that at the checkpoint: the first row of `surrogate_gains`."""
    return surrogate_gains(checkpoint, theta, batch)[0]


def surrogate_gains(
    checkpoint: Checkpoint, theta: Float[Tensor, "point param"], batch: Batch
) -> Float[np.ndarray, "2 point"]:
    """The algorithm's objective and the unclipped surrogate at some points minus those at the checkpoint.

    The objective is Eq. 14, or Eq. 17 with PPO's ε; the unclipped surrogate is Eq. 14. Advantages are normalised over
    the whole batch (Eq. 15), while PPO's updates normalise them in each minibatch. At the checkpoint both are exactly 0.

    Args:
        checkpoint: The agent that made the pairs, π_old.
        theta: The points.
        batch: The pairs of one agent, for all points, or of one agent per point.
    """
    settings = make_settings(checkpoint.settings)
    adv, num_agents = normalise_advantage(batch.adv.double()), len(batch.adv)
    logp_old = _log_probs(checkpoint, checkpoint.state.theta.expand(num_agents, -1), batch).double()
    one = torch.ones_like(adv)
    gains: tuple[list[Tensor], list[Tensor]] = ([], [])
    for some in theta.split(num_agents):
        rho = ratio(_log_probs(checkpoint, some, batch).double(), logp_old)
        objective = algorithm(settings.algorithm).objective
        gains[0].append(objective(rho, adv, settings) - objective(one, adv, settings))
        gains[1].append(surrogate(rho, adv) - surrogate(one, adv))
    return torch.stack([torch.cat(parts) for parts in gains]).numpy()


def own_gain(checkpoint: Checkpoint, theta: Float[Tensor, "1 param"], batch: Batch, level: float) -> Interval:
    """`surrogate_gain` at one point, with Student's interval of the means over `BLOCKS` blocks of consecutive pairs.

    The interval covers the sampling of pairs at a fixed point; it ignores that the step was made from these pairs.
    Advantages are dependent over about 1/(1 − γλ) pairs, far fewer than a block has.

    Args:
        checkpoint: The agent.
        theta: The point.
        batch: The pairs of one agent.
        level: Nominal coverage.
    """
    settings = make_settings(checkpoint.settings)
    value = surrogate_gain(checkpoint, theta, batch)[0]
    objective, length = algorithm(settings.algorithm).objective, batch.num_pairs // BLOCKS
    if length == 0:
        return Interval(float(value), np.nan, np.nan)
    adv = normalise_advantage(batch.adv.double())
    logs = [_log_probs(checkpoint, point, batch).double() for point in (theta, checkpoint.state.theta)]
    adv, rho = (part[:, : BLOCKS * length].reshape(BLOCKS, length) for part in (adv, ratio(*logs)))
    gains = objective(rho, adv, settings) - objective(torch.ones_like(adv), adv, settings)
    blocks = t_interval(gains.numpy(), level)
    half = (blocks.high - blocks.low) / 2
    return Interval(float(value), float(value - half), float(value + half))


def _log_probs(
    checkpoint: Checkpoint, theta: Float[Tensor, "agent param"], batch: Batch
) -> Float[Tensor, "agent pair"]:
    net = make_policy(make_settings(checkpoint.settings), checkpoint.num_obs, checkpoint.num_act)
    parts = net.split(theta.contiguous())
    parts_of_pairs = []
    for start in range(0, batch.num_pairs, ROWS):
        rows = slice(start, start + ROWS)
        mu = forward(net, parts, batch.obs[:, rows])
        parts_of_pairs.append(log_prob(mu, net.log_sigma(parts), batch.act[:, rows]))
    return torch.cat(parts_of_pairs, dim=1)
