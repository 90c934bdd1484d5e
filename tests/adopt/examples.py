"""Agents as people's libraries save them: trained for a few hundred pairs with the library itself, or laid out by hand.

The CleanRL-style script is our own: networks, wrappers, loss and saved state dict are those of its
`ppo_continuous_action.py`.
"""

from itertools import pairwise

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import TRPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

ENV = "Hopper-v5"
NUM_OBS, NUM_ACT = 11, 3


def train_sb3(folder, algorithm=PPO, callback=None, iterations=2, normalise=True, env=ENV, **kwargs):
    """Train with stable-baselines3, save as its users do, and return the model and its environment."""
    env = DummyVecEnv([lambda: gym.make(env)] * 2)
    env.seed(0)
    if normalise:
        env = VecNormalize(env, gamma=0.98)
    model = algorithm(
        "MlpPolicy", env, n_steps=128, batch_size=64, gamma=0.98, seed=0, device="cpu", **kwargs
    )  # fmt: skip
    model.learn(256 * iterations, callback=callback)
    model.save(folder / "agent.zip")
    if normalise:
        env.save(folder / "vecnormalize.pkl")
    return model, env


def train_sb3_trpo(folder, **kwargs):
    return train_sb3(folder, TRPO, **kwargs)


class CleanAgent(nn.Module):
    def __init__(self):
        super().__init__()
        self.critic = nn.Sequential(
            nn.Linear(NUM_OBS, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)
        )
        self.actor_mean = nn.Sequential(
            nn.Linear(NUM_OBS, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, NUM_ACT)
        )
        self.actor_logstd = nn.Parameter(torch.zeros(1, NUM_ACT))

    def policy(self, obs):
        return torch.distributions.Normal(self.actor_mean(obs), self.actor_logstd.exp())


def train_cleanrl(path, iterations=2, num_steps=256, after_update=None):
    """PPO as a script: returns agent, optimiser and environment; saves the state dict alone, as the script does."""
    torch.manual_seed(0)
    env = gym.wrappers.ClipAction(gym.make(ENV))
    env = gym.wrappers.NormalizeObservation(env)
    clip = lambda obs: np.clip(obs, -10, 10)  # noqa: E731
    env = gym.wrappers.TransformObservation(env, clip, env.observation_space)
    env = gym.wrappers.NormalizeReward(env, gamma=0.99)
    env = gym.wrappers.TransformReward(env, lambda rew: float(np.clip(rew, -10, 10)))
    agent = CleanAgent()
    optimiser = torch.optim.Adam(agent.parameters(), lr=3e-4, eps=1e-5)
    obs = torch.tensor(env.reset(seed=0)[0], dtype=torch.float32)
    for iteration in range(iterations):
        if after_update is not None:
            after_update(iteration, agent, env)
        seen, acts, rews, ends = [], [], [], []
        for _ in range(num_steps):
            with torch.no_grad():
                act = agent.policy(obs[None]).sample()[0]
            seen.append(obs)
            acts.append(act)
            raw, rew, terminated, truncated, _ = env.step(act.numpy())
            ends.append(terminated or truncated)
            rews.append(rew)
            obs = torch.tensor(env.reset()[0] if ends[-1] else raw, dtype=torch.float32)
        seen, acts = torch.stack(seen), torch.stack(acts)
        with torch.no_grad():
            val = agent.critic(torch.cat([seen, obs[None]]))[:, 0]
            logp_old = agent.policy(seen).log_prob(acts).sum(-1)
        adv, last = torch.zeros(num_steps), 0.0
        for t in reversed(range(num_steps)):
            go_on = 1.0 - ends[t]
            last = rews[t] + 0.99 * val[t + 1] * go_on - val[t] + 0.99 * 0.95 * go_on * last
            adv[t] = last
        ret = adv + val[:-1]
        for _ in range(10):
            for rows in torch.randperm(num_steps).split(64):
                ratio = (agent.policy(seen[rows]).log_prob(acts[rows]).sum(-1) - logp_old[rows]).exp()
                norm = (adv[rows] - adv[rows].mean()) / (adv[rows].std() + 1e-8)
                surrogate = torch.max(-norm * ratio, -norm * ratio.clamp(0.8, 1.2)).mean()
                loss = surrogate + 0.25 * (agent.critic(seen[rows])[:, 0] - ret[rows]).square().mean()
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimiser.step()
    torch.save(agent.state_dict(), path)
    return agent, optimiser, env


def make_mlp(widths, activation):
    layers = []
    for num_in, num_out in pairwise(widths):
        layers += [nn.Linear(num_in, num_out), activation()]
    return nn.Sequential(*layers[:-1])


def some_updates(parameters):
    """An Adam that has made three updates."""
    optimiser = torch.optim.Adam(parameters, lr=5e-4)
    for _ in range(3):
        optimiser.zero_grad()
        sum(parameter.square().sum() for parameter in parameters).backward()
        optimiser.step()
    return optimiser


def rsl_rl_normaliser(mean, std, count):
    mean, std = torch.as_tensor(mean)[None], torch.as_tensor(std)[None]
    return {"_mean": mean, "_var": std.square(), "_std": std, "count": torch.tensor(count)}


def save_rsl_rl(path, mean, std, critic_mean=None, critic_std=None):
    """A runner's checkpoint in the present layout: one state dict for the actor, one for the critic."""
    torch.manual_seed(1)
    actor, critic = make_mlp([NUM_OBS, 32, 16, NUM_ACT], nn.ELU), make_mlp([NUM_OBS, 24, 1], nn.ELU)
    sigma = nn.Parameter(torch.full((NUM_ACT,), 0.7))
    optimiser = some_updates([sigma, *actor.parameters(), *critic.parameters()])

    def state(net, normaliser, extra):
        layers = {f"mlp.{name}": tensor for name, tensor in net.state_dict().items()}
        return {f"obs_normalizer.{name}": x for name, x in normaliser.items()} | extra | layers

    actor_norm = rsl_rl_normaliser(mean, std, 5000)
    critic_norm = actor_norm if critic_mean is None else rsl_rl_normaliser(critic_mean, critic_std, 5000)
    saved = {
        "actor_state_dict": state(actor, actor_norm, {"distribution.std_param": sigma.detach()}),
        "critic_state_dict": state(critic, critic_norm, {}),
        "optimizer_state_dict": optimiser.state_dict(),
        "iter": 150,
        "infos": None,
    }
    torch.save(saved, path)
    return actor, critic, sigma, optimiser


def save_rsl_rl_before(path):
    """A runner's checkpoint in the former layout: one state dict, log σ, no normaliser."""
    torch.manual_seed(2)
    actor, critic = make_mlp([NUM_OBS, 32, NUM_ACT], nn.ELU), make_mlp([NUM_OBS, 32, 1], nn.ELU)
    log_sigma = nn.Parameter(torch.full((NUM_ACT,), -0.4))
    model = nn.Module()
    model.log_std, model.actor, model.critic = log_sigma, actor, critic
    optimiser = some_updates(list(model.parameters()))
    torch.save(
        {"model_state_dict": model.state_dict(), "optimizer_state_dict": optimiser.state_dict(), "iter": 7},
        path,
    )
    return actor, critic, log_sigma, optimiser


def save_skrl(path, mean, var, value_mean, value_var):
    """An agent's checkpoint with models as skrl's own instantiator names their layers."""
    torch.manual_seed(3)
    models = []
    for out, head in ((NUM_ACT, "policy_layer"), (1, "value_layer")):
        model = nn.Module()
        if head == "policy_layer":
            model.log_std_parameter = nn.Parameter(torch.full((NUM_ACT,), -0.2))
        model.net_container = nn.Sequential(nn.Linear(NUM_OBS, 32), nn.ELU(), nn.Linear(32, 16), nn.ELU())
        setattr(model, head, nn.Linear(16, out))
        models.append(model)
    policy, value = models
    optimiser = some_updates([*policy.parameters(), *value.parameters()])

    def scaler(mean, var):
        return {
            "running_mean": torch.as_tensor(mean, dtype=torch.float64),
            "running_variance": torch.as_tensor(var, dtype=torch.float64),
            "current_count": torch.tensor(4000.0, dtype=torch.float64),
        }

    saved = {
        "policy": policy.state_dict(),
        "value": value.state_dict(),
        "optimizer": optimiser.state_dict(),
        "state_preprocessor": scaler(mean, var),
        "value_preprocessor": scaler([value_mean], [value_var]),
    }
    torch.save(saved, path)
    return policy, value, optimiser
