"""Readers against the libraries' own modules: the same numbers from the same file."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

from pgprim.adopt import layers, write_agent
from pgprim.adopt.foreign import Network, SavedNormaliser
from pgprim.adopt.read import read_agent
from pgprim.types.errors import UserError
from tests.adopt import examples
from tests.adopt.examples import NUM_ACT, NUM_OBS

FUNCTIONS = {
    "tanh": torch.tanh, "relu": torch.relu, "elu": nn.functional.elu, "silu": nn.functional.silu,
    "gelu": nn.functional.gelu, "leaky_relu": nn.functional.leaky_relu,
}  # fmt: skip
OBS = np.random.default_rng(0).standard_normal((50, NUM_OBS))


def output(network: Network, obs):
    x = torch.as_tensor(obs, dtype=torch.float32)
    for number, (weight, bias) in enumerate(network.layers):
        x = x @ torch.from_numpy(weight) + torch.from_numpy(bias)
        if number < len(network.layers) - 1:
            x = FUNCTIONS[network.activation](x)
    return x


def normalise(normaliser: SavedNormaliser, obs):
    scaled = (obs - normaliser.mean) / normaliser.scale
    return scaled if normaliser.clip is None else scaled.clip(-normaliser.clip, normaliser.clip)


def assert_moments(agent, optimiser, named):
    """Adam's moments are the optimiser's, by the names of the library: pairs of our number and its parameter."""
    for number, parameter in named:
        state = optimiser.state[parameter]
        assert agent.adam.count == int(state["step"])
        np.testing.assert_array_equal(agent.adam.m[number], state["exp_avg"].numpy().T)
        np.testing.assert_array_equal(agent.adam.v[number], state["exp_avg_sq"].numpy().T)


def test_a_stable_baselines3_agent_has_the_values_means_and_deviations_of_its_library(sb3_ppo):
    folder, model, env = sb3_ppo
    agent = read_agent(folder / "agent.zip", folder / "vecnormalize.pkl")
    raw = 30 * OBS
    seen = env.normalize_obs(raw)
    np.testing.assert_allclose(normalise(agent.observations, raw), seen, atol=1e-6)
    assert (np.abs(seen) == 10).any()  # some are clipped
    tensors = torch.as_tensor(seen, dtype=torch.float32)
    torch.testing.assert_close(output(agent.value, seen), model.policy.predict_values(tensors))
    torch.testing.assert_close(
        output(agent.policy, seen), model.policy.get_distribution(tensors).distribution.mean
    )
    np.testing.assert_array_equal(agent.sigma, model.policy.log_std.detach().numpy())
    assert (agent.policy.hidden, agent.value.hidden, agent.policy.activation) == ([32, 16], [24], "relu")
    assert agent.rewards.scale[0] == np.sqrt(env.ret_rms.var + env.epsilon)
    assert agent.iteration == 2


def test_a_stable_baselines3_agents_settings_are_those_it_was_trained_with(sb3_ppo):
    folder, _, _ = sb3_ppo
    settings = read_agent(folder / "agent.zip").settings
    expected = {
        "algorithm": "ppo", "pairs": 256, "envs": 2, "minibatch_size": 64, "policy_epochs": 4, "gamma": 0.98, "lam": 0.95,
        "eps": 0.2, "value_clip": None, "value_coef": 0.5, "entropy_coef": 0.01, "max_grad_norm": 0.5, "policy_lr": 3e-4,
        "target_kl": 0.05, "one_optimiser": True, "adam_eps": 1e-5, "anneal": False,
    }  # fmt: skip
    assert {key: settings[key] for key in expected} == expected


def test_a_stable_baselines3_agents_optimiser_is_read_parameter_by_parameter(sb3_ppo):
    folder, model, _ = sb3_ppo
    agent = read_agent(folder / "agent.zip")
    policy = model.policy
    named = [
        (0, policy.mlp_extractor.policy_net[0].weight), (2, policy.mlp_extractor.policy_net[2].weight),
        (5, policy.action_net.bias), (6, policy.log_std), (7, policy.mlp_extractor.value_net[0].weight),
        (10, policy.value_net.bias),
    ]  # fmt: skip
    assert_moments(agent, policy.optimizer, named)


def test_a_trpo_agent_is_read_with_its_settings_and_an_optimiser_of_the_value_network_alone(sb3_trpo):
    folder, model, _ = sb3_trpo
    agent = read_agent(folder / "agent.zip")
    expected = {
        "algorithm": "trpo", "delta": 0.01, "cg_steps": 15, "cg_damping": 0.1, "backtracks": 10, "backtrack_factor": 0.8,
        "accept_ratio": 0.0, "fisher_fraction": 1.0, "value_epochs": 10, "value_lr": 1e-3,
    }  # fmt: skip
    assert {key: agent.settings[key] for key in expected} == expected
    assert agent.adam.m[:7] == (None,) * 7
    assert_moments(agent, model.policy.optimizer, [(7, model.policy.mlp_extractor.value_net[0].weight)])


@pytest.mark.parametrize(
    ("rate", "anneal", "value"),
    [(2e-4, False, 2e-4), ("linear", True, 4e-4), (lambda left: 4e-4 * (0.5 + left / 2), False, 2e-4)],
)
def test_learning_rates_and_schedules_are_read_from_their_text(tmp_path, rate, anneal, value):
    from stable_baselines3.common.utils import LinearSchedule

    rate = LinearSchedule(4e-4, 0.0, 1.0) if rate == "linear" else rate
    examples.train_sb3(tmp_path, learning_rate=rate, n_epochs=1, normalise=False)
    agent = read_agent(tmp_path / "agent.zip")
    assert agent.settings["anneal"] == anneal
    assert agent.settings["policy_lr"] == pytest.approx(value)
    assert (
        len(agent.assumed) == callable(rate) - anneal
    )  # a function in a pickle is not run: the last rate is taken


def test_a_cleanrl_agent_is_read_and_says_that_its_normalisers_are_not_saved(cleanrl):
    path, module, _, _ = cleanrl
    agent = read_agent(path)
    obs = torch.as_tensor(OBS, dtype=torch.float32)
    torch.testing.assert_close(output(agent.value, OBS), module.critic(obs))
    torch.testing.assert_close(output(agent.policy, OBS), module.actor_mean(obs))
    np.testing.assert_array_equal(agent.sigma, module.actor_logstd.detach().numpy()[0])
    assert (agent.observations, agent.rewards, agent.clip_actions) == ("not saved", "not saved", True)


def test_a_normaliser_may_come_from_a_safetensors_file_of_the_training_loop(cleanrl, tmp_path):
    path, module, _, env = cleanrl
    rms = env.get_wrapper_attr("obs_rms")
    write_agent(
        tmp_path / "statistics.safetensors",
        policy=layers(module.actor_mean), value=layers(module.critic), log_sigma=module.actor_logstd.detach(),
        observations={"mean": rms.mean, "var": rms.var, "count": rms.count},
    )  # fmt: skip
    agent = read_agent(path, tmp_path / "statistics.safetensors")
    np.testing.assert_array_equal(agent.observations.mean, rms.mean)
    assert agent.observations.count == rms.count


def test_an_rsl_rl_agent_is_read_with_sigma_itself_and_its_normaliser(tmp_path):
    rng = np.random.default_rng(1)
    mean, std = rng.standard_normal(NUM_OBS), 0.1 + rng.random(NUM_OBS)
    actor, critic, sigma, optimiser = examples.save_rsl_rl(tmp_path / "model_150.pt", mean, std)
    agent = read_agent(tmp_path / "model_150.pt")
    np.testing.assert_allclose(normalise(agent.observations, OBS), (OBS - mean) / (std + 1e-2), rtol=1e-12)
    obs = torch.as_tensor(OBS, dtype=torch.float32)
    torch.testing.assert_close(output(agent.policy, OBS), actor(obs))
    torch.testing.assert_close(output(agent.value, OBS), critic(obs))
    assert agent.sigma_kind == "linear"
    np.testing.assert_array_equal(agent.sigma, sigma.detach().numpy())
    assert_moments(
        agent, optimiser, [(0, actor[0].weight), (6, sigma), (7, critic[0].weight), (10, critic[2].bias)]
    )
    assert (agent.iteration, agent.settings["policy_lr"]) == (150, 5e-4)


def test_a_critic_with_a_normaliser_of_its_own_computes_the_same_after_folding(tmp_path):
    rng = np.random.default_rng(2)
    mean, std, critic_mean, critic_std = (rng.random(NUM_OBS) + 0.1 for _ in range(4))
    _, critic, _, _ = examples.save_rsl_rl(tmp_path / "model_1.pt", mean, std, critic_mean, critic_std)
    agent = read_agent(tmp_path / "model_1.pt")
    expected = critic(torch.as_tensor((OBS - critic_mean) / (critic_std + 1e-2), dtype=torch.float32))
    torch.testing.assert_close(
        output(agent.value, normalise(agent.observations, OBS)), expected, rtol=1e-5, atol=1e-5
    )
    assert agent.adam is None
    assert "folded" in " ".join(agent.left_out)


def test_an_rsl_rl_checkpoint_of_the_former_layout_is_read(tmp_path):
    actor, critic, log_sigma, optimiser = examples.save_rsl_rl_before(tmp_path / "model_7.pt")
    agent = read_agent(tmp_path / "model_7.pt", activation="silu")
    assert (agent.sigma_kind, agent.policy.activation, agent.iteration) == ("log", "silu", 7)
    np.testing.assert_array_equal(agent.value.layers[0][0], critic[0].weight.detach().numpy().T)
    assert_moments(agent, optimiser, [(0, actor[0].weight), (4, log_sigma), (8, critic[2].bias)])


def test_a_skrl_agent_predicts_values_in_units_of_the_return(tmp_path):
    rng = np.random.default_rng(3)
    mean, var = rng.standard_normal(NUM_OBS), 0.1 + rng.random(NUM_OBS)
    policy, value, _ = examples.save_skrl(tmp_path / "agent_1000.pt", mean, var, 12.0, 9.0)
    agent = read_agent(tmp_path / "agent_1000.pt")
    seen = ((10 * OBS - mean) / (np.sqrt(var) + 1e-8)).clip(-5, 5)
    np.testing.assert_allclose(normalise(agent.observations, 10 * OBS), seen, rtol=1e-12)
    tensors = torch.as_tensor(seen, dtype=torch.float32)
    torch.testing.assert_close(
        output(agent.value, seen),
        12 + 3 * value.value_layer(value.net_container(tensors)),
        rtol=1e-5,
        atol=1e-5,
    )
    torch.testing.assert_close(output(agent.policy, seen), policy.policy_layer(policy.net_container(tensors)))
    assert agent.adam is None


def test_the_documented_file_is_read_as_it_was_written(tmp_path):
    actor = examples.make_mlp([NUM_OBS, 8, NUM_ACT], nn.GELU)
    critic = examples.make_mlp([NUM_OBS, 5, 5, 1], nn.GELU)
    path = tmp_path / "mine.safetensors"
    write_agent(
        path, policy=layers(actor), value=layers(critic), log_sigma=[0.1, 0.2, 0.3], activation="gelu",
        settings={"gamma": 0.9}, iteration=3, clip_actions=False,
        observations={"mean": np.arange(NUM_OBS), "var": np.ones(NUM_OBS), "count": 9, "clip": None, "eps_of": "std"},
        adam={"count": 4, "m": {"policy.0.weight": np.ones((NUM_OBS, 8))}, "v": {"log_sigma": np.ones(NUM_ACT)}},
    )  # fmt: skip
    agent = read_agent(path)
    obs = torch.as_tensor(OBS, dtype=torch.float32)
    torch.testing.assert_close(
        output(agent.policy, OBS), actor(obs)
    )  # layers() hands on transposed, strided arrays
    torch.testing.assert_close(output(agent.value, OBS), critic(obs))
    assert (agent.settings["gamma"], agent.iteration, agent.clip_actions) == (0.9, 3, False)
    assert "gamma" not in agent.assumed[0]
    assert "policy_lr" in agent.assumed[0]
    assert (agent.observations.clip, agent.observations.eps_of, agent.observations.count) == (None, "std", 9)
    assert agent.adam.count == 4
    assert agent.adam.m[0].shape == (NUM_OBS, 8)
    assert agent.adam.m[1] is None
    assert agent.adam.v[4].shape == (NUM_ACT,)


def test_sigma_itself_may_stand_in_the_documented_file(tmp_path):
    path = tmp_path / "mine.safetensors"
    nets = [layers(examples.make_mlp([NUM_OBS, 4, out], nn.Tanh)) for out in (NUM_ACT, 1)]
    write_agent(path, policy=nets[0], value=nets[1], log_sigma=np.zeros(NUM_ACT))
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    arrays = load_file(path)
    arrays["sigma"] = np.exp(arrays.pop("log_sigma"))
    save_file(arrays, path, metadata)
    agent = read_agent(path)
    assert agent.sigma_kind == "linear"
    np.testing.assert_array_equal(agent.sigma, np.ones(NUM_ACT))


def test_writing_an_agent_needs_numpy_and_safetensors_only(tmp_path):
    code = (
        "import sys; before = set(sys.modules)\n"
        "from pgprim.adopt import write_agent, layers\n"
        "import numpy as np\n"
        "write_agent(sys.argv[1], policy=[(np.ones((2, 1)), np.ones(1))], value=[(np.ones((2, 1)), np.ones(1))], log_sigma=[0])\n"
        "outside = {name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names\n"
        "print(sorted(outside))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.safetensors")], capture_output=True, text=True
    )
    assert done.stdout.split() == ["['numpy',", "'pgprim',", "'safetensors']"], done.stderr
    assert read_agent(tmp_path / "a.safetensors").num_obs == 2


def test_a_normaliser_of_other_observations_is_refused(sb3_ppo, tmp_path):
    folder, _, _ = sb3_ppo
    other = tmp_path / "other"
    other.mkdir()
    examples.train_sb3(other, iterations=1, n_epochs=1, env="InvertedPendulum-v5")
    with pytest.raises(UserError, match="normalises 4 numbers, but the agent's file has 11"):
        read_agent(folder / "agent.zip", other / "vecnormalize.pkl")
