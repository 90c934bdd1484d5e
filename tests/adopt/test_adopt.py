"""From files to checkpoints, end to end: what pgprim computes is what the file's networks compute."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stable_baselines3.common.evaluation import evaluate_policy

from pgprim.adopt import layers, write_agent
from pgprim.adopt.adopted import adopt
from pgprim.adopt.callback import SaveSeries
from pgprim.adopt.checkpoint import make_checkpoint
from pgprim.adopt.fidelity import PlainAgent, measure_fidelity
from pgprim.adopt.read import read_agent
from pgprim.adopt.series import read_series
from pgprim.experience.rerun import held_out_pairs, sigma_divergence, update_between
from pgprim.experience.rollout import Policies, run_policies, sample_streams
from pgprim.rl.algorithms import make_settings
from pgprim.rl.normalise import Normaliser
from pgprim.store.checkpoints import load_checkpoint, save_checkpoint
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from tests.adopt import examples
from tests.adopt.examples import NUM_ACT, NUM_OBS

ABOUT = {"task": "hopper", "environment": Environment("Hopper-v5"), "name": "mine"}


def only(adopted):
    (one,) = adopted
    return one


def flat(tensors):
    """Parameters of torch modules as one vector, weights [input, output]."""
    return torch.cat([(t.detach().T if t.ndim == 2 else t.detach()).reshape(-1) for t in tensors])


def test_a_stable_baselines3_agent_becomes_a_checkpoint_with_its_parameters_and_moments(sb3_ppo):
    folder, model, env = sb3_ppo
    adopted = only(
        adopt(folder / "agent.zip", normaliser=folder / "vecnormalize.pkl", num_episodes=2, **ABOUT)
    )
    state, policy = adopted.checkpoint.state, model.policy
    nets = policy.mlp_extractor
    theta = [*nets.policy_net.parameters(), *policy.action_net.parameters(), policy.log_std]
    phi = [*nets.value_net.parameters(), *policy.value_net.parameters()]
    torch.testing.assert_close(state.theta[0], flat(theta), rtol=0, atol=0)
    torch.testing.assert_close(state.phi[0], flat(phi), rtol=0, atol=0)
    optimiser = policy.optimizer.state
    torch.testing.assert_close(
        state.policy_adam.m[0], flat([optimiser[p]["exp_avg"] for p in theta]), rtol=0, atol=0
    )
    torch.testing.assert_close(
        state.value_adam.v[0], flat([optimiser[p]["exp_avg_sq"] for p in phi]), rtol=0, atol=0
    )
    assert state.value_adam.count.tolist() == [int(optimiser[phi[0]]["step"])]
    np.testing.assert_allclose(
        state.obs_moments.m2[0] / (state.obs_moments.count - 1), env.obs_rms.var, rtol=1e-12
    )


def test_the_gradient_is_autograds_and_values_and_densities_are_the_modules(
    sb3_ppo, sb3_trpo, cleanrl, tmp_path
):
    rng = np.random.default_rng(1)
    examples.save_rsl_rl(tmp_path / "model_150.pt", rng.standard_normal(NUM_OBS), rng.random(NUM_OBS) + 0.1)
    examples.save_skrl(
        tmp_path / "agent_9.pt", rng.standard_normal(NUM_OBS), rng.random(NUM_OBS) + 0.1, 3.0, 4.0
    )
    for path in (sb3_ppo[0], sb3_trpo[0], cleanrl[0], tmp_path / "model_150.pt", tmp_path / "agent_9.pt"):
        fidelity = only(adopt(path, num_episodes=5, num_pairs=500, **ABOUT)).fidelity
        assert fidelity.grad_cosine > 1 - 1e-6, path
        assert fidelity.value_error < 1e-4, path
        assert fidelity.logp_error < 1e-4, path


def test_a_checkpoint_that_is_not_the_files_is_told_apart(sb3_trpo):
    agent = read_agent(sb3_trpo[0] / "agent.zip", sb3_trpo[0] / "vecnormalize.pkl")
    checkpoint = make_checkpoint(agent, **ABOUT)
    assert measure_fidelity(agent, checkpoint, 3).is_faithful
    shifted = replace(agent, observations=replace(agent.observations, mean=agent.observations.mean + 0.5))
    assert not measure_fidelity(agent, make_checkpoint(shifted, **ABOUT), 3).is_faithful
    assert not measure_fidelity(
        agent, make_checkpoint(replace(agent, sigma=agent.sigma + 0.1), **ABOUT), 3
    ).is_faithful
    weight, bias = agent.value.layers[0]
    value = replace(agent.value, layers=((weight[::-1].copy(), bias), *agent.value.layers[1:]))
    assert not measure_fidelity(agent, make_checkpoint(replace(agent, value=value), **ABOUT), 3).is_faithful


def test_pgprim_and_the_library_earn_the_same(sb3_trpo):
    folder, model, env = sb3_trpo
    fidelity = only(adopt(folder, num_episodes=60, **ABOUT)).fidelity
    env.training, env.norm_reward = False, False
    theirs, _ = evaluate_policy(model, env, 60, deterministic=False, return_episode_rewards=True, warn=False)
    env.training, env.norm_reward = True, True
    for ours in (fidelity.returns, fidelity.stream_returns):
        error = np.hypot(np.std(ours) / 60**0.5, np.std(theirs) / 60**0.5)
        assert abs(ours.mean() - np.mean(theirs)) < 3 * error


def test_normalisers_that_are_not_saved_are_estimated_near_those_of_training(cleanrl):
    path, _, _, env = cleanrl
    adopted = only(adopt(path, num_episodes=1, num_pairs=2000, **ABOUT))
    observations = adopted.agent.observations
    rms = env.get_wrapper_attr("obs_rms")
    assert observations.count == 2000
    ratio = np.sqrt(observations.var / rms.var)
    assert ((ratio > 0.5) & (ratio < 2)).all()
    assert (np.abs(observations.mean - rms.mean) < np.sqrt(rms.var)).all()
    assert "own rollouts" in adopted.agent.assumed[-1]
    again = only(adopt(path, num_episodes=1, num_pairs=2000, **ABOUT))
    np.testing.assert_array_equal(
        again.checkpoint.state.obs_moments.m2, adopted.checkpoint.state.obs_moments.m2
    )


def test_settings_of_the_file_become_settings_of_pgprim_and_may_be_overruled(sb3_ppo, sb3_trpo):
    agent = read_agent(sb3_ppo[0] / "agent.zip", sb3_ppo[0] / "vecnormalize.pkl")
    values = make_checkpoint(agent, **ABOUT, settings={"gamma": 0.9}).settings
    settings = make_settings(values)
    assert (settings.gamma, settings.envs, settings.target_kl, settings.rew_clip) == (0.9, 2, 0.05, 10.0)
    assert (settings.policy_hidden or settings.hidden, settings.value_hidden) == ((32, 16), (24,))
    assert "sigma" not in values  # a setting at its default is absent
    trpo = make_checkpoint(read_agent(sb3_trpo[0] / "agent.zip"), **ABOUT).settings
    assert (trpo["algorithm"], trpo["delta"], trpo["obs_norm"], trpo["rew_norm"]) == (
        "trpo",
        0.01,
        False,
        False,
    )
    with pytest.raises(UserError, match="gamma is 2, but must be"):
        make_checkpoint(agent, **ABOUT, settings={"gamma": 2})
    with pytest.raises(UserError, match="an agent of ppo"):
        make_checkpoint(agent, **ABOUT, settings={"algorithm": "trpo"})
    with pytest.raises(UserError, match="momentum"):
        make_checkpoint(agent, **ABOUT, settings={"momentum": 2})


def test_an_agent_may_have_no_normaliser_and_what_its_file_holds_cannot_be_set(cleanrl):
    adopted = only(adopt(cleanrl[0], normaliser="none", num_episodes=1, **ABOUT))
    settings = make_settings(adopted.checkpoint.settings)
    assert (settings.obs_norm, settings.obs_clip, settings.rew_norm, settings.rew_clip) == (
        False,
        None,
        False,
        None,
    )
    assert adopted.fidelity.is_faithful
    with pytest.raises(UserError, match="hidden cannot be set"):
        list(adopt(cleanrl[0], settings={"hidden": [3]}, **ABOUT))


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ("Walker2d-v5", "read 11 observations, but Walker2d-v5 gives 17"),
        ("InvertedDoublePendulum-v5", "reads? 11 observations, but InvertedDoublePendulum-v5 gives 9"),
    ],
)
def test_an_agent_of_another_task_is_refused(env, reason, sb3_ppo):
    with pytest.raises(UserError, match=reason):
        list(adopt(sb3_ppo[0], task="other", environment=Environment(env), name="mine"))


def test_an_agent_with_a_time_feature_is_refused_by_name(tmp_path):
    nets = [layers(examples.make_mlp([NUM_OBS + 1, 4, out], torch.nn.Tanh)) for out in (NUM_ACT, 1)]
    write_agent(tmp_path / "a.safetensors", policy=nets[0], value=nets[1], log_sigma=np.zeros(NUM_ACT))
    with pytest.raises(UserError, match="time feature"):
        list(adopt(tmp_path / "a.safetensors", **ABOUT))


def test_a_checkpoint_of_a_foreign_agent_is_saved_and_sampled_like_any_other(sb3_ppo, tmp_path):
    checkpoint = only(adopt(sb3_ppo[0], num_episodes=1, **ABOUT)).checkpoint
    save_checkpoint(tmp_path / "2.safetensors", checkpoint)
    again = load_checkpoint(tmp_path / "2.safetensors")
    (one,), (other,) = (sample_streams(each, ("test",), 2, 50, 50) for each in (checkpoint, again))
    np.testing.assert_array_equal(one.act, other.act)
    assert one.act.shape == (2, 50, NUM_ACT)


def test_the_callback_saves_pairs_before_and_after_an_update(tmp_path):
    callback = SaveSeries(tmp_path / "series", every=2)
    examples.train_sb3(tmp_path, callback=callback, iterations=4, n_epochs=2)
    series = read_series(tmp_path / "series")
    assert [agent.iteration for agent in series] == [0, 1, 2, 3, 4]
    last, saved = series[-1], read_agent(tmp_path / "agent.zip", tmp_path / "vecnormalize.pkl")
    for ours, theirs in zip(last.policy.layers, saved.policy.layers, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(last.adam.v[0], saved.adam.v[0])
    np.testing.assert_array_equal(last.rewards.var, saved.rewards.var)
    assert last.settings == saved.settings
    assert series[1].adam.count == 2 * 4  # two passes over four minibatches
    assert series[0].adam is None
    assert not np.array_equal(series[0].policy.layers[0][0], series[1].policy.layers[0][0])


def test_an_update_given_as_a_pair_is_measured_without_training_again(tmp_path):
    model, _ = examples.train_sb3(tmp_path, callback=SaveSeries(tmp_path / "series"), iterations=1)
    before, after = (make_checkpoint(agent, **ABOUT) for agent in read_series(tmp_path / "series"))
    assert (before.iteration, after.iteration) == (0, 1)
    settings = make_settings(before.settings)
    update = update_between(before.state, after.state, settings)
    (pairs,) = held_out_pairs(before.environment, update, settings, [("test",)], 200)
    divergence = pairs.kl_of_mean.mean() + sigma_divergence(update, settings, NUM_ACT)
    # The library's own policies, on the observations of the very same pairs.
    (rollout,) = run_policies(
        before.environment,
        Policies(
            before.state.theta.numpy(), settings, Normaliser.of(after.state.obs_moments, settings), rows=1
        ),
        [("test",)],
        200,
        200,
        is_exact=True,
    )
    obs = torch.from_numpy(rollout.obs[0])
    new = model.policy.get_distribution(obs).distribution
    old = PlainAgent(replace(read_series(tmp_path / "series")[0], observations=None)).distribution(
        rollout.obs[0].astype(float)
    )
    theirs = torch.distributions.kl_divergence(
        old, torch.distributions.Normal(new.mean.double(), new.stddev.double())
    )
    assert divergence.item() == pytest.approx(theirs.sum(-1).mean().item(), rel=1e-3)
    assert divergence.item() > 1e-5


def test_every_decides_which_updates_are_saved(tmp_path):
    examples.train_sb3(tmp_path, callback=SaveSeries(tmp_path / "series", every=3), iterations=5, n_epochs=1)
    iterations = [agent.iteration for agent in read_series(tmp_path / "series")]
    assert iterations == [0, 1, 3, 4, 5]


def test_a_folder_of_stable_baselines3s_own_checkpoints_is_a_series(tmp_path):
    from stable_baselines3.common.callbacks import CheckpointCallback

    callback = CheckpointCallback(128, str(tmp_path / "series"), save_vecnormalize=True)
    examples.train_sb3(tmp_path, callback=callback, iterations=3, n_epochs=1)
    (tmp_path / "series" / "notes.txt").write_text("mine")
    adopted = list(adopt(tmp_path / "series", num_episodes=1, **ABOUT))
    assert [one.checkpoint.iteration for one in adopted] == [1, 2, 3]
    counts = [one.agent.observations.count for one in adopted]
    assert counts == sorted(set(counts))


def test_three_lines_in_a_loop_save_a_series_with_its_statistics(tmp_path):
    def save(iteration, agent, env):
        write_agent(
            tmp_path / f"{iteration}.safetensors", iteration=iteration, policy=layers(agent.actor_mean),
            value=layers(agent.critic), log_sigma=agent.actor_logstd.detach(),
            observations=vars(env.get_wrapper_attr("obs_rms")), rewards=vars(env.get_wrapper_attr("return_rms")),
        )  # fmt: skip

    examples.train_cleanrl(tmp_path / "end.pth", iterations=3, num_steps=128, after_update=save)
    (tmp_path / "end.pth").unlink()
    adopted = list(adopt(tmp_path, num_episodes=1, **ABOUT))
    assert [one.checkpoint.iteration for one in adopted] == [0, 1, 2]
    assert adopted[2].agent.observations.count == pytest.approx(257, abs=20)


def test_a_folder_that_holds_no_series_is_refused(sb3_ppo, sb3_trpo, tmp_path):
    with pytest.raises(UserError, match="holds no agent's file"):
        read_series(tmp_path)
    for name, source in (("a.zip", sb3_ppo), ("b.zip", sb3_trpo)):
        (tmp_path / name).write_bytes((source[0] / "agent.zip").read_bytes())
    with pytest.raises(UserError, match="is of iteration 2, like"):
        read_series(tmp_path)
