"""Fidelity: comparison of a checkpoint with its file's networks, by code that is independent of pgprim.

The independent code is a plain torch module in double precision with the file's own arrays and conventions. It is
differentiated by torch, and acts in Gymnasium's environment in a plain loop.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pgprim.adopt.foreign import ForeignAgent, Network, SavedNormaliser
from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward
from pgprim.core.scores import score_sums
from pgprim.core.seeding import derive_seed, generator
from pgprim.experience.rollout import sample_streams
from pgprim.rl.algorithms import make_settings
from pgprim.rl.networks import make_policy, make_value
from pgprim.rl.normalise import Normaliser
from pgprim.rl.streams import make_env, make_streams
from pgprim.rl.value import values
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.environment import Environment

SMALLEST_COSINE = 0.9999
"""Smallest cosine of the two gradients: single precision gives 1 − cosine ≈ 1e-8, another agent a cosine near 0."""

LARGEST_ERROR = 1e-3
"""Largest error of V, relative to its spread over pairs, and of log π in nats: single precision gives about 1e-5."""

BLOCK = 50
"""Pairs between checks whether all streams' first episodes have ended."""

LONGEST_EPISODE = 1000
"""Pairs after which an episode is cut where the task has no time limit."""


@dataclass(frozen=True)
class Fidelity:
    """Agreement of a checkpoint with its file.

    Attributes:
        num_pairs: Pairs compared.
        grad_cosine: Of the checkpoint's policy gradient with autograd's, over these pairs.
        value_error: Largest difference of V, divided by V's standard deviation over the pairs.
        logp_error: Largest difference of log π(a|s), in nats.
        returns: Of episodes that the plain module ran in Gymnasium's environment.
        stream_returns: Of as many episodes that the checkpoint ran in pgprim's streams.
    """

    num_pairs: int
    grad_cosine: float
    value_error: float
    logp_error: float
    returns: Float[np.ndarray, " episode"]
    stream_returns: Float[np.ndarray, " episode"]

    @property
    def is_faithful(self) -> bool:
        """Whether the checkpoint agrees with the file."""
        return (
            self.grad_cosine > SMALLEST_COSINE
            and self.value_error < LARGEST_ERROR
            and self.logp_error < LARGEST_ERROR
        )


class PlainAgent(nn.Module):
    """An agent as plain torch modules in double precision, from the file's arrays."""

    def __init__(self, agent: ForeignAgent) -> None:
        super().__init__()
        self.policy, self.value = _module(agent.policy), _module(agent.value)
        self.sigma = nn.Parameter(torch.from_numpy(agent.sigma.astype(np.float64)))
        self._agent = agent

    def normalise(self, obs: Float[np.ndarray, "pair obs"]) -> Float[Tensor, "pair obs"]:
        """Observations as the networks see them, by the file's own convention."""
        normaliser = self._agent.observations
        if isinstance(normaliser, SavedNormaliser):
            obs = (obs - normaliser.mean) / normaliser.scale
            if normaliser.clip is not None:
                obs = obs.clip(-normaliser.clip, normaliser.clip)
        return torch.from_numpy(obs)

    def distribution(self, obs: Float[np.ndarray, "pair obs"]) -> torch.distributions.Normal:
        """π(·|s) for raw observations."""
        sigma = self.sigma.exp() if self._agent.sigma_kind == "log" else self.sigma
        return torch.distributions.Normal(self.policy(self.normalise(obs)), sigma)

    def policy_parameters(self) -> list[nn.Parameter]:
        """The policy's parameters in the order of θ."""
        return [*self.policy.parameters(), self.sigma]


def measure_fidelity(agent: ForeignAgent, checkpoint: Checkpoint, num_episodes: int) -> Fidelity:
    """Compare a checkpoint with the plain module of its file, on pairs of the module's own episodes.

    Args:
        agent: The content of the file.
        checkpoint: The agent's checkpoint.
        num_episodes: Episodes of each of the two ways of acting.

    Raises:
        UserError: The environment cannot be made.
    """
    plain = PlainAgent(agent)
    obs, act, to_go, returns = _run_plain(plain, checkpoint, num_episodes)
    settings = make_settings(checkpoint.settings, agent.path)
    normalise = Normaliser.of(checkpoint.state.obs_moments, settings)
    seen, drawn = torch.from_numpy(normalise(obs)), torch.from_numpy(act)
    policy = make_policy(settings, agent.num_obs, agent.num_act)
    value = make_value(settings, agent.num_obs)
    theta = checkpoint.state.theta
    parts = policy.split(theta)
    val = values(value, checkpoint.state.phi, seen[None])[0].double()
    logp = log_prob(forward(policy, parts, seen[None]), policy.log_sigma(parts), drawn[None])[0].double()
    plain_val = plain.value(plain.normalise(obs))[:, 0].detach()
    plain_logp = plain.distribution(obs).log_prob(drawn.double()).sum(-1)
    adv = torch.from_numpy(to_go) - plain_val
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    plain_grad = torch.autograd.grad((plain_logp * adv).sum(), plain.policy_parameters())
    plain_grad = torch.cat([(grad.T if grad.ndim == 2 else grad).reshape(-1) for grad in plain_grad])
    grad = score_sums(theta, policy, seen[None], drawn[None], adv[None, :, None].float())[0, 0].double()
    return Fidelity(
        num_pairs=len(obs),
        grad_cosine=float(nn.functional.cosine_similarity(grad, plain_grad, dim=0)),
        value_error=float((val - plain_val).abs().max() / plain_val.std().clamp(min=1e-8)),
        logp_error=float((logp - plain_logp.detach()).abs().max()),
        returns=returns,
        stream_returns=_stream_returns(checkpoint, num_episodes),
    )


def _module(network: Network) -> nn.Sequential:
    activations = {
        "tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU, "silu": nn.SiLU, "gelu": nn.GELU, "leaky_relu": nn.LeakyReLU,
    }  # fmt: skip
    modules: list[nn.Module] = []
    for weight, bias in network.layers:
        layer = nn.Linear(*weight.shape, dtype=torch.float64)
        layer.weight.data = torch.from_numpy(weight.T.astype(np.float64))
        layer.bias.data = torch.from_numpy(bias.astype(np.float64))
        modules += [layer, activations[network.activation]()]
    return nn.Sequential(*modules[:-1])


def _run_plain(
    plain: PlainAgent, checkpoint: Checkpoint, num_episodes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Observations, actions as drawn, discounted rewards to go, and the returns of the episodes."""
    environment, gamma = checkpoint.environment, checkpoint.settings["gamma"]
    purpose = ("fidelity", checkpoint.algo, checkpoint.iteration)
    rng, env = generator(*purpose, "noise"), make_env(environment)
    space, limit = env.action_space, _longest(environment)
    obs_all, act_all, to_go, returns = [], [], [], []
    for episode in range(num_episodes):
        obs, _ = env.reset(seed=derive_seed(*purpose, "env", episode))
        rewards, ended = [], False
        while not ended and len(rewards) < limit:
            raw = np.asarray(obs, np.float64).reshape(1, -1)
            with torch.no_grad():
                pi = plain.distribution(raw)
            mean, std = (values[0].detach().numpy() for values in (pi.mean, pi.stddev))
            act = (mean + std * rng.standard_normal(std.shape)).astype(np.float32)
            sent = (
                np.clip(act, space.low.reshape(-1), space.high.reshape(-1))
                if environment.clip_actions
                else act
            )
            obs, reward, terminated, truncated, _ = env.step(sent.reshape(space.shape))
            obs_all.append(raw[0])
            act_all.append(act)
            rewards.append(float(reward))
            ended = terminated or truncated
        returns.append(sum(rewards))
        tail = 0.0
        sums = [tail := reward + gamma * tail for reward in reversed(rewards)]
        to_go += sums[::-1]
    env.close()
    return np.array(obs_all), np.array(act_all), np.array(to_go), np.array(returns)


def _stream_returns(checkpoint: Checkpoint, num_episodes: int) -> Float[np.ndarray, " episode"]:
    """Returns of the first episodes of as many streams."""
    longest = _longest(checkpoint.environment)
    purpose = ("fidelity", checkpoint.algo, checkpoint.iteration, "streams")
    returns, going = np.zeros(num_episodes), np.ones(num_episodes, bool)
    for rollout in sample_streams(checkpoint, purpose, num_episodes, longest, BLOCK):
        before = rollout.ended.cumsum(1) - rollout.ended  # ends in front of a pair
        returns += going * (rollout.rew * (before == 0)).sum(1)
        going &= ~rollout.ended.any(1)
        if not going.any():
            break
    return returns


def _longest(environment: Environment) -> int:
    streams = make_streams(environment, [0])
    streams.close()
    return streams.time_limit or LONGEST_EPISODE
