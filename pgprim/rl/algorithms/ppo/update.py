"""PPO's update (Eq. 17): minibatch Adam on the clipped surrogate."""

from dataclasses import fields, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.core.gaussian import log_prob, log_prob_and_grad
from pgprim.core.learner import Learner, clip_gradients
from pgprim.core.mlp import forward
from pgprim.core.surrogate import clipped_surrogate, clipped_surrogate_weight, normalise_advantage, ratio
from pgprim.rl.algorithms.ppo import PPOSettings
from pgprim.rl.batch import Batch, minibatches
from pgprim.rl.networks import make_policy, make_value
from pgprim.rl.rates import learning_rate
from pgprim.rl.value import value_columns, value_gradient
from pgprim.types.checkpoint import AgentState, stack_agents

KL_MARGIN = 1.5
"""Multiple of `target_kl` beyond which stable-baselines3 skips a minibatch and ends the update."""


def update(
    state: AgentState, batch: Batch, settings: PPOSettings, iteration: int, rngs: list[np.random.Generator]
) -> AgentState:
    """Pass over the batch `policy_epochs` times; with `one_optimiser` the same passes train the value network.

    Args:
        state: The agents, left as they are.
        batch: Pairs.
        settings: Passes, minibatches, ε, learning rates, coefficients.
        iteration: For the learning rate.
        rngs: One generator per agent, for the order of its pairs.
    """
    if settings.target_kl is not None and len(rngs) > 1:  # they need not stop at the same minibatch
        return stack_agents(
            [
                update(state.agent(k), _agent(batch, k), settings, iteration, [rng])
                for k, rng in enumerate(rngs)
            ]
        )
    policy = make_policy(settings, batch.obs.shape[2], batch.act.shape[2])
    actor = Learner(policy, state.theta, state.policy_adam, settings.adam_eps)
    old = policy.split(state.theta)
    logp_old = log_prob(forward(policy, old, batch.obs), policy.log_sigma(old), batch.act)
    adv = normalise_advantage(batch.adv) if settings.advantage_norm == "batch" else batch.adv
    columns = [batch.act, adv.unsqueeze(-1), logp_old.unsqueeze(-1)]
    learners, rates = [actor], [settings.policy_lr]
    if settings.one_optimiser:
        value = make_value(settings, batch.obs.shape[2])
        learners.append(Learner(value, state.phi, state.value_adam, settings.adam_eps))
        rates.append(settings.value_lr)
        columns.append(value_columns(batch))
    rates = [learning_rate(rate, iteration, settings) for rate in rates]

    widths = [column.shape[2] for column in columns]
    last_epoch, divergence = 0, 0.0
    for epoch, obs, some in minibatches(
        batch.obs, torch.cat(columns, 2), settings, settings.policy_epochs, rngs
    ):
        if _stops(settings, "epoch", divergence) and epoch > last_epoch:
            break
        last_epoch = epoch
        act, adv, logp_old, *of_value = some.split(widths, dim=2)
        rho = _policy_gradient(actor, obs, act, adv[..., 0], logp_old[..., 0], settings)
        if settings.target_kl is not None:
            divergence = (rho - 1 - rho.log()).mean().item()
            if _stops(settings, "minibatch", divergence):
                break
        if settings.one_optimiser:
            value_gradient(learners[1], obs, of_value[0], settings)
        if settings.max_grad_norm is not None:
            clip_gradients(learners, settings.max_grad_norm)
        for learner, lr in zip(learners, rates, strict=True):
            learner.step(lr)
    state = replace(state, theta=actor.params, policy_adam=actor.adam)
    if settings.one_optimiser:
        state = replace(state, phi=learners[1].params, value_adam=learners[1].adam)
    return state


def objective(
    rho: Float[Tensor, "agent pair"], adv: Float[Tensor, "agent pair"], settings: PPOSettings
) -> Float[Tensor, " agent"]:
    """Eq. 17: mean of min(clip(ρ, 1 − ε, 1 + ε)·Â, ρ·Â)."""
    return clipped_surrogate(rho, adv, settings.eps)


def _policy_gradient(
    actor: Learner,
    obs: Float[Tensor, "agent pair obs"],
    act: Float[Tensor, "agent pair act"],
    adv: Float[Tensor, "agent pair"],
    logp_old: Float[Tensor, "agent pair"],
    settings: PPOSettings,
) -> Float[Tensor, "agent pair"]:
    """Store in the actor the gradient of the loss −(surrogate + entropy_coef · entropy), and return the ratios ρ.

    The entropy of a Gaussian is Σ log σ plus a constant.
    """
    mu, log_sigma = actor.forward(obs), actor.net.log_sigma(actor.parts)
    logp, by_mu, by_log_sigma = log_prob_and_grad(mu, log_sigma, act)
    rho = ratio(logp, logp_old)
    if settings.advantage_norm == "minibatch":
        adv = normalise_advantage(adv)
    slope = (clipped_surrogate_weight(rho, adv, settings.eps) * (-1 / adv.shape[1])).unsqueeze(-1)
    by_sigma = (slope * by_log_sigma).sum(1)
    if settings.entropy_coef:
        by_sigma = by_sigma - settings.entropy_coef
    actor.backward(slope * by_mu, by_sigma * actor.net.log_sigma_slope(actor.parts))
    return rho


def _stops(settings: PPOSettings, at: str, divergence: float) -> bool:
    """Whether the divergence, estimated on a minibatch, ends the update."""
    if settings.target_kl is None or settings.target_kl_at != at:
        return False
    return divergence > settings.target_kl * (KL_MARGIN if at == "minibatch" else 1)


def _agent(batch: Batch, index: int) -> Batch:
    one = slice(index, index + 1)
    columns = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return Batch(**{name: None if column is None else column[one] for name, column in columns.items()})
