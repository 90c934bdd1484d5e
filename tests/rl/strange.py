"""Environments of other people: what their constructors, actions, rewards and steps may be like."""

import gymnasium
import numpy as np
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv


class Strange(gymnasium.Env):
    """Nothing by default: observations 0, the reward the first action."""

    def __init__(
        self,
        dtype="float32",
        checks_actions=False,
        rew="action",
        fails_at=None,
        num_shown=2,
        nan_at=None,
        nan_in="rew",
        truncates_at=None,
        scale=1.0,
        offset=0.0,
        is_global=False,
    ):
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = gymnasium.spaces.Box(-1, 1, (2,), np.dtype(dtype).type)
        self.checks_actions, self.rew, self.fails_at, self.num_shown = (
            checks_actions,
            rew,
            fails_at,
            num_shown,
        )
        self.nan_at, self.nan_in, self.truncates_at = nan_at, nan_in, truncates_at
        self.scale, self.offset, self.is_global = scale, offset, is_global

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._obs(), {}

    def step(self, action):
        if self.checks_actions:
            assert self.action_space.contains(action), action
        if self.t == self.fails_at:
            1 / 0  # noqa: B018
        rew = float(action[0]) if isinstance(self.rew, str) else self.rew
        obs, is_nan = self._obs(), self.t == self.nan_at
        if is_nan and self.nan_in == "rew":
            rew = float("nan")
        if is_nan and self.nan_in == "obs":
            obs[1] = np.inf
        self.t += 1
        return obs, rew, False, self.t == self.truncates_at, {}

    def _obs(self):
        if self.num_shown != 2 and hasattr(self, "t") and self.t:
            return np.zeros(self.num_shown)
        # The module's own generator, which no environment's seed sets, is the point.
        rng = np.random if self.is_global else self.np_random
        return self.offset + self.scale * rng.uniform(-1, 1, 2)


class Square(gymnasium.Env):
    """Spaces with two axes."""

    observation_space = gymnasium.spaces.Box(-9, 9, (2, 3))
    action_space = gymnasium.spaces.Box(-1, 1, (2, 2))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros((2, 3), np.float32), {}

    def step(self, action):
        return np.arange(6, dtype=np.float32).reshape(2, 3), float(action[0, 1]), False, False, {}


class Needy(Square):
    """Cannot be made without an argument."""

    def __init__(self, length):
        self.observation_space = gymnasium.spaces.Box(-9, 9, (length,))


class Skinny(Square):
    """Observations of a Hopper, but fewer actions."""

    observation_space = gymnasium.spaces.Box(-9, 9, (11,))
    action_space = gymnasium.spaces.Box(-1, 1, (2,))

    def reset(self, *, seed=None, options=None):
        return np.zeros(11, np.float32), {}


class Kangaroo(HopperEnv):
    """A Hopper with a step of its own."""

    def step(self, action):
        obs, rew, *rest = super().step(action)
        return obs, rew + 1, *rest


class Skip(gymnasium.Wrapper):
    """Two steps for one."""

    def step(self, action):
        self.env.step(action)
        return self.env.step(action)


for _class in (Strange, Square, Needy, Skinny, Kangaroo):
    _name = f"{_class.__name__}-v0"
    if _name not in gymnasium.registry:
        gymnasium.register(_name, _class, disable_env_checker=True)
