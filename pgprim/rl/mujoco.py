"""Fast streams of Gymnasium's MuJoCo tasks, without the overhead of `step`.

All streams share one model and one `MjData`. The full state of each (`mjSTATE_INTEGRATION`: positions, velocities,
controls, the solver's warm start, ...) is a row of one array; a step writes the row into the data, advances it, and
reads it back. So positions, velocities and controls of all streams are slices of that array, a state is saved by
copying a row, and the simulator's memory stays in the processor's cache. Observations, rewards and flags of all
streams are computed at once.

Resets run Gymnasium's own code. Weights, ranges and switches are read from the Gymnasium environment. Observations,
rewards and flags equal those of its `step` bit for bit, so each formula below keeps Gymnasium's order of operations.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import compress
from types import SimpleNamespace
from typing import Any, NamedTuple

import mujoco
import numpy as np
from gymnasium.envs.mujoco import (
    MujocoEnv,
    ant_v4,
    ant_v5,
    half_cheetah_v4,
    half_cheetah_v5,
    hopper_v4,
    hopper_v5,
    humanoid_v4,
    humanoid_v5,
    inverted_double_pendulum_v4,
    inverted_double_pendulum_v5,
    inverted_pendulum_v4,
    inverted_pendulum_v5,
    swimmer_v4,
    swimmer_v5,
    walker2d_v4,
    walker2d_v5,
)
from jaxtyping import Bool, Float, Float32, Float64

from pgprim.rl.streams import Bound, Transition

STATE = int(mujoco.mjtState.mjSTATE_INTEGRATION)

Array = Float[np.ndarray, "..."]


class Task:
    """Observation, reward and termination of one class of environments, for all streams at once.

    `now` holds the streams' `state` (positions, then velocities), `qpos`, `qvel`, `ctrl` and the arrays named by
    `derived`, each `[stream, ...]`.
    """

    derived: tuple[str, ...] = ()
    """Arrays of `MjData` beyond its state that observation, reward or termination need."""
    needs_forces = False
    """Whether `mj_rnePostConstraint` must follow each step, as `MujocoEnv` has it."""
    hidden = 1
    """Coordinates of position that are excluded from the observation if the environment says so."""
    judged: slice | None = None
    """Coordinates of the state that must be within bounds, or the episode ends."""

    def __init__(self, env: MujocoEnv, is_v4: bool) -> None:
        """Read weights, ranges and switches from an environment."""
        self.env, self.is_v4, self.dt = env, is_v4, env.dt
        self.num_skipped = self.hidden if self._of("exclude_current_positions_from_observation", False) else 0
        self.can_end = self._of("terminate_when_unhealthy", False)
        self.forward_weight = self._of("forward_reward_weight", 1.0)
        self.healthy_reward = self._of("healthy_reward", 0.0)
        if self.judged is not None:
            low, high = np.full((2, env.model.nq + env.model.nv), [[-np.inf], [np.inf]])
            for coordinates, (least, most) in self.ranges():
                low[coordinates] = np.maximum(low[coordinates], least)
                high[coordinates] = np.minimum(high[coordinates], most)
            self.low, self.high = low[self.judged], high[self.judged]

    def ranges(self) -> list[tuple[slice, Sequence[float | int]]]:
        """Coordinates of the state, and the open interval in which each of them must lie."""
        return []

    def position(self, now: SimpleNamespace) -> Array:
        """The coordinate whose velocity is rewarded."""
        return now.qpos[:, 0].copy()

    def obs(self, now: SimpleNamespace) -> list[Array]:
        """The parts of the observation."""
        return [now.qpos[:, self.num_skipped :], now.qvel]

    def is_healthy(self, now: SimpleNamespace) -> Bool[np.ndarray, " stream"]:
        """Whether the episode continues."""
        if self.judged is None:
            return np.ones(len(now.qpos), bool)
        state = now.state[:, self.judged]
        return np.logical_and.reduce((self.low < state) & (state < self.high), axis=1)

    def costs(self, now: SimpleNamespace, act: Array) -> Array:
        """Costs that are subtracted from the reward."""
        return self.env._ctrl_cost_weight * np.add.reduce(np.square(act), axis=1)

    def outcome(
        self, now: SimpleNamespace, before: Array, act: Array
    ) -> tuple[Float64[np.ndarray, " stream"], Bool[np.ndarray, " stream"]]:
        """Reward and termination, by the position before the step and the action."""
        rewards = self.forward_weight * ((self.position(now) - before) / self.dt)
        is_healthy = self.is_healthy(now)
        if self.healthy_reward:
            rewards += (
                self.healthy_reward if self.is_v4 and self.can_end else is_healthy * self.healthy_reward
            )
        rewards -= self.costs(now, act)
        return rewards, ~is_healthy if self.can_end else np.zeros_like(is_healthy)

    def _of(self, name: str, default: float | bool) -> Any:
        return getattr(self.env, f"_{name}", default)


class Cheetah(Task):
    """HalfCheetah: nothing ends an episode but the time limit."""


class Swimmer(Task):
    """Swimmer: nothing ends an episode but the time limit."""

    hidden = 2


class Walker(Task):
    """Walker2d: upright between two heights."""

    judged = slice(1, 3)

    def ranges(self):
        """See `Task.ranges`."""
        return [(slice(1, 2), self.env._healthy_z_range), (slice(2, 3), self.env._healthy_angle_range)]

    def obs(self, now):
        """See `Task.obs`."""
        return [now.qpos[:, self.num_skipped :], _clip(now.qvel, -10, 10)]


class Hopper(Walker):
    """Hopper: upright above a height, and no coordinate out of range."""

    judged = slice(1, None)

    def ranges(self):
        """See `Task.ranges`."""
        return [*super().ranges(), (slice(2, None), self.env._healthy_state_range)]


class Humanoid(Task):
    """Humanoid: its centre of mass moves; inertias, velocities and forces of its bodies are observed."""

    hidden = 2
    needs_forces = True
    derived = ("xipos", "cinert", "cvel", "qfrc_actuator", "cfrc_ext")
    judged = slice(2, 3)

    def ranges(self):
        """See `Task.ranges`."""
        return [(slice(2, 3), self.env._healthy_z_range)]

    def position(self, now):
        """See `Task.position`."""
        mass = self.env.model.body_mass
        # One body after the other, as `numpy.einsum` sums for Gymnasium: a plain sum may take pairs of pairs.
        return np.add.accumulate(mass[:, None] * now.xipos[:, :, 0].T)[-1] / mass.sum()

    def obs(self, now):
        """See `Task.obs`."""
        first, joint = (
            (0, 0) if self.is_v4 else (1, 6)
        )  # the world's entries, and the joint that no motor drives
        wanted = {"cinert": first, "cvel": first, "qfrc_actuator": joint, "cfrc_ext": first}
        parts = [
            getattr(now, name)[:, start:].reshape(len(now.qpos), -1)
            for name, start in wanted.items()
            if self.is_v4 or self._of(f"include_{name}_in_observation", True) is True
        ]
        return [*super().obs(now), *parts]

    def costs(self, now, act):
        """See `Task.costs`."""
        control = super().costs(now, now.ctrl)
        if self.is_v4:
            return control
        forces = np.add.reduce(np.square(now.cfrc_ext).reshape(len(now.qpos), -1), axis=1)
        return control + _clip(self.env._contact_cost_weight * forces, *self.env._contact_cost_range)


class Ant(Task):
    """Ant: its torso moves; contact forces may be observed and charged."""

    hidden = 2
    needs_forces = True
    derived = ("xpos", "cfrc_ext")

    def position(self, now):
        """See `Task.position`."""
        body = self.env.data.body("torso" if self.is_v4 else self.env._main_body).id
        return now.xpos[:, body, 0].copy()

    def obs(self, now):
        """See `Task.obs`."""
        parts = super().obs(now)
        if self._of("use_contact_forces" if self.is_v4 else "include_cfrc_ext_in_observation", False):
            forces = self._forces(now) if self.is_v4 else self._forces(now)[:, 1:]
            parts.append(forces.reshape(len(now.qpos), -1))
        return parts

    def is_healthy(self, now):
        """See `Task.is_healthy`."""
        low, high = self.env._healthy_z_range
        return np.isfinite(now.state).all(1) & (low <= now.qpos[:, 2]) & (now.qpos[:, 2] <= high)

    def costs(self, now, act):
        """See `Task.costs`."""
        control = super().costs(now, act)
        if self.is_v4 and not self.env._use_contact_forces:
            return control
        forces = np.add.reduce(np.square(self._forces(now)).reshape(len(now.qpos), -1), axis=1)
        return control + self.env._contact_cost_weight * forces

    def _forces(self, now):
        return _clip(now.cfrc_ext, *self.env._contact_force_range)


class Pendulum(Task):
    """InvertedPendulum: 1 per step until the pole leans."""

    def outcome(self, now, before, act):
        """See `Task.outcome`."""
        terminated = ~np.isfinite(now.state).all(1) | (np.abs(now.qpos[:, 1]) > 0.2)
        return np.ones(len(now.qpos)) if self.is_v4 else (~terminated).astype(float), terminated


class DoublePendulum(Task):
    """InvertedDoublePendulum: near its tip's highest point and slow."""

    derived = ("site_xpos", "qfrc_constraint")

    def obs(self, now):
        """See `Task.obs`."""
        angle, num_forces = now.qpos[:, 1:], None if self.is_v4 else 1
        forces = _clip(now.qfrc_constraint, -10, 10)[:, :num_forces]
        return [now.qpos[:, :1], np.sin(angle), np.cos(angle), _clip(now.qvel, -10, 10), forces]

    def outcome(self, now, before, act):
        """See `Task.outcome`."""
        x, _, y = now.site_xpos[:, 0].T
        slow, fast = now.qvel[:, 1], now.qvel[:, 2]
        distance = 0.01 * _powers(x) + _powers(y - 2)
        speed = 1e-3 * _powers(slow) + 5e-3 * _powers(fast)
        terminated = y <= 1
        alive = 10.0 if self.is_v4 else self.env._healthy_reward * ~terminated
        return alive - distance - speed, terminated


TASKS: dict[type, tuple[type[Task], bool]] = {
    hopper_v4.HopperEnv: (Hopper, True),
    hopper_v5.HopperEnv: (Hopper, False),
    walker2d_v4.Walker2dEnv: (Walker, True),
    walker2d_v5.Walker2dEnv: (Walker, False),
    humanoid_v4.HumanoidEnv: (Humanoid, True),
    humanoid_v5.HumanoidEnv: (Humanoid, False),
    half_cheetah_v4.HalfCheetahEnv: (Cheetah, True),
    half_cheetah_v5.HalfCheetahEnv: (Cheetah, False),
    ant_v4.AntEnv: (Ant, True),
    ant_v5.AntEnv: (Ant, False),
    swimmer_v4.SwimmerEnv: (Swimmer, True),
    swimmer_v5.SwimmerEnv: (Swimmer, False),
    inverted_pendulum_v4.InvertedPendulumEnv: (Pendulum, True),
    inverted_pendulum_v5.InvertedPendulumEnv: (Pendulum, False),
    inverted_double_pendulum_v4.InvertedDoublePendulumEnv: (DoublePendulum, True),
    inverted_double_pendulum_v5.InvertedDoublePendulumEnv: (DoublePendulum, False),
}
"""Gymnasium's class ↦ how its streams are computed, and whether it is of version 4."""


def is_supported(env: object) -> bool:
    """Whether an unwrapped environment is exactly of one of the classes that tests compare with Gymnasium."""
    return type(env) in TASKS and env.render_mode is None


class Saved(NamedTuple):
    """The full state of one stream."""

    state: Float64[np.ndarray, " state"]
    derived: Float64[np.ndarray, " number"]
    obs: Float64[np.ndarray, " obs"]
    elapsed: int
    rng: np.random.Generator


class MujocoStreams:
    """Streams of one of Gymnasium's MuJoCo tasks; see `rl.streams.Streams`."""

    def __init__(self, env: MujocoEnv, seeds: Sequence[int], limit: int | None, bound: Bound) -> None:
        """One stream per seed.

        Args:
            env: The environment without wrappers, of a class in `TASKS`; do not use it afterwards.
            seeds: 31-bit seeds.
            limit: Pairs after which an episode is truncated; None for never.
            bound: Casts and clips the actions.
        """
        self.num_streams, self.time_limit, self._bound = len(seeds), limit, bound
        self.num_obs, self.num_act = env.observation_space.shape[0], env.action_space.shape[0]
        self._env, self._seeds = env, [int(seed) for seed in seeds]
        model, data = env.model, env.data
        task, is_v4 = TASKS[type(env)]
        self._task = task(env, is_v4)
        self._state = np.zeros((self.num_streams, mujoco.mj_stateSize(model, STATE)))
        self._views = [getattr(data, name).reshape(-1) for name in task.derived]
        self._derived = np.zeros((self.num_streams, sum(view.size for view in self._views)))
        self._now = SimpleNamespace(
            state=self._slice(mujoco.mjtState.mjSTATE_QPOS, mujoco.mjtState.mjSTATE_QVEL),
            qpos=self._slice(mujoco.mjtState.mjSTATE_QPOS),
            qvel=self._slice(mujoco.mjtState.mjSTATE_QVEL),
            ctrl=self._slice(mujoco.mjtState.mjSTATE_CTRL),
        )
        start = 0
        for name, view in zip(task.derived, self._views, strict=True):
            part = self._derived[:, start : start + view.size]
            setattr(self._now, name, part.reshape(self.num_streams, *getattr(data, name).shape))
            start += view.size
        self._rows, self._derived_rows = list(self._state), list(self._derived)
        self._obs = np.zeros((self.num_streams, self.num_obs))
        self._elapsed = np.zeros(self.num_streams, int)
        self._rngs: list[np.random.Generator] = []

    def reset(self) -> Float64[np.ndarray, "stream obs"]:
        """See `Streams.reset`."""
        self._rngs = []
        for stream, seed in enumerate(self._seeds):
            self._obs[stream], _ = self._env.reset(seed=seed)
            self._rngs.append(self._env.np_random)
            self._read(stream)
        self._elapsed[:] = 0
        return self._obs

    def step(
        self, act: Float32[np.ndarray, "stream act"], going: Bool[np.ndarray, " stream"] | None = None
    ) -> Transition:
        """See `Streams.step`."""
        now, task = self._now, self._task
        act = self._bound(act)
        before = task.position(now)
        now.ctrl[:] = act
        self._advance(going)
        next_obs = np.concatenate(task.obs(now), axis=1, out=self._obs)
        rew, terminated = task.outcome(now, before, act)
        self._elapsed += 1
        truncated = np.zeros_like(terminated) if self.time_limit is None else self._elapsed >= self.time_limit
        ended = terminated | truncated
        if going is not None:
            ended &= going
        if np.count_nonzero(ended):
            next_obs = next_obs.copy()
            for stream in np.flatnonzero(ended).tolist():
                self._env.np_random = self._rngs[stream]
                self._obs[stream], _ = self._env.reset()
                self._read(stream)
            self._elapsed[ended] = 0
        return Transition(next_obs, rew, terminated, truncated, self._obs)

    def save(self, stream: int) -> Saved:
        """See `Streams.save`."""
        arrays = (array[stream].copy() for array in (self._state, self._derived, self._obs))
        return Saved(*arrays, int(self._elapsed[stream]), deepcopy(self._rngs[stream]))

    def restore(
        self, states: Sequence[Saved], rngs: Sequence[np.random.Generator] | None = None
    ) -> Float64[np.ndarray, "stream obs"]:
        """See `Streams.restore`."""
        for stream, saved in enumerate(states):
            self._state[stream], self._derived[stream], self._obs[stream] = saved[:3]
            self._elapsed[stream] = saved.elapsed
        self._rngs = [deepcopy(saved.rng) for saved in states] if rngs is None else list(rngs)
        return self._obs

    def close(self) -> None:
        """See `Streams.close`."""
        self._env.close()

    def _advance(self, going: Bool[np.ndarray, " stream"] | None) -> None:
        """Simulate the active streams for one step."""
        model, data, num_steps = self._env.model, self._env.data, self._env.frame_skip
        put, step, get = mujoco.mj_setState, mujoco.mj_step, mujoco.mj_getState
        rows, derived_rows = self._rows, self._derived_rows
        if going is not None:
            rows, derived_rows = list(compress(rows, going)), list(compress(derived_rows, going))
        if not self._views:
            for row in rows:
                put(model, data, row, STATE)
                step(model, data, num_steps)
                get(model, data, row, STATE)
            return
        views, gather = self._views, np.concatenate
        add_forces: Callable = mujoco.mj_rnePostConstraint if self._task.needs_forces else lambda *_: None
        for row, derived in zip(rows, derived_rows, strict=True):
            put(model, data, row, STATE)
            step(model, data, num_steps)
            add_forces(model, data)
            get(model, data, row, STATE)
            gather(views, out=derived)

    def _read(self, stream: int) -> None:
        """Take a stream's state from the environment, which has just been reset."""
        mujoco.mj_getState(self._env.model, self._env.data, self._rows[stream], STATE)
        if self._views:
            np.concatenate(self._views, out=self._derived_rows[stream])

    def _slice(self, *parts: mujoco.mjtState) -> Float64[np.ndarray, "stream number"]:
        """The columns of neighbouring parts of the state, which lie in the order of their bits."""
        model = self._env.model
        start = mujoco.mj_stateSize(model, STATE & (int(parts[0]) - 1))
        return self._state[:, start : start + sum(mujoco.mj_stateSize(model, int(part)) for part in parts)]


def _powers(values: Array) -> Array:
    """x² by `pow`, as Gymnasium computes it for scalars: its last bit can differ from x·x, which arrays use."""
    return np.array([value**2 for value in values])


def _clip(values: Array, low: float | int, high: float | int) -> Array:
    """`numpy.clip`, three times as fast."""
    return np.minimum(np.maximum(values, low), high)
