"""A task whose best policy is known: bring a point to the origin, which one action can do."""

from collections.abc import Iterator
from contextlib import contextmanager

import gymnasium
import numpy as np

from pgprim.types.environment import Environment

ID, STEPS = "pgprim-test/Regulator-v0", 8


class Regulator(gymnasium.Env):
    """x' = x + a from x uniform on ±1, at the price of x'²: a = −x is best, and costs σ² per step under noise σ."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    steps_to_live = None
    """Number of rewards, over all environments, after which they are not a number."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = self.np_random.uniform(-1, 1, 1)
        return self.x.copy(), {}

    def step(self, action):
        self.x = self.x + action
        rew = -float(self.x[0] ** 2)
        if Regulator.steps_to_live is not None:
            Regulator.steps_to_live -= 1
            if Regulator.steps_to_live < 0:
                rew = float("nan")
        return self.x.copy(), rew, False, False, {}


@contextmanager
def registered(steps_to_live: int | None = None) -> Iterator[Environment]:
    """The task, as long as it is known to Gymnasium; episodes end by a time limit."""
    Regulator.steps_to_live = steps_to_live
    gymnasium.register(ID, Regulator, max_episode_steps=STEPS)
    try:
        yield Environment(ID)
    finally:
        del gymnasium.registry[ID]
        Regulator.steps_to_live = None
