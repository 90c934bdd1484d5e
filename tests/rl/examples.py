"""Small agents and batches for the tests of the updates."""

from collections.abc import Iterable

import numpy as np
import torch

from pgprim.core.adam import adam_init
from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import MLP, forward, policy_net, value_net
from pgprim.rl.algorithms import make_settings
from pgprim.rl.batch import Batch
from pgprim.rl.initialise import make_agent
from pgprim.rl.normalise import make_moments
from pgprim.rl.streams import make_streams
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AdamState, AgentState, Moments, stack_agents
from pgprim.types.environment import Environment

NUM_OBS, NUM_ACT, HIDDEN = 5, 3, (64, 64)
HOPPER = Environment("Hopper-v5")

TRAIN = {
    "anneal_over": 500, "pairs": 2048, "semantics": "exact", "gamma": 0.99, "lam": 0.95, "hidden": [64, 64],
    "minibatches": 32, "value_epochs": 10, "adam_eps": 1e-5, "log_sigma": 0.0,
}  # fmt: skip
PPO = TRAIN | {
    "algorithm": "ppo", "init": "orthogonal", "anneal": True, "rew_norm": True, "rew_clip": 10.0, "obs_clip": 10.0,
    "value_lr": 2e-4, "value_clip": None, "policy_lr": 4.5e-4, "policy_epochs": 10, "eps": 0.2,
}  # fmt: skip
PPO_M = PPO | {"init": "xavier", "anneal": False, "rew_norm": False, "rew_clip": None, "obs_clip": None}
TRPO = TRAIN | {
    "algorithm": "trpo", "init": "xavier", "anneal": False, "rew_norm": False, "rew_clip": None, "obs_clip": None, "value_lr": 2e-4,
    "delta": 0.05, "fisher_fraction": 0.1, "cg_steps": 10, "cg_damping": 0.1, "backtracks": 10,
    "backtrack_factor": 0.5, "accept_ratio": 0.1,
}  # fmt: skip
ALGOS = {"ppo": PPO, "ppo_m": PPO_M, "trpo": TRPO}


def settings(algo: str = "ppo", **changes) -> Settings:
    """Settings of Table 1's kind, with some changed."""
    return make_settings(ALGOS[algo] | changes)


def policy(num_act: int = NUM_ACT):
    return policy_net(NUM_OBS, num_act, HIDDEN)


def value():
    return value_net(NUM_OBS, HIDDEN)


def params(net, seed: int, num_agents: int = 1, scale: float = 0.3, dtype=torch.float64) -> torch.Tensor:
    """Random parameters with saturated and unsaturated units alike."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(scale * rng.standard_normal((num_agents, net.num_params))).to(dtype)


def batch(
    seed: int,
    theta: torch.Tensor,
    phi: torch.Tensor,
    num_pairs: int,
    of: MLP | None = None,
    value_of: MLP | None = None,
) -> Batch:
    """Pairs sampled from the policies, with an advantage that prefers some actions and much noise."""
    of, value_of = of or policy(), value_of or value()
    rng = np.random.default_rng(seed)
    num_agents, dtype = len(theta), theta.dtype
    draw = lambda *shape: torch.from_numpy(rng.standard_normal((num_agents, num_pairs, *shape)))  # noqa: E731
    obs = draw(NUM_OBS).to(dtype)
    parts = of.split(theta)
    mu = forward(of, parts, obs)
    act = (
        (mu + parts[-1].exp().unsqueeze(1) * draw(NUM_ACT)).float().to(dtype)
    )  # peers hold actions as float32
    val_old = forward(value_of, value_of.split(phi), obs)[..., 0]
    wish = obs[..., :NUM_ACT].sin()
    adv = 3 - (act - wish).square().sum(-1) + draw()
    return Batch(obs, act, adv.to(dtype), (val_old + adv).to(dtype), val_old)


def logp(theta: torch.Tensor, of: Batch) -> torch.Tensor:
    net = policy(of.act.shape[2])
    parts = net.split(theta)
    return log_prob(forward(net, parts, of.obs), net.log_sigma(parts), of.act)


def agents(theta: torch.Tensor, phi: torch.Tensor) -> AgentState:
    """A stack of agents with fresh optimisers and normalisers."""
    stack, blank = len(theta), make_moments(len(theta), 1)
    return AgentState(theta, phi, adam_init(theta), adam_init(phi), make_moments(stack, NUM_OBS), blank)


class Orders(np.random.Generator):
    """Not random: the orders of minibatches that another library drew."""

    def __init__(self, orders: Iterable[np.ndarray]) -> None:
        super().__init__(np.random.PCG64(0))
        self._orders = iter(orders)

    def permutation(self, num_pairs: int) -> np.ndarray:
        order = next(self._orders)
        assert sorted(order) == list(range(num_pairs))
        return order


def take(of: Batch, agents: slice) -> Batch:
    """Some agents' pairs, in memory of their own."""
    fields = {name: getattr(of, name) for name in of.__dataclass_fields__}
    return Batch(
        **{name: field if field is None else field[agents].clone() for name, field in fields.items()}
    )


def stacks(num_agents: int = 3) -> list[slice]:
    """Every run of neighbours that is shorter than the whole stack."""
    whole = range(num_agents)
    return [slice(a, b) for a in whole for b in range(a + 1, num_agents + 1) if b - a < num_agents]


def new_agents(
    environment: Environment, chosen: Settings, seeds: list[int]
) -> tuple[AgentState, list[tuple]]:
    """A stack of untrained agents, and the purposes of their random numbers."""
    streams = make_streams(environment, [0])
    streams.close()
    purposes = [("test", environment.id, seed) for seed in seeds]
    shape = streams.num_obs, streams.num_act
    states = [make_agent(chosen, *shape, *purpose, "init") for purpose in purposes]
    return stack_agents(states), purposes


def arrays(state: AgentState) -> dict[str, np.ndarray | int]:
    """Everything an agent is, by name."""
    found = {}
    for name, field in vars(state).items():
        if isinstance(field, AdamState | Moments):
            found |= {f"{name}.{part}": np.asarray(value) for part, value in vars(field).items()}
        else:
            found[name] = field.numpy()
    return found


def assert_same_agent(one: AgentState, two: AgentState) -> None:
    """To the bit."""
    right = arrays(two)
    for name, value in arrays(one).items():
        assert value.dtype == right[name].dtype, name
        np.testing.assert_array_equal(value, right[name], err_msg=name)
