"""The checkpoint stage: the training run's own bytes, and one sentence where there are none."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from pgprim.commands.checkpoint import main
from pgprim.store.files import UNSEALED, seal
from pgprim.types.errors import UserError

ROOT = Path(__file__).parents[2]


def snapshot(text: str) -> bytes:
    """Bytes that pgprim vouches for."""
    return seal(f"{text}: {UNSEALED}".encode())


@pytest.fixture
def training(tmp_path, monkeypatch):
    """Two lock-step groups; what is in a snapshot, beside its checksum, is none of this stage's business."""
    monkeypatch.chdir(tmp_path)
    folder = Path("data/training/hopper/ppo")
    for group, seeds in {"0-1": (0, 1), "7": (7,)}.items():
        for seed in seeds:
            for iteration in (0, 10, 20):
                file = folder / group / str(seed) / f"{iteration}.safetensors"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(snapshot(f"{seed} at {iteration}"))
    return folder


def extract(training: Path, seed: int, iteration: int, out="data/checkpoints/c.safetensors") -> Path:
    main(argparse.Namespace(training=str(training), seed=seed, iteration=iteration, out=out))
    return Path(out)


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("iteration", [0, 20])
def test_a_checkpoint_is_a_copy_from_whichever_group_holds_the_seed(training, seed, iteration):
    out = extract(training, seed, iteration)
    assert out.read_bytes() == snapshot(f"{seed} at {iteration}")
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert (training / "7/7/20.safetensors").exists()  # a copy, not a move


def test_a_new_checkpoint_replaces_the_old(training):
    extract(training, 0, 0)
    assert extract(training, 0, 10).read_bytes() == snapshot("0 at 10")


def test_a_damaged_snapshot_is_not_passed_on(training):
    (training / "7/7/20.safetensors").write_bytes(snapshot("7 at 20").replace(b"at", b"it"))
    with pytest.raises(UserError, match="its checksum does not fit its bytes"):
        extract(training, 7, 20)
    assert not Path("data/checkpoints").exists()


def test_what_pgprim_did_not_make_is_moved_aside_and_stays(training, capsys):
    """A user's file at the place of an output, twice, and a snapshot that another program changed."""
    out = Path("data/checkpoints/c.safetensors")
    out.parent.mkdir(parents=True)
    for number, content in enumerate((b"my own agent", snapshot("changed") + b" by hand"), start=1):
        out.write_bytes(content)
        extract(training, 0, 0)
        assert out.with_name(f"c.safetensors.foreign-{number}").read_bytes() == content
        assert (
            capsys.readouterr().err.count("pgprim did not make this; it is data/checkpoints/c.safetensors.f")
            == 1
        )
    extract(training, 0, 10)
    assert capsys.readouterr().err == "" and out.read_bytes() == snapshot("0 at 10")


def test_seed_and_iteration_are_not_confused_with_longer_ones(training):
    """Seed 1 of group 21-11 is not seed 11, and iteration 0 is not 10."""
    for seed in (1, 11):
        file = training / "21-11" / str(seed) / "5.safetensors"
        file.parent.mkdir(parents=True)
        file.write_bytes(snapshot(f"{seed}"))
    assert extract(training, 1, 5).read_bytes() == snapshot("1")
    assert extract(training, 11, 5).read_bytes() == snapshot("11")


@pytest.mark.parametrize(
    ("seed", "iteration", "told"),
    [
        (0, 15, "0/15.safetensors: no training run holds it"),
        (5, 0, "5/0.safetensors: no training run holds it"),
    ],
)
def test_a_snapshot_that_is_not_there_is_told(training, seed, iteration, told):
    with pytest.raises(UserError, match=told) as error:
        extract(training, seed, iteration)
    assert "snapshot_every" in str(error.value) and "\n" not in str(error.value)
    assert not Path("data/checkpoints").exists()


def test_a_seed_in_two_groups_is_told(training):
    (training / "0").mkdir()
    (training / "0" / "0").symlink_to((training / "0-1" / "0").resolve())
    with pytest.raises(UserError, match=r"0/10.safetensors: 2 training runs hold it.*lockstep"):
        extract(training, 0, 10)


def test_the_command_ends_with_a_sentence_and_a_status(training):
    command = [sys.executable, "-m", "pgprim.commands.checkpoint", "--training", str(training)]
    environment = {"PYTHONPATH": str(ROOT)}
    for seed, status in (("7", 0), ("8", 1)):
        flags = ["--seed", seed, "--iteration", "10", "--out", f"{seed}.safetensors"]
        result = subprocess.run([*command, *flags], env=environment, capture_output=True, text=True)
        assert result.returncode == status and len(result.stderr.splitlines()) == status
        assert Path(f"{seed}.safetensors").exists() == (status == 0)
