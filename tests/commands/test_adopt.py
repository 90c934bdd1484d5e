"""The command: what it prints, where it writes, and how it refuses."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from pgprim.adopt import layers, write_agent
from pgprim.store.checkpoints import load_checkpoint
from tests.adopt import examples
from tests.adopt.examples import NUM_ACT, NUM_OBS


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    path = tmp_path_factory.mktemp("agent") / "mine.safetensors"
    torch.manual_seed(0)
    nets = [layers(examples.make_mlp([NUM_OBS, 16, out], torch.nn.Tanh)) for out in (NUM_ACT, 1)]
    write_agent(path, policy=nets[0], value=nets[1], log_sigma=np.zeros(NUM_ACT), iteration=5)
    return path


def adopt(*args, cwd):
    command = [sys.executable, "-m", "pgprim.commands.adopt", *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_it_prints_what_it_read_assumed_and_left_out_and_how_faithful_the_checkpoint_is(agent, tmp_path):
    done = adopt(
        agent, "--env", "Hopper-v5", "--task", "hopper", "--name", "mine", "--episodes", 2, "--set", "gamma=0.9",
        "--out", tmp_path, cwd=".",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for part in (
        "read ",
        "assumed ",
        "left out ",
        "fidelity ",
        "cosine 1.0000",
        "mean return",
        "wrote ",
        "gamma 0.9",
    ):
        assert part in done.stdout
    checkpoint = load_checkpoint(tmp_path / "5.safetensors")
    assert (checkpoint.task, checkpoint.algo, checkpoint.iteration, checkpoint.seed) == (
        "hopper",
        "mine",
        5,
        0,
    )
    assert checkpoint.settings["gamma"] == 0.9


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (["--set", "gamma"], "--set gamma: must be a setting and its value"),
        (["--set", "gamma=3"], "gamma is 3, but must be"),
        (["--env", "Walker2d-v5"], "read 11 observations, but Walker2d-v5 gives 17"),
        (["--env", "Nowhere-v0"], "'Nowhere-v0' cannot be made"),
        (["--normaliser", "absent.pkl"], "absent.pkl: cannot be read"),
    ],
)
def test_a_bad_input_ends_with_one_sentence(changes, reason, agent, tmp_path):
    done = adopt(
        agent,
        "--env",
        "Hopper-v5",
        "--task",
        "hopper",
        "--name",
        "mine",
        "--out",
        tmp_path,
        *changes,
        cwd=".",
    )
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
