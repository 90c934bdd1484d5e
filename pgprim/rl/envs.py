"""Environments: many independent streams of one task behind one small interface, on EnvPool or on Gymnasium.

Both backends give the same thing for the same states and actions: Gymnasium's two flags, never merged; the true next
observation of every step, also where an episode ends; and a new episode that starts at once where one has ended, so
that a step of all streams is exactly one pair of each.
"""

import ctypes
import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from jaxtyping import Bool, Float

from pgprim.types.errors import UserError

Backend = Literal["auto", "envpool", "gymnasium"]

ENVPOOL_IDS = frozenset(
    f"{task}-{version}" for task in ("Hopper", "Walker2d", "Humanoid") for version in ("v4", "v5")
)
"""Ids for which the tests hold EnvPool to Gymnasium step by step; a name in common would not be enough."""

FOLLOW_EVERY = 64
"""Steps after which a lone worker thread moves to the core its caller has moved to."""


class Transition(NamedTuple):
    """One step of every stream.

    Attributes:
        next_obs: observation after the action, the final one where an episode ended, `[env, obs]`.
        rew: raw reward `[env]`.
        terminated: the task ended the episode (a fall, a goal) `[env]`.
        truncated: a time limit ended the episode `[env]`; both flags may be set.
        obs: observation the next step starts from: `next_obs`, or the first of a new episode where one ended.
    """

    next_obs: Float[np.ndarray, "env obs"]
    rew: Float[np.ndarray, " env"]
    terminated: Bool[np.ndarray, " env"]
    truncated: Bool[np.ndarray, " env"]
    obs: Float[np.ndarray, "env obs"]


@runtime_checkable
class Envs(Protocol):
    """Independent streams of one task, stepped together; stream k is a function of its own seed and actions alone."""

    num_envs: int
    obs_dim: int
    act_dim: int

    def reset(self) -> Float[np.ndarray, "env obs"]:
        """Start a new episode in every stream and return its first observation, float64."""

    def step(self, act: Float[np.ndarray, "env act"]) -> Transition:
        """Apply one unclipped action per stream; the environment clamps and charges it as it defines."""

    def close(self) -> None:
        """Release the environments."""


class EnvPoolEnvs:
    """Streams on EnvPool, whose physics run outside the interpreter, `num_threads` streams at a time.

    Two habits of EnvPool are turned off: it would spend a step on starting an episode (a reset of the ended streams
    comes first), and it would report a fall on the very last step of the time limit as a truncation alone (its limit
    is put one step later, and the true one is held here). For a few streams the hand-over between threads costs as
    much as the physics: so a lone worker thread is kept on its caller's core, where it wakes without an interrupt to
    another core (a fifth of the time of three Hoppers), and EnvPool's public `step()`, which sorts its arguments into
    trees, gives way to the two calls it is made of.
    """

    def __init__(self, env_id: str, seeds: Sequence[int], num_threads: int) -> None:
        """Make one stream per seed; `num_threads` changes the speed, never a byte of the result."""
        import envpool  # an optional fast path: not on every platform

        threads = _threads()
        self._limit = gymnasium.spec(env_id).max_episode_steps
        self._pool = envpool.make(
            env_id,
            env_type="gymnasium",
            num_envs=len(seeds),
            env_seed=[int(seed) for seed in seeds],
            seed=0,
            num_threads=min(num_threads, len(seeds)),
            max_episode_steps=self._limit + 1,
        )
        self.num_envs = len(seeds)
        self.obs_dim = int(self._pool.observation_space.shape[0])
        self.act_dim = int(self._pool.action_space.shape[0])
        self._ids = np.arange(self.num_envs, dtype=np.int32)
        self._follow = _make_follow(_threads() - threads) if num_threads == 1 else None
        self._countdown = 0
        keys = list(self._pool._state_keys)
        self._obs, self._rew, self._done, self._elapsed = map(
            keys.index, ("obs", "reward", "done", "elapsed_step")
        )

    def reset(self) -> Float[np.ndarray, "env obs"]:
        """See `Envs.reset`."""
        return self._reset(self._ids)

    def step(self, act: Float[np.ndarray, "env act"]) -> Transition:
        """See `Envs.step`."""
        if self._follow is not None:
            self._countdown -= 1
            if self._countdown < 0:
                self._countdown = FOLLOW_EVERY
                self._follow()
        pool = self._pool
        pool._send([self._ids, self._ids, np.ascontiguousarray(act, dtype=np.float64)])
        state = pool._recv()
        next_obs, terminated = state[self._obs], state[self._done]
        truncated = state[self._elapsed] >= self._limit
        ended = terminated | truncated
        obs = next_obs
        if ended.any():
            obs = next_obs.copy()
            obs[ended] = self._reset(self._ids[ended])
        return Transition(next_obs, state[self._rew].astype(np.float64), terminated, truncated, obs)

    def close(self) -> None:
        """See `Envs.close`."""
        self._pool = None  # its threads end with the object

    def _reset(self, ids: np.ndarray) -> np.ndarray:
        self._pool._reset(ids)
        return self._pool._recv()[self._obs]


class GymnasiumEnvs:
    """Streams on Gymnasium's vector interface, one after the other in this process: every Box task, everywhere."""

    def __init__(self, env_id: str, seeds: Sequence[int]) -> None:
        """Make one stream per seed.

        Raises:
            UserError: the id is unknown, needs a package that is missing, or has a space that is not a Box.
        """
        self._seeds: list[int] | None = [int(seed) for seed in seeds]
        self._envs = SyncVectorEnv(
            [lambda: _make_gymnasium(env_id)] * len(seeds), autoreset_mode=AutoresetMode.DISABLED
        )
        self.num_envs = len(seeds)
        self._act_shape = self._envs.action_space.shape
        self.obs_dim = int(np.prod(self._envs.single_observation_space.shape))
        self.act_dim = int(np.prod(self._envs.single_action_space.shape))

    def reset(self) -> Float[np.ndarray, "env obs"]:
        """See `Envs.reset`."""
        obs, _ = self._envs.reset(seed=self._seeds)
        self._seeds = None  # later episodes go on in the streams that the seeds began
        return self._flat(obs)

    def step(self, act: Float[np.ndarray, "env act"]) -> Transition:
        """See `Envs.step`."""
        next_obs, rew, terminated, truncated, _ = self._envs.step(act.reshape(self._act_shape))
        ended = terminated | truncated
        obs = next_obs
        if ended.any():
            obs, _ = self._envs.reset(options={"reset_mask": ended})
        return Transition(self._flat(next_obs), rew, terminated, truncated, self._flat(obs))

    def close(self) -> None:
        """See `Envs.close`."""
        self._envs.close()

    def _flat(self, obs: np.ndarray) -> np.ndarray:
        return obs.reshape(self.num_envs, self.obs_dim).astype(np.float64)


def make_envs(env_id: str, seeds: Sequence[int], num_threads: int = 1, backend: Backend = "auto") -> Envs:
    """One independent stream of `env_id` per seed.

    Args:
        env_id: a Gymnasium id with Box observation and action spaces; `module:Name-v0` imports `module` first.
        seeds: 31-bit seeds, one per stream.
        num_threads: streams simulated at a time; no effect on any result.
        backend: `auto` takes EnvPool where it is installed and known to equal Gymnasium, and Gymnasium elsewhere.

    Raises:
        UserError: the task cannot be made, or not by the backend asked for.
    """
    has_envpool = env_id in ENVPOOL_IDS and importlib.util.find_spec("envpool") is not None
    if backend == "envpool" and not has_envpool:
        raise UserError(
            f"env id '{env_id}': the envpool backend needs the package envpool and one of {sorted(ENVPOOL_IDS)}"
        )
    if has_envpool and backend != "gymnasium":
        return EnvPoolEnvs(env_id, seeds, num_threads)
    return GymnasiumEnvs(env_id, seeds)


def _threads() -> set[int]:
    return {int(thread) for thread in os.listdir("/proc/self/task")} if sys.platform == "linux" else set()


def _make_follow(workers: set[int]) -> Callable[[], None] | None:
    """What moves `workers` to the core that its caller runs on, where the platform has a way."""
    current_core = getattr(ctypes.CDLL(None), "sched_getcpu", None) if workers else None
    if current_core is None:
        return None
    core_of_workers = None

    def follow() -> None:
        nonlocal core_of_workers
        core = current_core()
        if core != core_of_workers:
            core_of_workers = core
            for worker in tuple(workers):
                try:
                    os.sched_setaffinity(worker, {core})
                except ProcessLookupError:  # it only helped to make the environments
                    workers.discard(worker)

    return follow


def _make_gymnasium(env_id: str) -> gymnasium.Env:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*out of date", category=DeprecationWarning)
            env = gymnasium.make(env_id, disable_env_checker=True)
    except (gymnasium.error.Error, ImportError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"env id '{env_id}' cannot be made by Gymnasium: {reason}") from error
    for name, space in (("observation", env.observation_space), ("action", env.action_space)):
        if not isinstance(space, gymnasium.spaces.Box):
            raise UserError(
                f"env id '{env_id}' has the {name} space {space}, but observation and action spaces must be Box"
            )
    return env
