"""The "true" value function V* (Fig. 4) and the best baseline b*, fitted to returns.

V* minimises the mean of (R − V*(s))². The variance per pair of scores times (R − b(s)) is least for b*(s) = E[‖s‖²R |
s] / E[‖s‖² | s], with s = ∇θ log π (Greensmith, Bartlett & Baxter 2004): the same regression with weights ‖s‖². Both
are fitted as a stack of two networks on the same minibatches. Both start from the agent's value network, which
reaches about the same error with a tenth of the passes of a new network.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor
from tqdm import tqdm

from pgprim.core.adam import Adam, adam_init
from pgprim.core.mlp import MLP, activations, backward
from pgprim.core.score_norms import squared_score_norms
from pgprim.core.time_in_episode import elapsed_steps, has_room
from pgprim.experience.seen import ROWS, join, returns, see
from pgprim.rl.algorithms import make_settings
from pgprim.rl.networks import make_policy
from pgprim.rl.value import values
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.rollouts import Rollout, require_limit

STEPS = 512
"""Pairs of a stream whose scores are taken at once."""

SMALLEST_SHARE = 1e-6
"""Returns whose deviation is a smaller share of their mean, rounding in single precision, are only centred."""


@dataclass(frozen=True)
class FitSettings:
    """Settings of the fit of V*.

    Attributes:
        pairs: Largest number of pairs, of all streams together.
        held_out: Share of the streams, the last ones, for early stopping.
        beyond: Pairs that must fit before a time limit and the stream's end, from a pair on.
        batch: Pairs per minibatch.
        lr: Adam's learning rate, annealed linearly to 0 over the epochs.
        epochs: Largest number of passes over the pairs.
        patience: Epochs without improvement after which the fit stops.
    """

    pairs: int
    held_out: float
    beyond: int
    batch: int
    lr: float
    epochs: int
    patience: int


@dataclass(frozen=True)
class Returns:
    """Pairs with complete returns, in order of streams and time.

    Attributes:
        obs: Observations as the networks see them, normalised.
        ret: Discounted return of the rewards that the value network sees.
        val: V(s) of the agent.
        norm: ‖∇θ log π(a|s)‖².
        num_left_out: Number of pairs without a complete return.
    """

    obs: Float32[Tensor, "pair obs"]
    ret: Float32[Tensor, " pair"]
    val: Float32[Tensor, " pair"]
    norm: Float32[Tensor, " pair"]
    num_left_out: int


@dataclass(frozen=True)
class Fitted:
    """Networks, each at its best epoch on the held-out pairs.

    Attributes:
        phi: Their parameters.
        errors: Weighted mean squared error on the held-out pairs, before the fit and after each epoch.
        epoch: Best epoch of each; 0 if none was better than the start.
    """

    phi: Float[Tensor, "fit param"]
    errors: Float[np.ndarray, "epoch fit"]
    epoch: list[int]


def read_returns(
    checkpoint: Checkpoint,
    blocks: Iterable[Rollout],
    num_pairs: int,
    limit: int | None,
    beyond: int,
    first: int = 0,
) -> Returns:
    """The pairs of some streams with complete returns.

    Returns reach to the end of the episode or stream, and bootstrap with the agent's V at a time limit or the
    stream's end. Pairs for which this bootstrap could have a weight above γ^beyond are left out by their time,
    whether or not their episode ended before: a fit could not separate V's error there from a property of the state.

    Args:
        checkpoint: The agent that made the streams.
        blocks: Their consecutive blocks, one pair beyond `num_pairs` if the streams continue.
        num_pairs: Pairs of each stream at which returns are cut.
        limit: Pairs after which the time limit ends an episode; None where there is no limit.
        beyond: Pairs that must fit before a time limit and the stream's end (`core.time_in_episode`).
        first: Number of the first stream.

    Raises:
        UserError: An episode is truncated other than by the time limit.
    """
    settings = make_settings(checkpoint.settings)
    net = make_policy(settings, checkpoint.num_obs, checkpoint.num_act)
    seen = join(see(checkpoint, blocks), num_pairs)
    elapsed = elapsed_steps(seen.ended)
    require_limit(checkpoint.environment.id, limit, seen.truncated, elapsed + 1, first)
    obs, act = torch.from_numpy(seen.obs), torch.from_numpy(seen.act)
    norms = [
        squared_score_norms(checkpoint.state.theta, net, obs[:, k : k + STEPS], act[:, k : k + STEPS])
        for k in range(0, obs.shape[1], STEPS)
    ]
    settled = torch.from_numpy(has_room(elapsed, limit, beyond))
    return Returns(
        obs[settled],
        torch.from_numpy(returns(seen, settings, cut=False)).float()[settled],
        torch.from_numpy(seen.val).float()[settled],
        torch.cat(norms, dim=1)[settled],
        int((~settled).sum()),
    )


def merge_returns(parts: list[Returns]) -> Returns:
    """Concatenate the pairs of several groups of streams."""
    arrays = (torch.cat([getattr(part, name) for part in parts]) for name in ("obs", "ret", "val", "norm"))
    return Returns(*arrays, sum(part.num_left_out for part in parts))


def weights(returns: Returns) -> Float[Tensor, "fit pair"]:
    """Weight of each pair: equal for V*, its squared score for b*."""
    return torch.stack([torch.ones_like(returns.norm), returns.norm])


def fit_returns(
    net: MLP,
    phi: Float[Tensor, "fit param"],
    train: Returns,
    held_out: Returns,
    settings: FitSettings,
    adam_eps: float,
    rng: np.random.Generator,
    label: str,
) -> Fitted:
    """V* and b* by minibatch Adam, each at its best epoch on the held-out pairs.

    The networks are fitted to returns of mean 0 and standard deviation 1. Their last layer is rescaled before and
    after the fit, so they stay networks of the same shape.

    Args:
        net: Shape of the networks.
        phi: Their parameters before the fit, V*'s first.
        train: Pairs to fit.
        held_out: Pairs of other streams.
        settings: Minibatches, learning rate, epochs.
        adam_eps: Adam's ε.
        rng: For the order of the pairs.
        label: What the progress bar says.
    """
    location, scale = train.ret.mean(), train.ret.std()
    scale = torch.where(scale > SMALLEST_SHARE * location.abs(), scale, 1.0)
    target, weight = (train.ret - location) / scale, weights(train)
    weight = weight / weight.mean(1, keepdim=True)
    phi = rescale(net, phi, -location / scale, 1 / scale)
    adam = Adam(phi, adam_init(phi), adam_eps)
    parts, num_pairs = net.split(phi), len(target)
    starts = range(0, num_pairs, settings.batch)

    def judge() -> Float64[np.ndarray, " fit"]:
        return weighted_errors(predict(net, phi, held_out.obs) * scale + location, held_out)

    errors = [judge()]
    best, epoch_of_best, lowest = phi.clone(), [0] * len(phi), errors[0].copy()
    for epoch in tqdm(range(settings.epochs), desc=label, unit="epoch", mininterval=5):
        order = torch.from_numpy(rng.permutation(num_pairs))
        for step, start in enumerate(starts):
            rows = order[start : start + settings.batch]
            acts = activations(net, parts, train.obs[rows].expand(len(phi), -1, -1))
            slope = 2 * weight[:, rows] * (acts[-1][..., 0] - target[rows]) / len(rows)
            left = 1 - (epoch + step / len(starts)) / settings.epochs
            grad = net.join(backward(net, parts, acts, slope.unsqueeze(-1)))
            adam.step(grad.unbind(), settings.lr * left)
        errors.append(judge())
        for k in np.flatnonzero(errors[-1] < lowest):
            best[k], lowest[k], epoch_of_best[k] = phi[k], errors[-1][k], epoch + 1
        if epoch + 1 - max(epoch_of_best) >= settings.patience:
            break
    return Fitted(rescale(net, best, location, scale), np.array(errors), epoch_of_best)


def rescale(
    net: MLP, phi: Float[Tensor, "fit param"], location: Float[Tensor, ""], scale: Float[Tensor, ""]
) -> Float[Tensor, "fit param"]:
    """Networks whose output is location + scale times that of the given ones."""
    phi = phi.clone()
    *_, last_weight, last_bias = net.split(phi)
    last_weight *= scale
    last_bias.mul_(scale).add_(location)
    return phi


def predict(
    net: MLP, phi: Float[Tensor, "fit param"], obs: Float[Tensor, "pair obs"]
) -> Float[Tensor, "fit pair"]:
    """Output of each network at each observation."""
    return torch.cat([values(net, phi, rows.expand(len(phi), -1, -1)) for rows in obs.split(ROWS)], dim=1)


def weighted_errors(predicted: Float[Tensor, "fit pair"], returns: Returns) -> Float64[np.ndarray, " fit"]:
    """Mean squared errors of V* and b*, each with the weights of its fit."""
    weight = weights(returns).double()
    squares = (predicted.double() - returns.ret.double()).square()
    return ((weight * squares).sum(1) / weight.sum(1)).numpy()


def describe(net: MLP, fitted: Fitted, train: Returns, held_out: Returns) -> dict[str, float]:
    """Quality of a fit: `NUMBERS`. The held-out error also selects the epoch, so it is slightly too small."""
    ret = held_out.ret.double()
    predicted = torch.stack([predict(net, fitted.phi[:1], held_out.obs)[0], held_out.val]).double()
    error, value_error = (predicted - ret).square().mean(1).tolist()
    variance = ret.var(correction=0).item()
    left_out = train.num_left_out + held_out.num_left_out
    return {
        "fit_pairs": float(len(train.ret)),
        "fit_held_out_pairs": float(len(ret)),
        "fit_left_out": left_out / (left_out + len(train.ret) + len(ret)),
        "fit_epochs": float(fitted.epoch[0]),
        "fit_error": error**0.5,
        "fit_value_error": value_error**0.5,
        "fit_explained_variance": 1 - error / variance if variance else np.nan,
        "fit_value_explained_variance": 1 - value_error / variance if variance else np.nan,
    }
