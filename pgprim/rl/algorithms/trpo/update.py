"""TRPO's update (Eq. 16): natural gradient step and line search."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.core.gaussian import kl, log_prob, log_prob_and_grad
from pgprim.core.mlp import MLP, activations, backward, forward, tangent
from pgprim.core.surrogate import normalise_advantage, ratio, surrogate
from pgprim.core.trust_region import natural_step
from pgprim.rl.algorithms.trpo import TRPOSettings
from pgprim.rl.batch import Batch
from pgprim.rl.networks import make_policy
from pgprim.types.checkpoint import AgentState


def update(
    state: AgentState, batch: Batch, settings: TRPOSettings, iteration: int, rngs: list[np.random.Generator]
) -> AgentState:
    """Take the accepted step of every agent of the stack; if the line search accepts none, θ stays.

    Args:
        state: The agents, left as they are.
        batch: Pairs; the surrogate is over all of them, advantages normalised over all.
        settings: δ, Fisher fraction, conjugate gradient and line search.
        iteration: Not used.
        rngs: One generator per agent, for the states of the Fisher matrix.
    """
    net = make_policy(settings, batch.obs.shape[2], batch.act.shape[2])
    adv = normalise_advantage(batch.adv)
    thetas = []
    for k, rng in enumerate(rngs):
        one = slice(k, k + 1)
        thetas.append(
            _update_one(net, state.theta[one], batch.obs[one], batch.act[one], adv[one], settings, rng)
        )
    return replace(state, theta=torch.cat(thetas))


def objective(
    rho: Float[Tensor, "agent pair"], adv: Float[Tensor, "agent pair"], settings: TRPOSettings
) -> Float[Tensor, " agent"]:
    """Eq. 14: mean of ρ·Â."""
    return surrogate(rho, adv)


def fisher_vector_product(
    net: MLP,
    parts: list[Float[Tensor, "agent ..."]],
    acts: list[Float[Tensor, "agent pair _"]],
    vector: Float[Tensor, "agent param"],
) -> Float[Tensor, "agent param"]:
    """F v with F the Hessian of mean KL(π_old ‖ π_θ) at θ_old, exactly.

    For a Gaussian, F = mean of Jᵀ diag(σ⁻²) J for the network, J = ∂μ/∂θ, and 2 on the diagonal for log σ (2/σ² for σ).

    Args:
        net: Shape of the policy.
        parts: Its parameters at θ_old.
        acts: `activations` at the states.
        vector: v.
    """
    direction = net.split(vector)
    precision = (-2 * net.log_sigma(parts)).exp().unsqueeze(1)
    moved = tangent(net, parts, acts, direction) * precision / acts[0].shape[1]
    of_sigma = 2 * net.log_sigma_slope(parts).square() * direction[-1]
    return net.join([*backward(net, parts, acts, moved), of_sigma])


def _update_one(
    net: MLP,
    theta: Float[Tensor, "1 param"],
    obs: Float[Tensor, "1 pair obs"],
    act: Float[Tensor, "1 pair act"],
    adv: Float[Tensor, "1 pair"],
    settings: TRPOSettings,
    rng: np.random.Generator,
) -> Float[Tensor, "1 param"]:
    num_pairs = obs.shape[1]
    parts = net.split(theta)
    acts = activations(net, parts, obs)
    mu_old, log_sigma_old = acts[-1], net.log_sigma(parts)
    logp_old, by_mu, by_log_sigma = log_prob_and_grad(mu_old, log_sigma_old, act)
    slope = (adv / num_pairs).unsqueeze(-1)
    by_sigma = (slope * by_log_sigma).sum(1) * net.log_sigma_slope(parts)
    grad = net.join([*backward(net, parts, acts, slope * by_mu), by_sigma])[0]

    chosen = rng.choice(num_pairs, max(1, round(settings.fisher_fraction * num_pairs)), replace=False)
    some = [layer[:, torch.from_numpy(np.sort(chosen))] for layer in acts]

    def damped(vector: Float[Tensor, " param"]) -> Float[Tensor, " param"]:
        return fisher_vector_product(net, parts, some, vector[None])[0] + settings.cg_damping * vector

    full = natural_step(damped, grad, settings.delta, settings.cg_steps)
    start = surrogate(ratio(logp_old, logp_old), adv)
    for tried in range(settings.backtracks):
        step = settings.backtrack_factor**tried * full
        new = theta + step
        new_parts = net.split(new)
        mu, log_sigma = forward(net, new_parts, obs), net.log_sigma(new_parts)
        gain = (surrogate(ratio(log_prob(mu, log_sigma, act), logp_old), adv) - start).item()
        divergence = kl(mu_old, log_sigma_old, mu, log_sigma).mean().item()
        if gain > 0 and divergence <= settings.delta and gain > settings.accept_ratio * (grad @ step).item():
            return new
    return theta
