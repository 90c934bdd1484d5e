"""Checkpoint files: all that an agent is, the same bytes every time, and one sentence for whatever is none."""

import json
import pickle
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save, save_file

from pgprim.store.arrays import HEADER
from pgprim.store.checkpoints import load_checkpoint, save_checkpoint
from pgprim.store.files import UNSEALED, seal
from pgprim.types.checkpoint import AdamState, AgentState, Checkpoint, Moments
from pgprim.types.errors import UserError
from tests.probes.synthetic import PPO
from tests.rl.examples import arrays, assert_same_agent

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def make_checkpoint(seed: int = 0) -> Checkpoint:
    """Every array and every count different, with numbers that text would not carry."""
    rng = np.random.default_rng(seed)
    tensor = lambda num: torch.from_numpy(rng.standard_normal((1, num))).float() / 3  # noqa: E731
    moments = lambda num, count: Moments(count, *rng.standard_normal((2, 1, num)) / 7)  # noqa: E731
    policy, value = 4 * 3 + 3 + 3 * 2 + 2 + 2, 4 * 3 + 3 + 3 + 1  # one hidden layer of 3; log σ
    state = AgentState(
        tensor(policy), tensor(value), AdamState(tensor(policy), tensor(policy), 320),
        AdamState(tensor(value), tensor(value), 640), moments(4, 2048), moments(1, 2047),
    )  # fmt: skip
    return Checkpoint("hopper", "Hopper-v5", "ppo", 3, 150, 4, 2, PPO | {"hidden": [3]}, state)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "agent.safetensors"
    save_checkpoint(path, make_checkpoint())
    return path


def test_what_goes_in_comes_out(file):
    right, found = make_checkpoint(), load_checkpoint(file)
    assert vars(found) | {"state": None} == vars(right) | {"state": None}
    assert_same_agent(found.state, right.state)
    assert len(arrays(found.state)) == 2 + 2 * 3 + 2 * 3


def test_signs_and_the_smallest_numbers_come_out_too(tmp_path):
    checkpoint = make_checkpoint()
    checkpoint.state.theta[0, :3] = torch.tensor([1e-45, -1e-45, -0.0])
    save_checkpoint(tmp_path / "a", checkpoint)
    found = load_checkpoint(tmp_path / "a").state.theta
    assert found.numpy().tobytes() == checkpoint.state.theta.numpy().tobytes()


def wrong(name: str) -> Checkpoint:
    """A checkpoint that was written as it is, but cannot be an agent."""
    right = make_checkpoint()
    state = right.state
    match name:
        case "theta is not finite":
            state.theta[0, 3] = float("nan")
        case "obs_moments.m2 is not finite":
            state.obs_moments.m2[0, 1] = np.inf
        case "theta has the shape":
            return replace(right, state=replace(state, theta=state.theta[:, 1:]))
        case "value_adam.m has the shape":
            adam = AdamState(*(array.repeat(1, 2) for array in (state.value_adam.m, state.value_adam.v)), 640)
            return replace(right, state=replace(state, value_adam=adam))
        case "phi has the shape":
            return replace(
                right,
                settings=right.settings | {"hidden": [3, 3]},
                state=replace(
                    state,
                    theta=torch.zeros(1, 37),
                    policy_adam=AdamState(torch.zeros(1, 37), torch.zeros(1, 37), 0),
                ),
            )
        case "its settings are not":
            return replace(right, settings={k: v for k, v in right.settings.items() if k != "gamma"})
    return right


@pytest.mark.parametrize(
    "told",
    [
        "theta is not finite", "obs_moments.m2 is not finite", "theta has the shape", "value_adam.m has the shape",
        "phi has the shape", "its settings are not",
    ],
)  # fmt: skip
def test_arrays_and_settings_that_cannot_be_an_agents_are_named(tmp_path, told):
    save_checkpoint(tmp_path / "a.safetensors", wrong(told))
    with pytest.raises(UserError, match=rf"a\.safetensors: .*{told}"):
        load_checkpoint(tmp_path / "a.safetensors")


def test_of_sixty_flipped_bits_none_is_read_as_data(file):
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        file.write_bytes(flipped)
        assert_refused(file)


def test_an_agent_of_a_stack_is_saved_by_itself(tmp_path):
    """A view into shared memory, and a copy of it, make the same file."""
    checkpoint = make_checkpoint()
    flat = torch.cat([torch.zeros_like(checkpoint.state.theta), checkpoint.state.theta])
    save_checkpoint(tmp_path / "view", replace(checkpoint, state=replace(checkpoint.state, theta=flat[1:])))
    save_checkpoint(tmp_path / "copy", checkpoint)
    assert (tmp_path / "view").read_bytes() == (tmp_path / "copy").read_bytes()


def test_the_same_agent_makes_the_same_bytes(file, tmp_path):
    """Time after time, also with the settings in another order; another agent makes others."""
    right = file.read_bytes()
    shuffled = make_checkpoint()
    shuffled = replace(shuffled, settings=dict(reversed(shuffled.settings.items())))
    for index in range(20):
        save_checkpoint(tmp_path / "again" / str(index), shuffled)
        assert (tmp_path / "again" / str(index)).read_bytes() == right
    save_checkpoint(file, make_checkpoint(1))
    assert file.read_bytes() != right


def test_the_file_is_safetensors_with_one_readable_header(file):
    """Eight bytes of length, JSON, numbers: nothing that runs."""
    raw = file.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8 : 8 + length])
    ours = json.loads(head["__metadata__"][HEADER])
    assert ours["task"] == "hopper" and ours["counts"]["policy_adam"] == 320
    assert list(head["__metadata__"]) == [HEADER]
    theta = head["theta"]
    start, stop = (8 + length + offset for offset in theta["data_offsets"])
    assert (theta["dtype"], theta["shape"]) == ("F32", [25])
    np.testing.assert_array_equal(np.frombuffer(raw[start:stop], "<f4"), make_checkpoint().state.theta[0])


def test_a_file_appears_whole_or_not_at_all(file):
    """A disk that is full: the old file stays, and a new one does not appear."""
    old, new = file.read_bytes(), file.with_name("new.safetensors")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        for path in (file, new):
            with pytest.raises(Exception, match="too large"):
                save_checkpoint(path, make_checkpoint(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == old and not new.exists()


def test_nothing_is_left_beside_the_file(file):
    assert [path.name for path in file.parent.iterdir()] == [file.name]


class Trap:
    """Unpickled, it would leave a trace."""

    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def spoil(path: Path, kind: str) -> None:
    """Make the file at `path` something else than a checkpoint."""
    raw, tensors = path.read_bytes(), load_file(path)
    header = json.loads(json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"][HEADER])

    def resave(changed: dict) -> None:
        path.write_bytes(seal(save(tensors, {HEADER: json.dumps(changed | {"seal": UNSEALED})})))

    match kind:
        case "empty":
            path.write_bytes(b"")
        case "half":
            path.write_bytes(raw[: len(raw) // 2])
        case "text":
            path.write_text("not a checkpoint")
        case "pickle":
            path.write_bytes(pickle.dumps(Trap()))
        case "no header":
            save_file(tensors, path)
        case "another's header":
            save_file(tensors, path, {"format": "pt"})
        case "broken header":
            save_file(tensors, path, {HEADER: "{"})
        case "header without counts":
            resave({k: v for k, v in header.items() if k != "counts"})
        case "counts of another shape":
            resave(header | {"counts": []})
        case "header without seed":
            resave({k: v for k, v in header.items() if k != "seed"})
        case "missing tensor":
            del tensors["phi"]
            resave(header)
        case "directory":
            path.unlink()
            path.mkdir()


def assert_refused(path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value) and "snakemake" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "kind", ["empty", "half", "text", "pickle", "no header", "another's header", "broken header"]
)
def test_what_is_no_checkpoint_is_told_in_one_sentence(file, kind, monkeypatch):
    monkeypatch.chdir(file.parent)
    spoil(file, kind)
    assert_refused(file)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "kind",
    [
        "header without counts", "counts of another shape", "header without seed", "missing tensor", "directory",
    ],
)  # fmt: skip
def test_what_is_nearly_a_checkpoint_is_told_in_one_sentence(file, kind):
    spoil(file, kind)
    assert_refused(file)


def test_a_missing_checkpoint_is_told_in_one_sentence(tmp_path):
    with pytest.raises(
        UserError, match=r"a checkpoint is wanted.*; make it with `snakemake .*none.safetensors`"
    ):
        load_checkpoint(tmp_path / "none.safetensors")
