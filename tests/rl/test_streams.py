"""Streams: MuJoCo's tasks against Gymnasium's own step to the bit, saved states, other people's environments."""

import warnings

import gymnasium
import numpy as np
import pytest

from pgprim.rl.mujoco import MujocoStreams
from pgprim.rl.streams import GymnasiumStreams, make_env, make_streams, time_limit
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError

STRANGE = "tests.rl.strange:"
REGULATOR = "tests.oracles.environments:Regulator-v0"
SEEN_ALL = {"exclude_current_positions_from_observation": False}
WALKERS = {"healthy_reward": 2.5, "terminate_when_unhealthy": False, "forward_reward_weight": 0.5, **SEEN_ALL}
COSTLY = {"ctrl_cost_weight": 0.3, "reset_noise_scale": 0.02}
FORCES = {f"include_{name}_in_observation": False for name in ("cinert", "qfrc_actuator")}
KWARGS = {
    "Hopper": [WALKERS, COSTLY | {"healthy_state_range": (-5, 5), "healthy_angle_range": (-0.1, 0.3)}],
    "Walker2d": [WALKERS, COSTLY | {"healthy_z_range": (1.1, 1.5)}],
    "Humanoid": [WALKERS, COSTLY | {"healthy_z_range": (1.2, 2.0)}],
    "HalfCheetah": [SEEN_ALL, COSTLY],
    "Ant": [SEEN_ALL | {"terminate_when_unhealthy": False}, COSTLY | {"healthy_z_range": (0.4, 1.0)}],
    "Swimmer": [SEEN_ALL, COSTLY],
    "InvertedPendulum": [],
    "InvertedDoublePendulum": [],
}
"""Other settings of each class, both versions; those of one version follow."""
OF_VERSION = {
    "Humanoid-v5": [
        FORCES | {"contact_cost_weight": 1e-3, "contact_cost_range": (0.1, 0.5), "frame_skip": 3}
    ],
    "Ant-v4": [{"use_contact_forces": True}],
    "Ant-v5": [{"include_cfrc_ext_in_observation": False, "main_body": "front_left_leg", "frame_skip": 2}],
    "InvertedPendulum-v5": [{"reset_noise_scale": 0.1}],
    "InvertedDoublePendulum-v5": [{"healthy_reward": 3.0}],
}
CASES = [
    (f"{task}-{version}", kwargs)
    for task, others in KWARGS.items()
    for version in ("v4", "v5")
    for kwargs in [{}, *others, *OF_VERSION.get(f"{task}-{version}", [])]
]


LIMITS = {"InvertedPendulum": 6, "InvertedDoublePendulum": 5, "Humanoid": 35, "Ant": 80}
"""Time limits at which some episodes end by a fall and some do not."""


def assert_gymnasiums(env_id: str, kwargs: dict, num_steps: int, num_streams: int = 2) -> None:
    """Every observation, reward and flag, resets included; falls occur where the class knows them, and time limits."""
    task = env_id.split("-")[0]
    limit = LIMITS.get(task, 20)
    environment = Environment(env_id, kwargs | {"max_episode_steps": limit})
    streams, envs = make_streams(environment, range(num_streams)), []
    assert isinstance(streams, MujocoStreams)
    for seed, first in enumerate(streams.reset()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # -v4 is "out of date"
            envs.append(gymnasium.make(env_id, **environment.kwargs))
        np.testing.assert_array_equal(first, envs[-1].reset(seed=seed)[0])
    space, rng = envs[0].action_space, np.random.default_rng(0)
    ends = np.zeros(2, int)
    for t in range(num_steps):
        # Most of the time weak, so that episodes last; beyond the bounds now and then.
        act = (0.2 if t // 30 % 2 else 1.5) * space.high * rng.standard_normal((num_streams, streams.num_act))
        step = streams.step(act.astype(np.float32))
        for stream, env in enumerate(envs):
            obs, rew, *flags, _ = env.step(np.clip(act[stream].astype(np.float32), space.low, space.high))
            np.testing.assert_array_equal(step.next_obs[stream], obs)
            assert (step.rew[stream], step.terminated[stream], step.truncated[stream]) == (rew, *flags)
            ends += flags
            if any(flags):
                obs, _ = env.reset()
            np.testing.assert_array_equal(step.obs[stream], obs)
    knows_falls = task not in ("HalfCheetah", "Swimmer") and kwargs.get("terminate_when_unhealthy", True)
    assert ends.any() and (knows_falls or not ends[0])
    if not kwargs and num_steps > 1000:
        assert ends[1] and (ends[0] or not knows_falls)


@pytest.mark.parametrize(("env_id", "kwargs"), CASES)
def test_a_stream_is_gymnasiums_to_the_bit(env_id, kwargs):
    assert_gymnasiums(env_id, kwargs, num_steps=150)


@pytest.mark.slow
@pytest.mark.parametrize(("env_id", "kwargs"), CASES)
def test_thousands_of_steps_are_gymnasiums_to_the_bit(env_id, kwargs):
    assert_gymnasiums(env_id, kwargs, num_steps=1001, num_streams=3)


@pytest.mark.parametrize("env_id", ["Walker2d-v5", "Humanoid-v5", "Pendulum-v1"])
def test_a_stream_depends_on_its_own_seed_and_actions_alone(env_id):
    many, alone = make_streams(Environment(env_id), [*range(40), 3]), make_streams(Environment(env_id), [3])
    np.testing.assert_array_equal(many.reset()[40:], alone.reset())
    rng = np.random.default_rng(0)
    for _ in range(60):
        act = rng.standard_normal((41, many.num_act), np.float32)
        act[3] = act[40]
        one, two = many.step(act), alone.step(act[40:])
        for field, value in zip(one, two, strict=True):
            np.testing.assert_array_equal(field[40:], value)
            np.testing.assert_array_equal(field[3], field[40])


DELAYED = Environment(REGULATOR, wrappers=({"class": "gymnasium.wrappers:DelayObservation", "delay": 2},))


@pytest.mark.parametrize(
    "environment",
    [
        *map(Environment, ("Hopper-v5", "Humanoid-v5", "Ant-v4", "Reacher-v5", "Pendulum-v1", REGULATOR)),
        DELAYED,
    ],
    ids=str,
)
def test_a_restored_stream_goes_on_bit_for_bit(environment):
    """From states with contacts and a history, into streams that have a history of their own; resets included."""
    one, two = make_streams(environment, [0, 1]), make_streams(environment, [5, 6, 7])
    one.reset(), two.reset()
    rng = np.random.default_rng(1)
    acts = 0.4 * rng.standard_normal((90, 2, one.num_act)).astype(np.float32)
    for t in range(12):
        one.step(acts[t])
        if t < 5:
            two.step(rng.standard_normal((3, one.num_act), np.float32))
    saved = [one.save(0), one.save(1), one.save(0)]
    for _ in range(2):  # a state serves as often as one likes
        two.restore(saved)
        for act in acts[12:20]:
            two.step(act[[0, 1, 0]])
    two.restore(saved)
    for act in acts[12:]:
        right, other = one.step(act), two.step(act[[0, 1, 0]])
        for field, value in zip(right, other, strict=True):
            np.testing.assert_array_equal(value, field[[0, 1, 0]])
    rngs = [np.random.default_rng(k) for k in range(3)]
    starts = two.restore(saved, rngs).copy()
    np.testing.assert_array_equal(starts[0], starts[2])
    for act in acts:
        step = two.step(act[[0, 1, 0]])
    if environment.id in ("Hopper-v5", REGULATOR):  # the same actions, but another future where one is drawn
        assert np.abs(step.obs[0] - step.obs[2]).max() > 0


def test_time_limit_and_fall_are_told_apart():
    """A limit at the very step at which the first stream falls sets both flags there and one in the other stream."""

    def falls(kwargs: dict) -> tuple[list, list]:
        streams = make_streams(Environment("Hopper-v5", kwargs), [0, 1])
        streams.reset()
        acts = np.random.default_rng(0).standard_normal((120, 2, 3), np.float32)
        steps = [streams.step(act) for act in acts]
        return [step.terminated for step in steps], [step.truncated for step in steps]

    terminated, truncated = falls({})
    first = [int(np.argmax([flag[stream] for flag in terminated])) for stream in (0, 1)]
    assert min(first) > 1 and first[0] != first[1] and not np.any(truncated)
    early, late = np.argsort(first)
    terminated, truncated = falls({"max_episode_steps": first[early] + 1})
    at_limit = first[early]
    assert not np.any(terminated[:at_limit]) and not np.any(truncated[:at_limit])
    assert terminated[at_limit][early] and truncated[at_limit][early]
    assert not terminated[at_limit][late] and truncated[at_limit][late]


def test_any_box_task_of_gymnasium_works():
    streams = make_streams(Environment("Pendulum-v1"), [1, 2])
    assert isinstance(streams, GymnasiumStreams) and (streams.num_obs, streams.num_act) == (3, 1)
    truth = gymnasium.make("Pendulum-v1")
    np.testing.assert_array_equal(streams.reset()[1], truth.reset(seed=2)[0])
    act = np.random.default_rng(0).uniform(-2, 2, (250, 2, 1)).astype(np.float32)
    for t in range(250):
        step = streams.step(act[t])
        obs, rew, terminated, truncated, _ = truth.step(act[t, 1])
        np.testing.assert_array_equal(step.next_obs[1], obs)
        assert (step.rew[1], step.terminated[1], step.truncated[1]) == (rew, terminated, truncated)
        assert truncated == (t == 199)
        if truncated:
            obs, _ = truth.reset()
        np.testing.assert_array_equal(step.obs[1], obs)
    assert step.next_obs.dtype == step.rew.dtype == np.float64


def test_only_the_class_itself_without_wrappers_of_its_own_is_stepped_directly():
    """A subclass, another class's wrapper and a renderer keep Gymnasium's step."""
    assert isinstance(make_streams(Environment("Hopper-v5"), [0]), MujocoStreams)
    for environment in (
        Environment(STRANGE + "Kangaroo-v0"),
        Environment("Hopper-v5", wrappers=("gymnasium.wrappers:TimeAwareObservation",)),
        Environment("Reacher-v5"),
    ):
        assert isinstance(make_streams(environment, [0]), GymnasiumStreams)


def test_stopped_streams_are_not_stepped():
    for env_id in ("Hopper-v5", "Humanoid-v5", REGULATOR):
        all_of, some = (make_streams(Environment(env_id), [0, 1, 2]) for _ in range(2))
        all_of.reset(), some.reset()
        act = np.full((3, all_of.num_act), 0.1, np.float32)
        all_of.step(act)
        before = some.save(1)
        step = some.step(act, np.array([True, False, True]))
        np.testing.assert_array_equal(step.obs[[0, 2]], all_of._obs[[0, 2]])
        other = make_streams(Environment(env_id), [9, 9, 9])
        other.reset()
        other.restore([some.save(1), before, before])
        step = other.step(act)
        np.testing.assert_array_equal(step.obs[0], step.obs[1])


# --- actions ----------------------------------------------------------------------------------------------------------


def humanoid_reward(act: float, clip_actions: bool) -> float:
    streams = make_streams(Environment("Humanoid-v5", clip_actions=clip_actions), [0])
    streams.reset()
    return streams.step(np.full((1, 17), act, np.float32)).rew[0]


def test_actions_are_clipped_by_default():
    """Torques saturate at 0.4 either way; 0.1 Σ a² is 0.1 · 17 · 0.4² = 0.272 of the clipped and 6.8 of the drawn action."""
    clipped, at_bound, drawn = humanoid_reward(2, True), humanoid_reward(0.4, True), humanoid_reward(2, False)
    assert clipped == at_bound
    assert clipped - drawn == pytest.approx(6.8 - 0.272, abs=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_environment_that_checks_its_actions_gets_what_it_asks_for(dtype):
    environment = Environment(STRANGE + "Strange-v0", {"dtype": dtype, "checks_actions": True})
    streams = make_streams(environment, [0])
    streams.reset()
    for act in (0.3, 5.0, -7.0):
        assert streams.step(np.full((1, 2), act, np.float32)).rew[0] == pytest.approx(np.clip(act, -1, 1))


def test_observations_and_actions_with_several_axes_are_flattened():
    streams = make_streams(Environment(STRANGE + "Square-v0"), [0])
    assert (streams.num_obs, streams.num_act) == (6, 4)
    streams.reset()
    step = streams.step(np.array([[0.1, 0.2, 0.3, 0.4]], np.float32))
    np.testing.assert_array_equal(step.obs, [[0, 1, 2, 3, 4, 5]])
    assert step.rew[0] == pytest.approx(0.2)


# --- time limits ------------------------------------------------------------------------------------------------------

SKIPPING = STRANGE + "Skip"


@pytest.mark.parametrize(
    ("environment", "limit"),
    [
        (Environment("Hopper-v5"), 1000),
        (Environment("Hopper"), 1000),  # the newest version
        (Environment("Hopper-v5", {"max_episode_steps": 50}), 50),
        (Environment("Hopper-v5", {"max_episode_steps": -1}), None),
        (
            Environment(
                "Hopper-v5", wrappers=({"class": "gymnasium.wrappers:TimeLimit", "max_episode_steps": 7},)
            ),
            7,
        ),
        (Environment("Pendulum-v1", wrappers=("gymnasium.wrappers:TimeAwareObservation",)), 200),
        (Environment(STRANGE + "Strange-v0"), None),
        (Environment(STRANGE + "Strange-v0", wrappers=(SKIPPING,)), None),
        (
            Environment(
                "Pendulum-v1",
                {"max_episode_steps": -1},
                (SKIPPING, {"class": "gymnasium.wrappers:TimeLimit", "max_episode_steps": 9}),
            ),
            9,
        ),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*Using the latest versioned environment")
def test_the_time_limit_is_the_made_environments(environment, limit):
    assert time_limit(environment) == make_streams(environment, [0]).time_limit == limit
    streams = make_streams(environment, [0])
    streams.reset()
    flags = [streams.step(np.zeros((1, streams.num_act), np.float32)).truncated[0] for _ in range(9)]
    assert flags.index(True) + 1 == limit if limit and limit < 10 else not any(flags)


def test_a_limit_in_other_steps_than_the_agents_is_not_known():
    environment = Environment("Pendulum-v1", wrappers=(SKIPPING,))
    with pytest.raises(UserError, match=r"Pendulum-v1.*Skip.*200"):
        time_limit(environment)


# --- environments that fail -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        (Environment("Nope-v1"), "Nope"),
        (Environment("Hopper-v99"), "v99"),
        (Environment("no_such_module:Hopper-v5"), "no_such_module"),
        (Environment("not an id"), "not an id"),
        (Environment("CartPole-v1"), r"Discrete\(2\)"),
        (Environment(STRANGE + "Needy-v0"), "length"),
        (Environment("Hopper-v5", {"no_such_argument": 1}), "no_such_argument"),
        (Environment("Hopper-v5", wrappers=("gymnasium.wrappers:NoSuch",)), "NoSuch"),
        (Environment("Hopper-v5", wrappers=("NoSuch",)), "module:Class"),
    ],
    ids=str,
)
def test_an_environment_that_cannot_be_made_is_one_sentence(environment, told):
    with pytest.raises(UserError, match=told) as error:
        make_streams(environment, [0])
    assert environment.id in str(error.value) and "\n" not in str(error.value)


def test_arguments_reach_the_constructor():
    streams = make_streams(Environment(STRANGE + "Needy-v0", {"length": 4}), [0])
    assert streams.num_obs == 4


@pytest.mark.parametrize("rew", [np.array([1.5]), np.float32(1.5), 1.5, np.array(1.5)])
def test_a_reward_of_one_number_is_that_number(rew):
    streams = make_streams(Environment(STRANGE + "Strange-v0", {"rew": rew}), [0])
    streams.reset()
    assert streams.step(np.zeros((1, 2), np.float32)).rew.tolist() == [1.5]


@pytest.mark.parametrize(
    ("kwargs", "told"),
    [
        ({"rew": np.zeros(2)}, "reward .* in step 0"),
        ({"rew": None}, "reward None in step 0"),
        ({"fails_at": 3}, "step 3 of stream 0: ZeroDivisionError: division by zero"),
        ({"num_shown": 5}, "shows 5 numbers .* 2"),
    ],
)
def test_a_step_that_fails_is_one_sentence_with_the_id(kwargs, told):
    streams = make_streams(Environment(STRANGE + "Strange-v0", kwargs), [0])
    with pytest.raises(UserError, match=told) as error:
        streams.reset()
        for _ in range(4):
            streams.step(np.zeros((1, 2), np.float32))
    assert "tests.rl.strange:Strange-v0" in str(error.value) and "\n" not in str(error.value)


def test_no_warnings_for_older_versions():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_env(Environment("Hopper-v4")).close()
