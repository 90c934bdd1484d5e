"""Environments: both backends against each other, streams against their neighbours, the flags, and bad ids."""

import importlib.metadata
import os
import threading
import warnings

import gymnasium
import mujoco
import numpy as np
import pytest
from pgprim.rl.envs import ENVPOOL_IDS, EnvPoolEnvs, GymnasiumEnvs, _make_follow, make_envs

from pgprim.types.errors import UserError

HIDDEN_POSITIONS = {"Hopper": 1, "Walker2d": 1, "Humanoid": 2}
CONTACT_FORCES = {"Humanoid-v4": 84, "Humanoid-v5": 78}


def mirror(env: gymnasium.Env, obs: np.ndarray, num_hidden: int) -> None:
    """Put Gymnasium's simulator into the state of a first observation; where it stands is not in it."""
    sim = env.unwrapped
    env.reset()
    mujoco.mj_resetData(sim.model, sim.data)
    num_pos = sim.model.nq - num_hidden
    qpos = np.concatenate([np.zeros(num_hidden), obs[:num_pos]])
    sim.set_state(qpos, obs[num_pos : num_pos + sim.model.nv])


@pytest.mark.parametrize("env_id", sorted(ENVPOOL_IDS))
def test_envpool_equals_gymnasium(env_id):
    num_hidden = HIDDEN_POSITIONS[env_id.split("-")[0]]
    fast, plain = make_envs(env_id, [1, 2], backend="envpool"), make_envs(env_id, [3, 4], backend="gymnasium")
    assert isinstance(fast, EnvPoolEnvs) and isinstance(plain, GymnasiumEnvs)
    assert (fast.num_envs, fast.obs_dim, fast.act_dim) == (plain.num_envs, plain.obs_dim, plain.act_dim)
    plain.reset()
    for env, obs in zip(plain._envs.envs, fast.reset(), strict=True):
        mirror(env, obs, num_hidden)
    compared = fast.obs_dim - CONTACT_FORCES.get(env_id, 0)
    bound = 0.4 if env_id.startswith("Humanoid") else 1.0
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(400):
        act = 1.2 * bound * rng.standard_normal((2, fast.act_dim))  # beyond the bounds, too
        one, two = fast.step(act), plain.step(act)
        np.testing.assert_allclose(one.next_obs[:, :compared], two.next_obs[:, :compared], rtol=0, atol=1e-9)
        np.testing.assert_allclose(one.rew, two.rew, rtol=1e-6, atol=1e-6)  # EnvPool's rewards are float32
        np.testing.assert_array_equal(one.terminated, two.terminated)
        np.testing.assert_array_equal(one.truncated, two.truncated)
        for index in np.flatnonzero(one.terminated | one.truncated):
            mirror(plain._envs.envs[index], one.obs[index], num_hidden)
            ends += 1
    assert ends > 10
    fast.close(), plain.close()


def test_fast_path_equals_envpools_public_step():
    import envpool

    seeds, rng = [5, 6, 7], np.random.default_rng(0)
    fast = make_envs("Hopper-v5", seeds, backend="envpool")
    public = envpool.make(
        "Hopper-v5",
        env_type="gymnasium",
        num_envs=3,
        env_seed=seeds,
        seed=0,
        num_threads=1,
        max_episode_steps=1001,
    )
    np.testing.assert_array_equal(fast.reset(), public.reset()[0])
    ends = 0
    for _ in range(300):
        act = rng.standard_normal((3, 3))
        step = fast.step(act)
        obs, rew, terminated, truncated, _ = public.step(act)
        np.testing.assert_array_equal(step.next_obs, obs)
        np.testing.assert_array_equal(step.rew, rew)
        np.testing.assert_array_equal(step.terminated, terminated)
        np.testing.assert_array_equal(step.truncated, truncated)
        obs = obs.copy()
        if terminated.any():
            ids = np.flatnonzero(terminated).astype(np.int32)
            obs[ids] = public.reset(ids)[0]
            ends += len(ids)
        np.testing.assert_array_equal(step.obs, obs)
    assert ends > 10


@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_a_stream_depends_on_its_own_seed_and_actions_alone(backend):
    many = make_envs("Walker2d-v5", [1, 2, 3], num_threads=2, backend=backend)
    alone = make_envs("Walker2d-v5", [3], backend=backend)
    np.testing.assert_array_equal(many.reset()[2:], alone.reset())
    rng = np.random.default_rng(0)
    ends = np.zeros(3, int)
    for _ in range(150):
        act = rng.standard_normal((3, many.act_dim))
        one, two = many.step(act), alone.step(act[2:])
        for field, value in zip(one, two, strict=True):
            np.testing.assert_array_equal(field[2:], value)
        ends += one.terminated
    assert (ends > 0).all()


@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_time_limit_and_fall_are_told_apart(backend, monkeypatch):
    """A limit at the very step at which the first stream falls sets both flags there and one in the other stream."""

    def falls(limit: int | None) -> tuple[list, list]:
        if limit is not None:
            monkeypatch.setattr(gymnasium.spec("Hopper-v5"), "max_episode_steps", limit)
        envs = make_envs("Hopper-v5", [0, 1], backend=backend)
        envs.reset()
        steps = [envs.step(act) for act in np.random.default_rng(0).standard_normal((120, 2, 3))]
        return [step.terminated for step in steps], [step.truncated for step in steps]

    terminated, truncated = falls(None)
    first = [int(np.argmax([flag[stream] for flag in terminated])) for stream in (0, 1)]
    assert min(first) > 1 and first[0] != first[1] and not np.any(truncated)
    early, late = np.argsort(first)
    terminated, truncated = falls(first[early] + 1)
    at_limit = first[early]
    assert not np.any(terminated[:at_limit]) and not np.any(truncated[:at_limit])
    assert terminated[at_limit][early] and truncated[at_limit][early]
    assert not terminated[at_limit][late] and truncated[at_limit][late]


@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_the_final_observation_is_kept_and_the_next_episode_starts_at_once(backend):
    envs = make_envs("Hopper-v5", [0], backend=backend)
    first = envs.reset()
    for _ in range(200):
        step = envs.step(np.ones((1, 3)))
        if step.terminated[0]:
            break
        np.testing.assert_array_equal(step.obs, step.next_obs)
    assert step.terminated[0]
    height = step.next_obs[0, 0]
    assert height < 0.7 or abs(step.next_obs[0, 1]) > 0.2  # fallen, by Gymnasium's bounds
    assert np.abs(step.obs - first).max() < 0.011  # both within the reset noise of ±0.005
    assert np.abs(step.obs - first).max() > 0  # and not the same episode again
    assert envs.step(np.zeros((1, 3))).rew[0] > 0.5  # alive


def test_any_box_task_of_gymnasium_works():
    envs = make_envs("Pendulum-v1", [1, 2])
    assert isinstance(envs, GymnasiumEnvs) and (envs.obs_dim, envs.act_dim) == (3, 1)
    truth = gymnasium.make("Pendulum-v1")
    np.testing.assert_array_equal(envs.reset()[1], truth.reset(seed=2)[0])
    act = np.random.default_rng(0).uniform(-2, 2, (250, 2, 1))
    for t in range(250):
        step = envs.step(act[t])
        obs, rew, terminated, truncated, _ = truth.step(act[t, 1])
        np.testing.assert_array_equal(step.next_obs[1], obs)
        assert (step.rew[1], step.terminated[1], step.truncated[1]) == (rew, terminated, truncated)
        assert truncated == (t == 199)
        if truncated:
            obs, _ = truth.reset()
        np.testing.assert_array_equal(step.obs[1], obs)
    assert step.next_obs.dtype == step.rew.dtype == np.float64


def test_observations_and_actions_with_several_axes_are_flattened():
    class Square(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-9, 9, (2, 3))
        action_space = gymnasium.spaces.Box(-1, 1, (2, 2))

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros((2, 3), np.float32), {}

        def step(self, action):
            return np.arange(6, dtype=np.float32).reshape(2, 3), float(action[0, 1]), False, False, {}

    gymnasium.register("pgprim-test/Square-v0", Square)
    try:
        envs = make_envs("pgprim-test/Square-v0", [0])
        assert (envs.obs_dim, envs.act_dim) == (6, 4)
        envs.reset()
        step = envs.step(np.array([[1.0, 2.0, 3.0, 4.0]]))
        np.testing.assert_array_equal(step.obs, [[0, 1, 2, 3, 4, 5]])
        assert step.rew[0] == 2
    finally:
        del gymnasium.registry["pgprim-test/Square-v0"]


@pytest.mark.parametrize(
    ("env_id", "told"),
    [
        ("Nope-v1", "Nope"),
        ("Hopper-v99", "v99"),
        ("no_such_module:Hopper-v5", "no_such_module"),
        ("not an id", "not an id"),
        ("CartPole-v1", "Discrete(2)"),
    ],
)
def test_a_bad_id_is_one_sentence(env_id, told):
    with pytest.raises(UserError) as error:
        make_envs(env_id, [0])
    assert env_id in str(error.value) and told in str(error.value) and "\n" not in str(error.value)


def test_envpool_on_request_only_where_it_is_known_to_agree():
    with pytest.raises(UserError, match=r"Pendulum-v1.*Hopper-v5"):
        make_envs("Pendulum-v1", [0], backend="envpool")


def test_closing_ends_the_threads():
    before = threading.active_count(), _native_threads()
    for _ in range(5):
        envs = make_envs("Hopper-v5", [0, 1], num_threads=2)
        envs.reset()
        assert _native_threads() > before[1]
        envs.close()
    assert (threading.active_count(), _native_threads()) == before


def test_no_warnings_for_older_versions():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_envs("Hopper-v4", [0], backend="gymnasium").close()


def test_the_simulators_are_of_one_version():
    """EnvPool 1.2.0 has MuJoCo 3.6.0 inside; 4.0 solves Humanoid's joint limits to another rounding, 1e-6 per step."""
    assert importlib.metadata.version("envpool") == "1.2.0"
    assert mujoco.__version__ == "3.6.0"


def _native_threads() -> int:
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("Threads:")).split()[1])


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="the platform moves no threads between cores"
)
def test_threads_that_only_helped_to_make_the_environments_are_left_alone():
    """One that has ended by the first step, and one that works on: it follows its caller all the same."""
    done = threading.Event()
    helper, worker = threading.Thread(target=lambda: None), threading.Thread(target=done.wait)
    helper.start()
    helper.join()
    worker.start()
    follow, allowed = _make_follow({helper.native_id, worker.native_id}), os.sched_getaffinity(0)
    try:
        for core in sorted(allowed)[:2]:
            os.sched_setaffinity(0, {core})
            follow()
            assert os.sched_getaffinity(worker.native_id) == {core}
    finally:
        os.sched_setaffinity(0, allowed)
        done.set()
        worker.join()
