"""An agent at one moment: everything needed to act, to compute the next update and to go on training."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgprim.types.environment import Environment


@dataclass(frozen=True)
class AdamState:
    """Adam's moments and the number of updates so far.

    Attributes:
        m: Running mean of gradients.
        v: Running mean of squared gradients.
        count: Updates so far.
    """

    m: Float[Tensor, "agent param"]
    v: Float[Tensor, "agent param"]
    count: Int[np.ndarray, " agent"]


@dataclass(frozen=True)
class Moments:
    """Running count, mean and sum of squared deviations from the mean, in double precision.

    Attributes:
        count: Values seen, the same for all agents of a stack.
        mean: Their mean.
        m2: Their summed squared deviation from it.
    """

    count: int
    mean: Float[np.ndarray, "agent dim"]
    m2: Float[np.ndarray, "agent dim"]


@dataclass(frozen=True)
class AgentState:
    """A stack of agents before an iteration's update. Every array has a leading axis `agent`.

    Attributes:
        theta: Policy parameters, log σ included, in the order of `core.mlp.policy_net(...).layout`.
        phi: Value network parameters, in the order of `core.mlp.value_net(...).layout`.
        policy_adam: Optimiser of θ; TRPO leaves it at zero.
        value_adam: Optimiser of φ.
        obs_moments: Moments of the observations that the policy acted on.
        rew_moments: Moments of the discounted reward sum (one dimension).
    """

    theta: Float[Tensor, "agent policy_param"]
    phi: Float[Tensor, "agent value_param"]
    policy_adam: AdamState
    value_adam: AdamState
    obs_moments: Moments
    rew_moments: Moments

    @property
    def num_agents(self) -> int:
        """Number of agents in the stack."""
        return self.theta.shape[0]

    def agent(self, index: int) -> "AgentState":
        """One agent of the stack, copied, as a stack of one."""
        return AgentState(*(_take(getattr(self, name), index) for name in self.__dataclass_fields__))


def stack_agents(states: list[AgentState]) -> AgentState:
    """The inverse of `AgentState.agent`: agents at the same point of training, side by side."""
    return AgentState(
        *(_stack([getattr(state, name) for state in states]) for name in AgentState.__dataclass_fields__)
    )


def _take(field: Tensor | AdamState | Moments, index: int) -> Tensor | AdamState | Moments:
    if isinstance(field, Tensor):
        return field[index : index + 1].clone()
    if isinstance(field, AdamState):
        return AdamState(_take(field.m, index), _take(field.v, index), field.count[index : index + 1].copy())
    pick = slice(index, index + 1)
    return replace(field, mean=field.mean[pick].copy(), m2=field.m2[pick].copy())


def _stack(fields: list) -> Tensor | AdamState | Moments:
    first = fields[0]
    if isinstance(first, Tensor):
        return torch.cat(fields)
    if isinstance(first, AdamState):
        return AdamState(
            torch.cat([f.m for f in fields]),
            torch.cat([f.v for f in fields]),
            np.concatenate([f.count for f in fields]),
        )
    return Moments(
        first.count, np.concatenate([f.mean for f in fields]), np.concatenate([f.m2 for f in fields])
    )


@dataclass(frozen=True)
class Checkpoint:
    """One agent before the update of one iteration.

    All random numbers are derived from seed, iteration and purpose (`core.seeding`), so no generator's state is kept.

    Attributes:
        task: Name of the task in the parameter file.
        environment: The task's environment.
        algo: Name of the algorithm in the parameter file.
        seed: The agent's seed.
        iteration: Number of updates made.
        num_obs: Length of an observation.
        num_act: Length of an action.
        settings: The agent's settings, in the form that `rl.algorithms.make_settings` reads.
        state: The agent, as a stack of one.
    """

    task: str
    environment: Environment
    algo: str
    seed: int
    iteration: int
    num_obs: int
    num_act: int
    settings: dict
    state: AgentState

    @property
    def env_id(self) -> str:
        """Gymnasium's id of the environment."""
        return self.environment.id
