"""Streams of experience: independent environments of one task, stepped together.

The environments of `rl.mujoco` are stepped by a fast loop over the simulator, all others by their own `step`. Both
return the same: Gymnasium's two flags, never merged, and the true next observation of every step, also at the end of
an episode. A new episode starts immediately after the end of one, so a step of all streams is one pair of each.
"""

import importlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple, Protocol, runtime_checkable

import gymnasium
import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit
from jaxtyping import Bool, Float, Float32, Float64

from pgprim.types.environment import Environment
from pgprim.types.errors import UserError

PLAIN_WRAPPERS = (OrderEnforcing, PassiveEnvChecker, TimeLimit)
"""Wrappers of `gymnasium.make` that change nothing but when an episode ends."""

SKIPPING_WRAPPERS = ("AtariPreprocessing", "MaxAndSkipObservation")
"""Gymnasium's wrappers one step of which is several of the environment's."""

SHARED = frozenset(("model", "data", "mujoco_renderer", "observation_space", "action_space", "spec"))
"""Parts of a MuJoCo environment that are not copied with its state: MuJoCo copies `data` itself."""


class Transition(NamedTuple):
    """One step of every stream. Arrays are overwritten by the next step.

    Attributes:
        next_obs: Observation after the action, the final one where an episode ended.
        rew: Raw reward.
        terminated: The task ended the episode (a fall, a goal).
        truncated: A time limit ended the episode; both flags may be set.
        obs: Observation from which the next step starts: `next_obs`, or the first of a new episode.
    """

    next_obs: Float64[np.ndarray, "stream obs"]
    rew: Float64[np.ndarray, " stream"]
    terminated: Bool[np.ndarray, " stream"]
    truncated: Bool[np.ndarray, " stream"]
    obs: Float64[np.ndarray, "stream obs"]


@runtime_checkable
class Streams(Protocol):
    """Independent streams of one task; each is a function of its own seed and actions alone.

    Attributes:
        num_streams: Streams.
        num_obs: Length of an observation.
        num_act: Length of an action.
        time_limit: Pairs after which an episode is truncated; None where no limit is known.
    """

    num_streams: int
    num_obs: int
    num_act: int
    time_limit: int | None

    def reset(self) -> Float64[np.ndarray, "stream obs"]:
        """Start the first episode of every stream from its seed, and return the first observations."""

    def step(
        self, act: Float32[np.ndarray, "stream act"], going: Bool[np.ndarray, " stream"] | None = None
    ) -> Transition:
        """One step by the actions as drawn; they are clipped here if the environment says so.

        Args:
            act: Actions.
            going: Which streams are stepped, all by default; the other rows of the transition are undefined.
        """

    def save(self, stream: int) -> Any:
        """The full state of a stream; after `restore` the stream continues identically, bit for bit."""

    def restore(
        self, states: Sequence[Any], rngs: Sequence[np.random.Generator] | None = None
    ) -> Float64[np.ndarray, "stream obs"]:
        """Put every stream into a saved state of the same task.

        Args:
            states: From `save`, one per stream.
            rngs: The environments' generators from then on; by default those of the states.

        Returns:
            The observations of the states.
        """

    def close(self) -> None:
        """Release the environments."""


class GymnasiumStreams:
    """Streams of any environment with Box spaces, by the environment's own `step`."""

    def __init__(self, environment: Environment, seeds: Sequence[int], is_limited: bool) -> None:
        """One environment per seed; without `is_limited` no `TimeLimit` ends an episode."""
        self._environment = environment
        self._envs = [make_env(environment) for _ in seeds]
        self._seeds = [int(seed) for seed in seeds]
        self._is_limited = is_limited
        self.time_limit = _limit(self._envs[0]) if is_limited else None
        self.num_streams = len(seeds)
        self.num_obs = int(np.prod(self._envs[0].observation_space.shape))
        self.num_act = int(np.prod(self._envs[0].action_space.shape))
        self._bound = Bound(self._envs[0].action_space, environment.clip_actions)
        self._obs = np.zeros((self.num_streams, self.num_obs))
        self._steps = 0

    def reset(self) -> Float64[np.ndarray, "stream obs"]:
        """See `Streams.reset`."""
        for stream, seed in enumerate(self._seeds):
            self._restart(stream, seed)
        return self._obs

    def step(
        self, act: Float32[np.ndarray, "stream act"], going: Bool[np.ndarray, " stream"] | None = None
    ) -> Transition:
        """See `Streams.step`.

        Raises:
            UserError: The environment fails, or returns an invalid observation, reward or flag.
        """
        act = self._bound(act)
        rew = np.zeros(self.num_streams)
        terminated, truncated = np.zeros((2, self.num_streams), bool)
        for stream in range(self.num_streams) if going is None else np.flatnonzero(going).tolist():
            try:
                env = self._envs[stream]
                obs, reward, terminated[stream], truncated[stream], _ = env.step(act[stream])
            except Exception as error:
                raise self._failure(f"step {self._steps} of stream {stream}", error) from error
            self._show(stream, obs)
            rew[stream] = self._number(reward)
        self._steps += 1
        next_obs = self._obs
        ended = np.flatnonzero(terminated | truncated)
        if len(ended):
            next_obs = next_obs.copy()
            for stream in ended.tolist():
                self._restart(stream, None)
        return Transition(next_obs, rew, terminated, truncated, self._obs)

    def save(self, stream: int) -> Any:
        """See `Streams.save`. MuJoCo's whole data are copied; everything else as Python objects."""
        levels = list(_levels(self._envs[stream]))
        plain = [
            {name: value for name, value in vars(level).items() if name not in _shared(level)}
            for level in levels
        ]
        data = None
        if isinstance(levels[-1], MujocoEnv):
            data = mujoco.MjData(levels[-1].model)
            mujoco.mj_copyData(data, levels[-1].model, levels[-1].data)
        ids = [id(level) for level in levels]
        try:
            copied = deepcopy(plain, dict(zip(ids, levels, strict=True)))
        except Exception as error:
            raise self._failure("copying its state", error) from error
        return ids, copied, data, self._obs[stream].copy()

    def restore(
        self, states: Sequence[Any], rngs: Sequence[np.random.Generator] | None = None
    ) -> Float64[np.ndarray, "stream obs"]:
        """See `Streams.restore`."""
        for stream, state in enumerate(states):
            ids, plain, data, self._obs[stream] = state
            levels = list(_levels(self._envs[stream]))
            for level, attributes in zip(
                levels, deepcopy(plain, dict(zip(ids, levels, strict=True))), strict=True
            ):
                vars(level).update(attributes)
            if data is not None:
                mujoco.mj_copyData(levels[-1].data, levels[-1].model, data)
            if rngs is not None:
                levels[-1].np_random = rngs[stream]
            self._lift_limit(levels)
        return self._obs

    def close(self) -> None:
        """See `Streams.close`."""
        for env in self._envs:
            env.close()

    def _restart(self, stream: int, seed: int | None) -> None:
        env = self._envs[stream]
        try:
            obs, _ = env.reset(seed=seed)  # without a seed, the generator of the first reset continues
        except Exception as error:
            raise self._failure(f"reset of stream {stream} before step {self._steps}", error) from error
        self._lift_limit(_levels(env))
        self._show(stream, obs)

    def _lift_limit(self, levels: Any) -> None:
        if not self._is_limited:
            for level in levels:
                if isinstance(level, TimeLimit):
                    level._max_episode_steps = sys.maxsize

    def _show(self, stream: int, obs: Any) -> None:
        flat = np.ravel(obs)
        if flat.shape != (self.num_obs,):
            raise UserError(
                f"environment '{self._environment.id}' shows {flat.size} numbers in step {self._steps} of stream "
                f"{stream}, but its observation space has {self.num_obs}"
            )
        self._obs[stream] = flat

    def _number(self, rew: Any) -> float:
        number = np.asarray(rew)
        if number.size != 1 or not np.issubdtype(number.dtype, np.number):
            raise UserError(
                f"environment '{self._environment.id}' gives the reward {rew!r} in step {self._steps}, but a reward is "
                "one number"
            )
        return float(number.reshape(()))

    def _failure(self, moment: str, error: Exception) -> UserError:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return UserError(f"environment '{self._environment.id}' failed at {moment}: {reason}")


class Bound:
    """Casts actions to the type and shape of an action space, and clips them to it."""

    def __init__(self, space: gymnasium.spaces.Box, is_clipped: bool) -> None:
        """Take bounds, shape and type from a space."""
        self._low, self._high = (space.low, space.high) if is_clipped else (None, None)
        self._shape, self._dtype = space.shape, space.dtype

    def __call__(self, act: Float32[np.ndarray, "stream act"]) -> Float[np.ndarray, "stream ..."]:
        """The actions that the environments get, `[stream, *shape of the space]`."""
        act = np.ascontiguousarray(act).reshape(len(act), *self._shape)
        if self._low is not None:
            act = np.minimum(np.maximum(act, self._low), self._high)
        return act.astype(self._dtype, copy=False)


def make_streams(environment: Environment, seeds: Sequence[int], is_limited: bool = True) -> Streams:
    """One independent stream per seed.

    Args:
        environment: The task; its observation and action spaces are Boxes.
        seeds: 31-bit seeds, one per stream.
        is_limited: Whether the task's time limit ends episodes.

    Raises:
        UserError: The environment cannot be made.
    """
    from pgprim.rl.mujoco import MujocoStreams, is_supported

    env = make_env(environment)
    if all(type(level) in PLAIN_WRAPPERS for level in list(_levels(env))[:-1]) and is_supported(
        env.unwrapped
    ):
        limit = _limit(env) if is_limited else None
        return MujocoStreams(env.unwrapped, seeds, limit, Bound(env.action_space, environment.clip_actions))
    env.close()
    return GymnasiumStreams(environment, seeds, is_limited)


def time_limit(environment: Environment) -> int | None:
    """Pairs after which the task's time limit ends an episode; None without a limit.

    Read from the environment that `make_env` makes, not from its registry entry.

    Raises:
        UserError: A wrapper with its own `step` is around the time limit, so its steps may differ from the
            environment's.
    """
    env = make_env(environment)
    limit = _limit(env)
    for level in _levels(env):
        if isinstance(level, TimeLimit):
            break
        if limit is not None and not _is_one_to_one(level):
            raise UserError(
                f"environment '{environment.id}' has the wrapper {type(level).__name__} with a step of its own around "
                f"its time limit of {limit}, so that the limit in steps of the wrapper is not known; exact values need "
                "the wrapper inside the limit (max_episode_steps: null in kwargs, TimeLimit last in wrappers)"
            )
    env.close()
    return limit


def make_env(environment: Environment) -> gymnasium.Env:
    """One environment with its wrappers.

    Raises:
        UserError: It cannot be made, or has a space that is not a Box.
    """
    name = f"environment '{environment.id}'"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*out of date", category=DeprecationWarning)
            env = gymnasium.make(environment.id, **{"disable_env_checker": True, **environment.kwargs})
        for wrapper in environment.wrappers:
            env = _wrap(env, wrapper)
    except Exception as error:
        reason = " ".join(f"{error}".split()) or type(error).__name__
        raise UserError(f"{name} cannot be made: {reason}") from error
    for kind, space in (("observation", env.observation_space), ("action", env.action_space)):
        if not isinstance(space, gymnasium.spaces.Box):
            raise UserError(
                f"{name} has the {kind} space {space}, but observation and action spaces must be Box"
            )
    return env


def _wrap(env: gymnasium.Env, wrapper: str | Mapping[str, Any]) -> gymnasium.Env:
    kwargs = {} if isinstance(wrapper, str) else {k: v for k, v in wrapper.items() if k != "class"}
    path = wrapper if isinstance(wrapper, str) else wrapper.get("class", "")
    module, _, name = path.rpartition(":")
    if not module:
        raise UserError(f"wrapper {wrapper!r} is not of the form module:Class")
    return getattr(importlib.import_module(module), name)(env, **kwargs)


def _levels(env: gymnasium.Env):
    """The wrappers from the outside in, and last the environment itself."""
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env
    yield env


def _limit(env: gymnasium.Env) -> int | None:
    return min(
        (level._max_episode_steps for level in _levels(env) if isinstance(level, TimeLimit)), default=None
    )


def _is_one_to_one(wrapper: gymnasium.Wrapper) -> bool:
    """Whether a step of the wrapper is one step of the wrapped environment, as far as its class shows."""
    bases = (
        gymnasium.Wrapper,
        gymnasium.ActionWrapper,
        gymnasium.ObservationWrapper,
        gymnasium.RewardWrapper,
    )
    if type(wrapper).__module__.startswith("gymnasium.wrappers."):
        return type(wrapper).__name__ not in SKIPPING_WRAPPERS
    return type(wrapper).step in [base.step for base in bases]


def _shared(level: gymnasium.Env) -> frozenset[str]:
    if isinstance(level, gymnasium.Wrapper):
        return frozenset(("env",))
    return SHARED if isinstance(level, MujocoEnv) else frozenset()
