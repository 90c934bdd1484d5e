"""Perturbed tasks: MuJoCo's own compiler as the second opinion, the task itself at strength 1, and paired episodes."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.envs.mujoco import mujoco_env
from scipy import stats

from pgprim.core.episodes import complete_episodes
from pgprim.core.seeding import generator
from pgprim.experience.rollout import frozen_policies, run_policies
from pgprim.probes.robustness.measure import measure, paired_ratio, perturbed, run_episodes
from pgprim.probes.robustness.perturb import SCALED, NoisySensors, scaled_streams
from pgprim.rl.streams import Streams, make_env, make_streams
from pgprim.store.inputs import Inputs
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from pgprim.types.levels import LEVEL
from tests.probes.synthetic import PPO, TRPO, make_checkpoint

TASKS = ("Hopper-v5", "Walker2d-v5", "Humanoid-v5", "Humanoid-v4")
FACTOR = 1.3


def spec_of(env_id: str) -> mujoco.MjSpec:
    """The source of a task's model."""
    name = {"Hopper": "hopper.xml", "Walker2d": "walker2d_v5.xml", "Humanoid": "humanoid.xml"}
    file = Path(mujoco_env.__file__).parent / "assets" / name[env_id.split("-")[0]]
    return mujoco.MjSpec.from_file(str(file))


def edit(spec: mujoco.MjSpec, quantity: str) -> None:
    """The same perturbation written into the source."""
    if quantity == "gravity":
        spec.option.gravity = FACTOR * np.array(spec.option.gravity)
    for geom in spec.geoms:
        if quantity == "mass":
            geom.density, geom.mass = FACTOR * geom.density, FACTOR * geom.mass
        if quantity == "friction":
            geom.friction = FACTOR * np.array(geom.friction)
    for motor in spec.actuators if quantity == "gain" else ():
        motor.gainprm = [FACTOR * motor.gainprm[0], *motor.gainprm[1:]]


@pytest.mark.parametrize("quantity", SCALED)
@pytest.mark.parametrize("env_id", TASKS[:3])
def test_a_perturbed_model_is_what_mujoco_compiles_from_a_perturbed_source(env_id, quantity):
    env, spec = make_env(Environment(env_id)), spec_of(env_id)
    plain = {name: value.copy() for name, value in arrays(env.unwrapped.model).items()}
    edit(spec, quantity)
    SCALED[quantity](env.unwrapped.model, env.unwrapped.data, FACTOR)
    ours, theirs = arrays(env.unwrapped.model), arrays(spec.compile())
    changed = {name for name in ours if not np.array_equal(ours[name], plain[name])}
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], rtol=1e-9, atol=1e-12, err_msg=name)
    direct = {
        "gravity": {"gravity"},
        "friction": {"geom_friction"},
        "gain": {"actuator_gainprm", "actuator_acc0"},
    }
    if quantity == "mass":
        assert {"body_mass", "body_inertia", "body_subtreemass", "body_invweight0", "dof_M0"} <= changed
        np.testing.assert_array_equal(ours["body_mass"], FACTOR * plain["body_mass"])
    else:
        assert changed and changed <= direct[quantity]


def arrays(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """What of a model the simulation of these tasks depends on."""
    names = [
        name
        for name in dir(model)
        if name.split("_")[0] in ("body", "dof", "geom", "actuator", "jnt", "pair")
    ]
    values = {name: getattr(model, name) for name in names}
    found = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    found = {name: value for name, value in found.items() if value.dtype.kind == "f" and "rgba" not in name}
    return found | {"gravity": model.opt.gravity, "inertia": np.array(model.stat.meaninertia)}


def steps(streams: Streams, num_steps: int = 150) -> list[np.ndarray]:
    """Everything that some steps show."""
    rng = np.random.default_rng(0)
    with closing(streams):
        shown = [streams.reset().copy()]
        for _ in range(num_steps):
            act = rng.standard_normal((streams.num_streams, streams.num_act)).astype(np.float32)
            step = streams.step(0.4 * act)
            shown += [np.array(part, float).copy() for part in step]
    return shown


@pytest.mark.parametrize("quantity", SCALED)
@pytest.mark.parametrize("env_id", TASKS)
def test_a_factor_of_one_is_the_task_itself_to_the_bit(env_id, quantity):
    environment = Environment(env_id)
    plain = steps(make_streams(environment, [3, 4]))
    ours = steps(scaled_streams(environment, [3, 4], quantity, 1.0))
    assert all(np.array_equal(*pair) for pair in zip(plain, ours, strict=True))
    other = steps(scaled_streams(environment, [3, 4], quantity, 1.1))
    assert not all(np.array_equal(*pair) for pair in zip(plain, other, strict=True))


def test_a_heavier_world_is_gymnasiums_own_step_in_a_heavier_world():
    environment = Environment("Hopper-v5")
    env = gymnasium.make("Hopper-v5")
    env.unwrapped.model.opt.gravity[:] = [0, 0, 2 * -9.81]
    rng = np.random.default_rng(0)
    with closing(scaled_streams(environment, [5], "gravity", 2.0)) as streams:
        np.testing.assert_array_equal(streams.reset()[0], env.reset(seed=5)[0])
        for _ in range(60):
            act = 0.3 * rng.standard_normal(3).astype(np.float32)
            step, (obs, rew, terminated, _, _) = streams.step(act[None]), env.step(act)
            np.testing.assert_array_equal(step.next_obs[0], obs)
            assert (step.rew[0], step.terminated[0]) == (rew, terminated)
            if terminated:
                env.reset()


@pytest.mark.parametrize(
    "environment",
    [
        Environment("Pendulum-v1"),
        Environment("Hopper-v5", wrappers=("gymnasium.wrappers:FlattenObservation",)),
        Environment("Hopper-v5", {"max_episode_steps": -1}),
    ],
)
def test_what_cannot_be_perturbed_is_refused_in_a_sentence(environment):
    with pytest.raises(UserError, match=r"cannot be perturbed: .* robustness.tasks in params.yaml$"):
        scaled_streams(environment, [0], "mass", 1.2)


def test_sensor_noise_is_normal_of_its_deviation_and_seen_by_nobody_but_the_policy():
    environment, deviation = Environment("Hopper-v5"), np.linspace(0.1, 2, 11)[None]
    plain = steps(scaled_streams(environment, [1, 2], "gain", 1.0))
    rngs = [generator("test", k) for k in range(2)]
    noisy = steps(NoisySensors(scaled_streams(environment, [1, 2], "gain", 1.0), deviation, rngs))
    for k in (2, 3, 4):  # reward and flags
        assert all(
            np.array_equal(*pair) for pair in zip(plain[1 + k - 1 :: 5], noisy[1 + k - 1 :: 5], strict=True)
        )
    errors = np.concatenate([b - a for a, b in zip(plain[5::5], noisy[5::5], strict=True)]) / deviation
    assert stats.kstest(errors.ravel(), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(errors.T)[~np.eye(11, dtype=bool)]).max() < 4 / np.sqrt(len(errors))
    first, second = errors[0::2].ravel(), errors[1::2].ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(first.size)


def test_noisy_streams_go_on_from_a_saved_state():
    rngs = [generator("test", k) for k in range(2)]
    make = lambda: scaled_streams(Environment("Hopper-v5"), [1, 2], "gain", 1.0)  # noqa: E731
    act = np.full((2, 3), 0.1, np.float32)
    with closing(NoisySensors(make(), np.ones((1, 11)), rngs)) as streams:
        assert isinstance(streams, Streams)
        streams.reset()
        streams.step(act)
        states = [streams.save(k) for k in range(2)]
        later = [streams.step(act).obs.copy() for _ in range(3)]
    with closing(NoisySensors(make(), np.ones((1, 11)), [generator("other")] * 2)) as streams:
        streams.reset()
        shown = streams.restore(states)
        np.testing.assert_array_equal(shown, [state[2] for state in states])
        again = [streams.step(act).obs.copy() for _ in range(3)]
    np.testing.assert_array_equal(later, again)


def hopper(settings=PPO):
    """An agent of Hopper with random weights."""
    agent = make_checkpoint(settings, num_obs=11, num_act=3)
    return replace(agent, task="hopper", environment=Environment("Hopper-v5", {"max_episode_steps": 150}))


PURPOSES = [("test", k) for k in range(6)]


def test_an_episode_is_the_first_one_of_its_stream():
    agent = hopper()
    theta = agent.state.theta.clone()
    theta[:, -3:] = -2.0  # hardly any noise: some stand until the time limit
    agent = replace(agent, state=replace(agent.state, theta=theta))
    with closing(perturbed(agent, "mass", 1.0, PURPOSES)) as streams:
        found = run_episodes(agent, streams, PURPOSES)
    (rollout,) = run_policies(agent.environment, frozen_policies(agent), PURPOSES, 150, 150)
    first = [complete_episodes(*stream) for stream in zip(rollout.rew, rollout.ended, strict=True)]
    np.testing.assert_allclose(found["ret"], [episodes.ret[0] for episodes in first], rtol=1e-12)
    np.testing.assert_array_equal(found["length"], [episodes.stop[0] for episodes in first])
    assert len(set(found["length"])) > 1


def test_noise_is_in_units_of_what_the_normaliser_has_seen():
    agent = hopper()
    with closing(perturbed(agent, "noise", 0.5, PURPOSES)) as noisy:
        blurred = noisy.reset()
    with closing(perturbed(agent, "gain", 1.0, PURPOSES)) as plain:
        sharp = plain.reset()
    drawn = np.stack([generator(*purpose, "sensors").standard_normal(11) for purpose in PURPOSES])
    seen = np.sqrt(agent.state.obs_moments.m2 / (agent.state.obs_moments.count - 1))
    np.testing.assert_allclose(blurred - sharp, 0.5 * seen * drawn, rtol=1e-9)


@pytest.mark.parametrize("settings", [PPO, TRPO], ids=["ppo", "trpo"])
def test_the_probe_compares_episodes_of_the_same_numbers(settings):
    agent, params = hopper(settings), {"factors": [0.7, 1.0, 1.4], "noise": [0.0, 0.3], "episodes": 6}
    ds = measure(Inputs(checkpoint=agent), params).numbers.squeeze()
    plain = ds.scaled_return.sel(factor=1)
    np.testing.assert_array_equal(plain, np.full(len(SCALED), ds.noisy_return.sel(noise=0)))
    assert (ds.scaled_change.sel(factor=1) == 0).all() and (ds.scaled_retained.sel(factor=1) == 1).all()
    np.testing.assert_allclose(ds.scaled_change, ds.scaled_return - plain, atol=1e-9)
    np.testing.assert_allclose(ds.scaled_retained, ds.scaled_return / plain)
    where = ("robustness", "Hopper-v5", agent.algo, agent.seed, agent.iteration)
    purposes = [(*where, k) for k in range(6)]
    with closing(perturbed(agent, "friction", 1.4, purposes)) as streams:
        ret = run_episodes(agent, streams, purposes)["ret"]
    one = ds.sel(quantity="friction", factor=1.4)
    assert float(one.scaled_return) == ret.mean()
    interval = stats.t.interval(LEVEL, 5, ret.mean(), stats.sem(ret))
    np.testing.assert_allclose(one.scaled_return_ci, interval)
    assert ds.num_episodes == 6 and ds.scaled_length.max() <= 150


def test_a_ratio_of_pairs_covers_and_is_unknown_without_a_return_to_keep():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(600):
        below = rng.normal(10, 3, 50)
        _, low, high = paired_ratio(0.6 * below + rng.normal(1, 1, 50), below)
        covered += low <= 0.7 <= high
    assert abs(covered / 600 - LEVEL) < 0.02 + 3 * np.sqrt(0.95 * 0.05 / 600)
    assert np.isnan(paired_ratio(np.ones(4), -np.ones(4))).all()
