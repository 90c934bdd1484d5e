"""Two tasks whose values and policy gradients are known in closed form, as registered Gymnasium environments.

Named `tests.oracles.environments:GaussianBandit-v0` in a parameter file, so that the stages find them by themselves.
"""

import gymnasium
import numpy as np

CONTEXTS = np.array([[1.0, 0.0], [-0.5, 1.5], [0.3, -1.2]])
TARGETS = np.array([[0.5, -1.0], [1.0, 0.3], [-0.7, 0.2]])
"""Bandit: one of three observations, drawn uniformly, and the action that is best there."""

DYNAMICS = np.array([[0.9, 0.2], [-0.1, 0.8]])
CONTROL = np.array([[0.1], [0.5]])
STATE_COST = np.diag([0.5, 0.3])
ACTION_COST = np.array([[0.2]])
DRIFT_STD = 0.2
START_MEAN = np.array([1.0, -0.5])
START_STD = 0.3
HORIZON = 25
"""Linear-quadratic regulator: x' = A x + B a + w, reward −xᵀQx − aᵀRa, cut by a time limit."""


class GaussianBandit(gymnasium.Env):
    """One action per episode; the reward is minus its squared distance from the context's target."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._context = int(self.np_random.integers(len(CONTEXTS)))
        return CONTEXTS[self._context].astype(np.float32), {}

    def step(self, action):
        reward = -float(np.square(action - TARGETS[self._context]).sum())
        return CONTEXTS[self._context].astype(np.float32), reward, True, False, {}


class Regulator(gymnasium.Env):
    """A linear system with quadratic costs and Gaussian disturbances; the state is observed."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._x = START_MEAN + START_STD * self.np_random.standard_normal(2)
        return self._x.copy(), {}

    def step(self, action):
        action = np.asarray(action, np.float64)
        reward = -float(self._x @ STATE_COST @ self._x + action @ ACTION_COST @ action)
        self._x = DYNAMICS @ self._x + CONTROL @ action + DRIFT_STD * self.np_random.standard_normal(2)
        return self._x.copy(), reward, False, False, {}


def _register(name, entry_point, **options):
    if name not in gymnasium.registry:
        gymnasium.register(name, entry_point, disable_env_checker=True, **options)


_register("GaussianBandit-v0", GaussianBandit)
_register("Regulator-v0", Regulator, max_episode_steps=HORIZON)
