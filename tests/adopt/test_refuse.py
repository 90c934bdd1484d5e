"""What cannot be represented is refused in one sentence, and nothing that a file pickles is run."""

import base64
import io
import json
import os
import pickle
import shutil
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from pgprim.adopt import layers, write_agent
from pgprim.adopt.read import read_agent
from pgprim.types.errors import UserError
from tests.adopt import examples
from tests.adopt.examples import NUM_ACT, NUM_OBS


class Pixels(gym.Env):
    observation_space = gym.spaces.Box(0, 255, (36, 36, 3), np.uint8)
    action_space = gym.spaces.Box(-1, 1, (2,))


class Named(gym.Env):
    observation_space = gym.spaces.Dict({"angle": gym.spaces.Box(-1, 1, (2,))})
    action_space = gym.spaces.Box(-1, 1, (2,))


class Trunk(BaseFeaturesExtractor):
    def __init__(self, space):
        super().__init__(space, 8)
        self.net = nn.Linear(NUM_OBS, 8)

    def forward(self, obs):
        return self.net(obs)


HOPPER, PIXELS, NAMED = "Hopper-v5", Pixels, Named
SB3 = {
    "gSDE": (PPO, HOPPER, {"use_sde": True}, "gSDE"),
    "discrete": (PPO, "CartPole-v1", {}, "action_space is .*Discrete"),
    "off-policy": (SAC, HOPPER, {}, "must be the plain MlpPolicy"),
    "values of actions": (DQN, "CartPole-v1", {}, "action_space is .*Discrete"),
    "A2C": (A2C, HOPPER, {}, "no agent of PPO or TRPO"),
    "pixels": (PPO, PIXELS, {"policy": "CnnPolicy"}, r"observation_space has shape \[36, 36, 3\]|\[3, 36, 36\]"),
    "dictionary": (PPO, NAMED, {"policy": "MultiInputPolicy"}, "observation_space is .*Dict"),
    "recurrent": (RecurrentPPO, HOPPER, {"policy": "MlpLstmPolicy"}, "recurrent policy"),
    "shared trunk": (PPO, HOPPER, {"policy_kwargs": {"features_extractor_class": Trunk}}, "shared trunk"),
    "other activation": (PPO, HOPPER, {"policy_kwargs": {"activation_fn": nn.Softsign}}, "activation is .*Softsign"),
}  # fmt: skip


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and text.count(". ") == 0


@pytest.mark.parametrize("kind", SB3)
@pytest.mark.filterwarnings("ignore")  # of the libraries, about such agents
def test_a_stable_baselines3_agent_that_cannot_be_represented_is_refused(kind, tmp_path):
    algorithm, env, kwargs, reason = SB3[kind]
    kwargs = {"policy": "MlpPolicy"} | kwargs
    env = gym.make(env) if isinstance(env, str) else env()
    algorithm(env=env, device="cpu", **kwargs).save(tmp_path / "agent.zip")
    with pytest.raises(UserError, match=reason) as error:
        read_agent(tmp_path / "agent.zip")
    assert one_sentence(error)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("policy_kwargs", {"squash_output": True}, "squashes its actions"),
        ("policy_class", {"__module__": "mine.policies"}, "class of mine.policies"),
        ("n_steps", None, "lacks a setting"),
        ("batch_size", 0, "lacks a setting"),
        ("action_space", None, "action_space is missing"),
    ],
)
def test_a_zip_whose_data_says_something_else_is_refused(key, value, reason, sb3_ppo, tmp_path):
    path = tmp_path / "agent.zip"
    shutil.copy(sb3_ppo[0] / "agent.zip", path)
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("data"))
    replace_member(path, "data", json.dumps(config | {key: value}))
    with pytest.raises(UserError, match=reason) as error:
        read_agent(path)
    assert one_sentence(error)


def state_dict(**changes):
    """Of a CleanRL agent, with some entries changed or, where None, taken away."""
    state = examples.CleanAgent().state_dict() | {
        key.replace("__", "."): value for key, value in changes.items()
    }
    return {key: value for key, value in state.items() if value is not None}


CLEAN = {
    "a shared trunk": ({"network__0__weight": torch.zeros(64, NUM_OBS)}, "network.0.weight"),
    "a shared encoder": ({"encoder__0__weight": torch.zeros(64, NUM_OBS)}, "shared trunk"),
    "a recurrent layer": ({"lstm__weight_ih_l0": torch.zeros(4, 4)}, "recurrent"),
    "σ from the network": (
        {"actor_mean__4__weight": torch.zeros(2 * NUM_ACT, 64), "actor_mean__4__bias": torch.zeros(2 * NUM_ACT)},
        "σ must be the same in every state",
    ),
    "no σ": ({"actor_logstd": None}, "no actor_logstd"),
    "layer normalisation": ({"critic__1__weight": torch.zeros(64), "critic__1__bias": torch.zeros(64)}, "alternate"),
    "a convolution": ({"critic__0__weight": torch.zeros(64, NUM_OBS, 3, 3)}, "4 dimensions"),
    "other observations of the critic": ({"critic__0__weight": torch.zeros(64, 40)}, "reads 11 .* value network 40"),
    "layers that do not fit": ({"critic__2__weight": torch.zeros(64, 63)}, "given 64 inputs"),
    "two values": ({"critic__4__weight": torch.zeros(2, 64), "critic__4__bias": torch.zeros(2)}, "puts out 2 numbers"),
    "numbers that are not finite": ({"critic__0__bias": torch.full((64,), torch.nan)}, "not finite"),
    "no bias": ({"critic__0__bias": None}, "no critic.0.bias"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CLEAN)
def test_a_state_dict_that_cannot_be_represented_is_refused(kind, tmp_path):
    changes, reason = CLEAN[kind]
    torch.save(state_dict(**changes), tmp_path / "agent.pth")
    with pytest.raises(UserError, match=reason) as error:
        read_agent(tmp_path / "agent.pth")
    assert one_sentence(error)


def test_a_shared_model_of_skrl_is_refused(tmp_path):
    shared = {"net.0.weight": torch.zeros(8, NUM_OBS), "net.0.bias": torch.zeros(8)}
    torch.save({"policy": shared, "value": shared}, tmp_path / "agent_1.pt")
    with pytest.raises(UserError, match="share no layer"):
        read_agent(tmp_path / "agent_1.pt")


@pytest.mark.parametrize("name", ["layer_norm", "extra"])
def test_an_array_that_the_documented_file_does_not_have_is_refused(name, tmp_path):
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "mine.safetensors"
    nets = [layers(examples.make_mlp([NUM_OBS, 4, out], nn.Tanh)) for out in (NUM_ACT, 1)]
    write_agent(path, policy=nets[0], value=nets[1], log_sigma=np.zeros(NUM_ACT))
    save_file(load_file(path) | {name: np.zeros(3)}, path, {"agent": "{}"})
    with pytest.raises(UserError, match=f"an array {name}"):
        read_agent(path)


FOREIGN = {
    "empty": b"", "text": b"learning_rate: 3e-4\n", "zip": None, "pickle": pickle.dumps({"weights": [1.0]}),
    "tensors": {"weights": torch.zeros(3)}, "safetensors": (10).to_bytes(8, "little") + b"{" + b" " * 20,
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_refused(kind, tmp_path):
    path, content = tmp_path / "file", FOREIGN[kind]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data", json.dumps({"a": 1}))
    elif kind == "tensors":
        torch.save(content, path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)) as error:
        read_agent(path)
    assert one_sentence(error)


@pytest.mark.parametrize(
    "saved",
    [
        {"policy": {}, "value": {}},
        {"policy": {1: 2}, "value": {2: 3}},
        {"policy": {"log_std_parameter": torch.zeros(3), "net.0.weight": 1}, "value": {}},
        {"model_state_dict": []},
        {"actor_state_dict": {}, "critic_state_dict": {}},
        {"actor_state_dict": {"mlp.0.weight": torch.zeros(2, 2), "std": [1]}, "critic_state_dict": None},
        {"actor_mean.0.weight": 3, "actor_logstd": torch.zeros(3)},
        {"critic.0.weight": torch.zeros(1), 5: torch.zeros(2)},
        [torch.zeros(2)],
        torch.zeros(2),
    ],
    ids=str,
)
def test_tensors_that_are_no_agent_are_refused(saved, tmp_path):
    torch.save(saved, tmp_path / "agent.pt")
    with pytest.raises(UserError, match=str(tmp_path / "agent.pt")) as error:
        read_agent(tmp_path / "agent.pt")
    assert one_sentence(error)


def test_a_pickle_that_would_take_all_memory_is_refused(sb3_ppo, tmp_path):
    (tmp_path / "bomb.pkl").write_bytes(b"\x80\x04N" + b"r" + (2**31).to_bytes(4, "little") + b".")
    with pytest.raises(UserError, match="not a pickle"):
        read_agent(sb3_ppo[0] / "agent.zip", tmp_path / "bomb.pkl")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.zip", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            read_agent(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of zipfile, about damage
def test_a_damaged_file_is_read_or_refused_whatever_the_damage(sb3_ppo, cleanrl, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged"
    plain = tmp_path / "plain.safetensors"
    nets = [layers(examples.make_mlp([NUM_OBS, 4, out], nn.Tanh)) for out in (NUM_ACT, 1)]
    write_agent(plain, policy=nets[0], value=nets[1], log_sigma=np.zeros(NUM_ACT))
    refused = 0
    for whole in (sb3_ppo[0] / "agent.zip", cleanrl[0], plain):
        data = whole.read_bytes()
        pieces = [data[: int(share * len(data))] for share in np.linspace(0.01, 0.99, 15)]
        for _ in range(15):
            changed = bytearray(data)
            for place in rng.integers(len(data), size=20):
                changed[place] = rng.integers(256)
            pieces.append(bytes(changed))
        for piece in pieces:
            path.write_bytes(piece)
            try:
                read_agent(path)
            except UserError as error:
                refused += 1
                assert str(path) in str(error)
    assert refused > 50


class Command:
    """Unpickled by anyone but the inert reader, it runs a command."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def replace_member(path, member, content):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, old in members.items():
            archive.writestr(name, content if name == member else old)


def torch_file(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_the_command_is_live(tmp_path):
    pickle.loads(pickle.dumps(Command(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


def test_no_command_in_a_vecnormalize_is_run(sb3_ppo, tmp_path):
    folder, _, _ = sb3_ppo
    marker, path = tmp_path / "marker", tmp_path / "vecnormalize.pkl"
    normaliser = pickle.loads((folder / "vecnormalize.pkl").read_bytes())
    normaliser.class_attributes = normaliser.returns = None  # which it wants to leave out
    mean = normaliser.obs_rms.mean
    for pickled, accepted in [
        (Command(marker), False),
        ([Command(marker)], False),
        ({"obs_rms": Command(marker)}, False),
        ("unused", True),
        ("needed", False),
        ("object array", False),
    ]:
        if pickled == "unused":
            normaliser.old_reward = Command(marker)
        elif pickled == "needed":
            normaliser.obs_rms.mean = Command(marker)
        elif pickled == "object array":
            normaliser.obs_rms.mean = np.array([Command(marker)] * NUM_OBS, dtype=object)
        content = normaliser if isinstance(pickled, str) else pickled
        for protocol in (2, 5):
            path.write_bytes(pickle.dumps(content, protocol))
            if accepted:
                agent = read_agent(folder / "agent.zip", path)
                np.testing.assert_array_equal(agent.observations.mean, mean)
            else:
                with pytest.raises(UserError, match=str(path)):
                    read_agent(folder / "agent.zip", path)
            assert not marker.exists()


@pytest.mark.parametrize("member", ["policy.pth", "policy.optimizer.pth"])
def test_no_command_in_a_member_of_the_zip_is_run(member, sb3_ppo, tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "agent.zip"
    for content in (
        torch_file(Command(marker)),
        torch_file({"log_std": Command(marker)}),
        pickle.dumps(Command(marker)),
    ):
        shutil.copy(sb3_ppo[0] / "agent.zip", path)
        replace_member(path, member, content)
        with pytest.raises(UserError, match=member):
            read_agent(path)
        assert not marker.exists()


def test_members_and_fields_that_are_not_needed_are_not_unpickled(sb3_ppo, tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "agent.zip"
    shutil.copy(sb3_ppo[0] / "agent.zip", path)
    replace_member(path, "pytorch_variables.pth", torch_file(Command(marker)))
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("data"))
    live = base64.b64encode(pickle.dumps(Command(marker))).decode()
    for field in config.values():
        if isinstance(field, dict) and ":serialized:" in field:
            field[":serialized:"] = live
    replace_member(path, "data", json.dumps(config))
    assert read_agent(path).num_act == NUM_ACT
    assert not marker.exists()


@pytest.mark.parametrize("protocol", [None, 0, 2, 4])
def test_no_command_in_a_torch_file_is_run(protocol, tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "agent.pth"
    for saved in (
        Command(marker),
        state_dict(hook=Command(marker)),
        {"model_state_dict": {"std": Command(marker)}},
    ):
        path.write_bytes(torch_file(saved) if protocol is None else pickle.dumps(saved, protocol))
        with pytest.raises(UserError, match=str(path)):
            read_agent(path)
        assert not marker.exists()


def test_a_whole_pickled_module_is_refused_with_the_way_out(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "agent.pth")
    with pytest.raises(UserError, match="save the state dict, not the object"):
        read_agent(tmp_path / "agent.pth")
