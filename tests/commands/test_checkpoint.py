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
    """Three agents; what is in a snapshot, beside its checksum, is none of this stage's business."""
    monkeypatch.chdir(tmp_path)
    folder = Path("data/training/hopper/ppo")
    for seed in (0, 1, 7):
        for iteration in (0, 10, 20):
            file = folder / str(seed) / f"{iteration}.safetensors"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(snapshot(f"{seed} at {iteration}"))
    return folder


def extract(training: Path, seed: int, iteration: int, out="data/checkpoints/c.safetensors") -> Path:
    main(argparse.Namespace(training=str(training / str(seed)), iteration=iteration, out=out))
    return Path(out)


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("iteration", [0, 20])
def test_a_checkpoint_is_a_copy_of_the_snapshot(training, seed, iteration):
    out = extract(training, seed, iteration)
    assert out.read_bytes() == snapshot(f"{seed} at {iteration}")
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert (training / "7/20.safetensors").exists()  # a copy, not a move


def test_a_new_checkpoint_replaces_the_old(training):
    extract(training, 0, 0)
    assert extract(training, 0, 10).read_bytes() == snapshot("0 at 10")


def test_a_damaged_snapshot_is_not_passed_on(training):
    (training / "7/20.safetensors").write_bytes(snapshot("7 at 20").replace(b"at", b"it"))
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


@pytest.mark.parametrize(
    ("seed", "iteration", "told"),
    [
        (0, 15, "0/15.safetensors: the training run holds no such snapshot.*snapshot_every"),
        (5, 0, "5/0.safetensors: no such checkpoint; make it with"),
    ],
)
def test_a_snapshot_that_is_not_there_is_told(training, seed, iteration, told):
    with pytest.raises(UserError, match=told) as error:
        extract(training, seed, iteration)
    assert "\n" not in str(error.value)
    assert not Path("data/checkpoints").exists()


def test_the_command_ends_with_a_sentence_and_a_status(training):
    command = [sys.executable, "-m", "pgprim.commands.checkpoint"]
    environment = {"PYTHONPATH": str(ROOT)}
    for seed, status in (("7", 0), ("8", 1)):
        flags = ["--training", str(training / seed), "--iteration", "10", "--out", f"{seed}.safetensors"]
        result = subprocess.run([*command, *flags], env=environment, capture_output=True, text=True)
        assert result.returncode == status and len(result.stderr.splitlines()) == status
        assert Path(f"{seed}.safetensors").exists() == (status == 0)
