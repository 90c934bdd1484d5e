"""Bad input ends an audit in one sentence, before anything is measured."""

import argparse

import numpy as np
import pytest
from stable_baselines3 import SAC
from torch import nn

from pgprim.adopt import layers, write_agent
from pgprim.adopt.adopted import adopt
from pgprim.audit import schedule
from pgprim.audit.jobs import CHECKPOINT
from pgprim.audit.run import keep
from pgprim.commands import audit
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from tests.adopt.examples import NUM_ACT, NUM_OBS, make_mlp

DEFAULTS = {
    "env": "Hopper-v5", "name": None, "task": None, "normaliser": None, "activation": None, "set": [],
    "no_clip_actions": False, "episodes": 1, "out": None, "size": "smoke", "jobs": 1, "all": False, "study": "none",
}  # fmt: skip


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """An agent's file, in the working directory."""
    monkeypatch.chdir(tmp_path)
    nets = [layers(make_mlp([NUM_OBS, 8, out], nn.Tanh)) for out in (NUM_ACT, 1)]
    write_agent("agent.safetensors", policy=nets[0], value=nets[1], log_sigma=np.zeros(NUM_ACT))
    return "agent.safetensors"


def run(file, **changes):
    return audit.main(argparse.Namespace(file=file, **(DEFAULTS | changes)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"env": "Hoper-v5"}, "Hoper-v5"),
        ({"env": "Walker2d-v5"}, "its networks read 11 observations, but Walker2d-v5 gives 17"),
        ({"set": ["gama=0.9"]}, "gama"),
        ({"set": ["gamma"]}, "must be a setting and its value"),
        ({"normaliser": "nowhere.pkl"}, "nowhere.pkl"),
        ({"jobs": 0}, "--jobs is 0, but must be at least 1"),
    ],
)
def test_wrong_options_are_told(agent, changes, sentence):
    with pytest.raises(UserError) as told:
        run(agent, **changes)
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_is_no_agent_is_told(agent, tmp_path):
    (tmp_path / "notes.txt").write_text("not an agent")
    with pytest.raises(UserError, match=r"notes\.txt"):
        run("notes.txt")
    with pytest.raises(UserError, match=r"nowhere\.zip"):
        run("nowhere.zip")


def test_a_squashed_policy_is_told(agent, tmp_path):
    SAC("MlpPolicy", "Hopper-v5", device="cpu", buffer_size=10).save(tmp_path / "sac.zip")
    with pytest.raises(UserError) as told:
        run("sac.zip")
    assert "\n" not in str(told.value)
    assert "sac.policies, but must be the plain MlpPolicy" in str(told.value)


def test_a_folder_with_the_audit_of_another_agent_is_told_and_left_alone(agent, tmp_path):
    (mine,) = adopt(agent, task="hopper", environment=Environment("Hopper-v5"), name="mine", num_episodes=1)
    keep(tmp_path / "out", mine)
    before = (tmp_path / "out/0" / CHECKPOINT).read_bytes()
    with pytest.raises(UserError, match="holds the audit of another agent"):
        run(agent, name="yours", out=str(tmp_path / "out"))
    assert (tmp_path / "out/0" / CHECKPOINT).read_bytes() == before


def test_a_failed_job_ends_the_audit_with_its_own_sentence(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0/plan.json").write_text("{}")
    with pytest.raises(UserError, match=r"rollouts failed: .*checkpoint.safetensors.*log/rollouts.txt"):
        schedule.run_all([tmp_path / "0"], {tmp_path / "0": dict.fromkeys(schedule.JOBS, 1.0)}, 1)
