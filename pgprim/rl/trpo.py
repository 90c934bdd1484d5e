"""The policy update of TRPO (Eq. 16): natural gradient step and line search."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.core.gaussian import kl, log_prob, log_prob_grad
from pgprim.core.mlp import MLP, activations, backward, forward, tangent
from pgprim.core.surrogate import normalise_advantage, ratio, surrogate
from pgprim.core.trust_region import natural_step
from pgprim.rl.batch import Batch
from pgprim.types.agent import Settings


def trpo_update(
    net: MLP,
    theta: Float[Tensor, "agent param"],
    batch: Batch,
    settings: Settings,
    rngs: list[np.random.Generator],
) -> Float[Tensor, "agent param"]:
    """The accepted step for every agent of the stack; where the line search finds none, θ stays.

    Args:
        net: Shape of the policy.
        theta: Its parameters, left as they are.
        batch: Pairs; the surrogate is over all of them, advantages normalised over all.
        settings: δ, Fisher fraction, conjugate gradient and line search.
        rngs: One generator per agent, for the states of the Fisher matrix.

    Returns:
        New parameters.
    """
    adv = normalise_advantage(batch.adv)
    found = []
    for k, rng in enumerate(rngs):
        pick = slice(k, k + 1)
        found.append(
            _update_one(net, theta[pick], batch.obs[pick], batch.act[pick], adv[pick], settings, rng)
        )
    return torch.cat(found)


def fisher_vector_product(
    net: MLP,
    parts: list[Float[Tensor, "agent ..."]],
    acts: list[Float[Tensor, "agent pair _"]],
    vector: Float[Tensor, "agent param"],
) -> Float[Tensor, "agent param"]:
    """F v with F the Hessian of mean KL(π_old ‖ π_θ) at θ_old, exactly.

    For a Gaussian, F = mean of Jᵀ diag(σ⁻²) J for the network, J = ∂μ/∂θ, and 2 on the diagonal for log σ.

    Args:
        net: Shape of the policy.
        parts: Its parameters at θ_old.
        acts: `activations` at the states.
        vector: v.
    """
    direction = net.split(vector)
    precision = (-2 * parts[-1]).exp().unsqueeze(1)
    moved = tangent(parts, acts, direction) * precision / acts[0].shape[1]
    return net.join([*backward(parts, acts, moved), 2 * direction[-1]])


def _update_one(
    net: MLP,
    theta: Float[Tensor, "1 param"],
    obs: Float[Tensor, "1 pair obs"],
    act: Float[Tensor, "1 pair act"],
    adv: Float[Tensor, "1 pair"],
    settings: Settings,
    rng: np.random.Generator,
) -> Float[Tensor, "1 param"]:
    num_layers = len(net.sizes) - 1
    num_pairs = obs.shape[1]
    parts = net.split(theta)
    acts = activations(parts, obs, num_layers)
    mu_old, log_sigma_old = acts[-1], parts[-1]
    logp_old = log_prob(mu_old, log_sigma_old, act)

    by_mu, by_log_sigma = log_prob_grad(mu_old, log_sigma_old, act)
    slope = (adv / num_pairs).unsqueeze(-1)
    grad = net.join([*backward(parts, acts, slope * by_mu), (slope * by_log_sigma).sum(1)])[0]

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
        mu = forward(new_parts, obs, num_layers)
        gain = (surrogate(ratio(log_prob(mu, new_parts[-1], act), logp_old), adv) - start).item()
        divergence = kl(mu_old, log_sigma_old, mu, new_parts[-1]).mean().item()
        if gain > 0 and divergence <= settings.delta and gain > settings.accept_ratio * (grad @ step).item():
            return new
    return theta
