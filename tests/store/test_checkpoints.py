"""Checkpoint files: all that an agent is, the same bytes every time, and one sentence for whatever is none."""

import json
import pickle
import resource
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pgprim.store.arrays import HEADER, load_arrays, save_arrays
from pgprim.store.checkpoints import load_checkpoint, save_checkpoint
from pgprim.types.checkpoint import AdamState, AgentState, Checkpoint, Moments
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError
from tests.rl.examples import PPO, arrays, assert_same_agent

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def make_checkpoint(seed: int = 0) -> Checkpoint:
    """Every array and every count different, with numbers that text would not carry."""
    rng = np.random.default_rng(seed)
    tensor = lambda num: torch.from_numpy(rng.standard_normal((1, num))).float() / 3  # noqa: E731
    adam = lambda num, count: AdamState(tensor(num), tensor(num).abs(), np.array([count]))  # noqa: E731
    moments = lambda num, count: Moments(count, *np.abs(rng.standard_normal((2, 1, num)) / 7))  # noqa: E731
    state = AgentState(tensor(18), tensor(7), adam(18, 320), adam(7, 640), moments(4, 2048), moments(1, 2047))
    settings = PPO | {"policy_hidden": [2], "value_hidden": [1], "rew_clip": None, "envs": 2}
    environment = Environment("Hopper-v5", {"max_episode_steps": 9}, ("m:W", {"class": "m:V", "k": 1}), False)
    return Checkpoint("hopper", environment, "ppo", 3, 150, 4, 2, settings, state)


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


def test_of_sixty_flipped_bits_none_is_read_as_data(file):
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        file.write_bytes(flipped)
        refusal(file)


@pytest.mark.parametrize("count", [0, 1, 2**40])
def test_counts_come_out_as_they_were(tmp_path, count):
    checkpoint = make_checkpoint()
    adam = replace(checkpoint.state.policy_adam, count=np.array([count]))
    save_checkpoint(tmp_path / "a", replace(checkpoint, state=replace(checkpoint.state, policy_adam=adam)))
    assert load_checkpoint(tmp_path / "a").state.policy_adam.count.tolist() == [count]


def test_an_agent_of_a_stack_is_saved_by_itself(tmp_path):
    """A view into shared memory, and a copy of it, make the same file."""
    checkpoint = make_checkpoint()
    flat = torch.cat([torch.zeros(1, 18), checkpoint.state.theta])
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
    assert (theta["dtype"], theta["shape"]) == ("F32", [18])
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
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "half":
            path.write_bytes(raw[: len(raw) // 2])
        case "text":
            path.write_text("not a checkpoint")
        case "pickle":
            path.write_bytes(pickle.dumps(Trap()))
        case "an agent of another library":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("data", "{}")
        case "no header":
            save_file(tensors, path)
        case "another's header":
            save_file(tensors, path, {"format": "pt"})
        case "broken header":
            save_file(tensors, path, {HEADER: "{"})
        case "directory":
            path.unlink()
            path.mkdir()


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        load_checkpoint(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert "snakemake" in message and "delete" not in message
    return message


@pytest.mark.parametrize(
    "kind",
    [
        "empty", "half", "text", "pickle", "an agent of another library", "no header", "another's header",
        "broken header", "directory",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_told_in_one_sentence_and_left_alone(file, kind, monkeypatch):
    """Nobody is told to delete a file that may be dear to him."""
    monkeypatch.chdir(file.parent)
    spoil(file, kind)
    before = None if kind == "directory" else file.read_bytes()
    assert "not a checkpoint as pgprim wrote it" in refusal(file)
    assert not Path("ran").exists()
    assert file.is_dir() if before is None else file.read_bytes() == before


FIELDS = {
    "no counts": (("counts",), None, "header lack counts"),
    "counts of another shape": (("counts",), [], "counts is []"),
    "a count too few": (("counts", "policy_adam"), None, "counts lack policy_adam"),
    "a negative count": (("counts", "obs_moments"), -1, "counts.obs_moments is -1"),
    "an unknown field": (("colour",), "red", "header hold colour"),
    "other widths": (("settings", "policy_hidden"), [3], "theta has the shape (18,), but must have (25,)"),
    "other widths of the value network": (
        ("settings", "value_hidden"),
        [2],
        "phi has the shape (7,), but must have (13,)",
    ),
    "more observations": (("num_obs",), 5, "theta has the shape (18,), but must have (20,)"),
    "an observation that is no number": (("num_obs",), "5", "num_obs is '5'"),
    "a setting too few": (("settings", "gamma"), None, "settings: gamma is missing"),
    "a setting too many": (("settings", "delta"), 0.1, "settings: delta is not a setting of ppo"),
    "a setting out of range": (
        ("settings", "gamma"),
        1.5,
        "settings.gamma is 1.5, but must be a number between 0 and 1",
    ),
    "an unknown key of the environment": (
        ("environment", "colour"),
        "red",
        "env: unknown key 'colour'; an environment has id",
    ),
    "no algorithm": (("settings", "algorithm"), None, "lack algorithm"),
    "an unknown algorithm": (("settings", "algorithm"), "sac", "algorithm is 'sac'"),
}


@pytest.mark.parametrize("kind", FIELDS)
def test_a_header_that_does_not_fit_is_told_by_its_field(file, kind):
    (*way, last), value, right = FIELDS[kind]
    header, tensors = load_arrays(file, "checkpoint")
    block = header
    for key in way:
        block = block[key]
    if value is None:
        del block[last]
    else:
        block[last] = value
    save_arrays(file, header, tensors)
    assert right in refusal(file)


ARRAYS = {
    "missing": ("phi", lambda array: None, "arrays lack phi"),
    "short": ("theta", lambda array: array[:-1], "theta has the shape (17,), but must have (18,)"),
    "of two dimensions": ("value_adam.m", lambda array: array[None], "value_adam.m has the shape (1, 7)"),
    "of another precision": ("theta", lambda array: array.double(), "theta is torch.float64"),
    "not a number": ("theta", lambda array: array / 0, "theta holds 18 numbers that are not finite"),
    "of moments not a number": (
        "obs_moments.mean",
        lambda array: array * np.nan,
        "obs_moments.mean holds 4 numbers",
    ),
    "of negative squares": ("policy_adam.v", lambda array: -array, "policy_adam.v holds a negative number"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_an_array_that_does_not_fit_is_told_by_its_name(file, kind):
    name, change, right = ARRAYS[kind]
    header, tensors = load_arrays(file, "checkpoint")
    array = change(tensors.pop(name))
    save_arrays(file, header, tensors if array is None else tensors | {name: array})
    assert right in refusal(file)


def test_a_missing_checkpoint_is_told_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"no such checkpoint; make it with `snakemake .*none.safetensors`"):
        load_checkpoint(tmp_path / "none.safetensors")
