"""Perturbed tasks: scaled quantities of the simulator, and noisy sensors.

The model of one of Gymnasium's MuJoCo tasks is changed after the task is made and before its first episode, so reset,
reward and end of an episode stay Gymnasium's own.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from copy import deepcopy
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float32, Float64

from pgprim.rl.mujoco import MujocoStreams
from pgprim.rl.streams import Bound, Streams, Transition, make_env, make_streams
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError


def scale_mass(model: mujoco.MjModel, data: mujoco.MjData, factor: float) -> None:
    """Multiply the masses and inertias of all bodies, and update the values that MuJoCo derives from them."""
    model.body_mass *= factor
    model.body_inertia *= factor
    inertia = model.dof_M0.sum()
    mujoco.mj_setConst(model, data)
    model.stat.meaninertia *= model.dof_M0.sum() / inertia


def scale_friction(model: mujoco.MjModel, data: mujoco.MjData, factor: float) -> None:
    """Multiply the sliding, torsional and rolling friction of all contacts."""
    model.geom_friction *= factor
    model.pair_friction *= factor


def scale_gravity(model: mujoco.MjModel, data: mujoco.MjData, factor: float) -> None:
    """Multiply the acceleration of gravity."""
    model.opt.gravity *= factor


def scale_gain(model: mujoco.MjModel, data: mujoco.MjData, factor: float) -> None:
    """Multiply each motor's gain; the control cost stays the same."""
    model.actuator_gainprm[:, 0] *= factor


SCALED: dict[str, Callable[[mujoco.MjModel, mujoco.MjData, float], None]] = {
    "mass": scale_mass,
    "friction": scale_friction,
    "gravity": scale_gravity,
    "gain": scale_gain,
}
"""What is multiplied by a factor."""


def scaled_streams(
    environment: Environment, seeds: Sequence[int], quantity: str, factor: float
) -> MujocoStreams:
    """Streams of a task with one scaled quantity of the simulator; factor 1 gives the task's own streams to the bit.

    Args:
        environment: One of Gymnasium's MuJoCo tasks.
        seeds: 31-bit seeds, one per stream.
        quantity: One of `SCALED`.
        factor: What it is multiplied by.

    Raises:
        UserError: The environment is none of Gymnasium's MuJoCo tasks, has wrappers, or no time limit.
    """
    with closing(make_streams(environment, seeds[:1])) as plain:
        limit = plain.time_limit
        if not isinstance(plain, MujocoStreams) or limit is None:
            raise UserError(
                f"environment '{environment.id}' cannot be perturbed: the probe robustness needs one of Gymnasium's MuJoCo "
                "tasks without wrappers and with a time limit; leave its task out of robustness.tasks in params.yaml"
            )
    env = make_env(environment)
    SCALED[quantity](env.unwrapped.model, env.unwrapped.data, factor)
    return MujocoStreams(env.unwrapped, seeds, limit, Bound(env.action_space, environment.clip_actions))


class NoisySensors:
    """Streams with independent normal errors in the observations at each step; rewards and ends of episodes have none.

    See `rl.streams.Streams`.
    """

    def __init__(
        self,
        streams: Streams,
        deviation: Float64[np.ndarray, "#stream obs"],
        rngs: Sequence[np.random.Generator],
    ) -> None:
        """Take over some streams.

        Args:
            streams: The streams.
            deviation: Standard deviation of the error of each number of the observation; 0 changes nothing.
            rngs: Source of each stream's errors.
        """
        self._streams, self._deviation, self._rngs = streams, deviation, list(rngs)
        self.num_streams, self.time_limit = streams.num_streams, streams.time_limit
        self.num_obs, self.num_act = streams.num_obs, streams.num_act
        self._obs = np.zeros((self.num_streams, self.num_obs))

    def reset(self) -> Float64[np.ndarray, "stream obs"]:
        """See `Streams.reset`."""
        self._obs = self._streams.reset() + self._errors()
        return self._obs

    def step(
        self, act: Float32[np.ndarray, "stream act"], going: Bool[np.ndarray, " stream"] | None = None
    ) -> Transition:
        """See `Streams.step`."""
        step, errors = self._streams.step(act, going), self._errors()
        self._obs = step.obs + errors
        return step._replace(next_obs=step.next_obs + errors, obs=self._obs)

    def save(self, stream: int) -> tuple[Any, np.random.Generator, Float64[np.ndarray, " obs"]]:
        """See `Streams.save`."""
        return self._streams.save(stream), deepcopy(self._rngs[stream]), self._obs[stream].copy()

    def restore(
        self, states: Sequence[Any], rngs: Sequence[np.random.Generator] | None = None
    ) -> Float64[np.ndarray, "stream obs"]:
        """See `Streams.restore`; `rngs` are the environments' own, the errors' are those of the states."""
        inner, errors, shown = zip(*states, strict=True)
        self._streams.restore(inner, rngs)
        self._rngs, self._obs = deepcopy(list(errors)), np.stack(shown)
        return self._obs

    def close(self) -> None:
        """See `Streams.close`."""
        self._streams.close()

    def _errors(self) -> Float64[np.ndarray, "stream obs"]:
        return self._deviation * np.stack([rng.standard_normal(self.num_obs) for rng in self._rngs])
