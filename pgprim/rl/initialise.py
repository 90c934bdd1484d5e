"""New agents: orthogonal initialisation for PPO, Xavier's for TRPO and PPO-M (the released code; Sec. A.1)."""

import numpy as np
import torch
from jaxtyping import Float

from pgprim.core.adam import adam_init
from pgprim.core.mlp import MLP
from pgprim.core.seeding import generator
from pgprim.rl.networks import make_policy, make_value
from pgprim.rl.normalise import make_moments
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AgentState

HIDDEN_GAIN, POLICY_GAIN, VALUE_GAIN = 2**0.5, 0.01, 1.0


def make_agent(settings: Settings, num_obs: int, num_act: int, *purpose: str | int) -> AgentState:
    """An agent before its first iteration, as a stack of one; `purpose` seeds its weights."""
    policy, value = make_policy(settings, num_obs, num_act), make_value(settings, num_obs)
    theta = _draw(policy, settings, POLICY_GAIN, generator(*purpose, "policy"))
    phi = _draw(value, settings, VALUE_GAIN, generator(*purpose, "value"))
    return AgentState(
        theta, phi, adam_init(theta), adam_init(phi), make_moments(1, num_obs), make_moments(1, 1)
    )


def _draw(net: MLP, settings: Settings, head_gain: float, rng: np.random.Generator) -> torch.Tensor:
    parts = []
    for name, shape in net.layout:
        if name.endswith("weight"):
            head = name.endswith(f".{len(net.sizes) - 2}.weight")
            gain = head_gain if head else HIDDEN_GAIN
            weight = _orthogonal(shape, gain, rng) if settings.init == "orthogonal" else _xavier(shape, rng)
        else:
            start = {"log_sigma": settings.log_sigma, "sigma": np.exp(settings.log_sigma)}
            weight = np.full(shape, start.get(name, 0.0))
        parts.append(torch.from_numpy(weight.astype(np.float32))[None])
    return net.join(parts)


def _orthogonal(
    shape: tuple[int, int], gain: float, rng: np.random.Generator
) -> Float[np.ndarray, "input output"]:
    """Orthonormal rows or columns, uniform over rotations (Saxe 2014), times `gain`."""
    tall = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return gain * (q if shape[0] >= shape[1] else q.T)


def _xavier(shape: tuple[int, int], rng: np.random.Generator) -> Float[np.ndarray, "input output"]:
    """Uniform on ±√(6 / (inputs + outputs)) (Glorot & Bengio 2010)."""
    bound = (6 / sum(shape)) ** 0.5
    return rng.uniform(-bound, bound, shape)
