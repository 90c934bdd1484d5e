"""A remote that lies, or that is damaged, is noticed: nothing it sends is used unless it is what its name says."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from dvcsnake.dvc_api import Repository
from dvcsnake.dvc_api.entries import write_entry
from dvcsnake.dvc_api.runs import Runs

DRAWS = "data/draws/oslo/warm/0/2.zarr"
FIGURE = "figures/fig1.pdf"


def objects(remote: Path) -> list[Path]:
    return [path for path in (remote / "files/md5").rglob("*") if path.is_file()]


def damage(path: Path, how: str) -> None:
    """Spoil a file in place, with the permissions that it has."""
    mode, data = path.stat().st_mode, path.read_bytes()
    os.chmod(path, 0o644)
    path.write_bytes({"flipped": bytes([data[0] ^ 1]) + data[1:], "truncated": data[:-1], "empty": b""}[how])
    os.chmod(path, mode)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def put(remote: Path, data: bytes, suffix: str = "") -> str:
    """Place an object on a remote as if it belonged there; returns its hash."""
    name = md5(data) + suffix
    path = remote / "files/md5" / name[:2] / name[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return name


def forge(clone, name: str, change) -> None:
    """Put an entry on the remote that answers the question of a stage as it is now in the way that `change` says."""
    from dvcsnake.project import open_project
    from dvcsnake.verdicts import survey

    here = os.getcwd()
    os.chdir(clone.path)
    try:
        project = open_project()
        asked = survey(project.repository, project.pipeline).stages[name].asked
    finally:
        os.chdir(here)
    entry = {**asked, "outs": change([out["path"] for out in asked["outs"]])}
    place = clone.path / "remote/runs" / Runs.key(asked)[:2] / Runs.key(asked)
    place.mkdir(parents=True, exist_ok=True)
    unnamed = place / "unnamed"
    write_entry(unnamed, entry)
    unnamed.rename(place / project.repository.runs.place(entry).split("/")[-1])


def listing(clone, *members: tuple[str, str]) -> str:
    text = json.dumps([{"md5": name, "relpath": path} for name, path in members]).encode()
    return put(clone.path / "remote", text, ".dir")


@pytest.fixture
def stale(clone):
    """A clone in which parameters were changed, so that the draws of year 2 are on no honest record."""
    clone.run("python -m dvcsnake code data/code")
    clone.edit("params.yaml", "times: 4", "times: 5")
    return clone


@pytest.mark.parametrize(
    "escape",
    ["../../../../../../evil.py", "{root}/evil.py", "low/../../evil.py", "low//evil.py"],
)
def test_i_a_listing_cannot_reach_beyond_its_folder(stale, escape):
    escape = escape.format(root=stale.path)
    evil = put(stale.path / "remote", b"raise SystemExit('owned')\n")
    before = set(stale.path.rglob("*evil*"))
    forge(
        stale,
        "draw@oslo-warm-0-2",
        lambda paths: [{"path": paths[0], "hash": "md5", "md5": listing(stale, (evil, escape)), "nfiles": 1}],
    )
    result = stale.snakemake(DRAWS)
    assert result.runs == [f"draw {DRAWS}"], "the forged result is not used"
    assert set(stale.path.rglob("*evil*")) == before


def test_i_a_listing_cannot_name_files_that_are_no_objects(stale):
    secret = stale.path / "secret"
    secret.write_text("secret")
    evil = "ab/../../../../../secret"
    forge(
        stale,
        "draw@oslo-warm-0-2",
        lambda paths: [
            {"path": paths[0], "hash": "md5", "md5": listing(stale, (evil, "low/c")), "nfiles": 1}
        ],
    )
    assert stale.snakemake(DRAWS).runs == [f"draw {DRAWS}"]
    assert "secret" not in (stale.path / DRAWS / "low/c").read_text()


@pytest.mark.parametrize(
    "change",
    [
        lambda paths: [{"path": "Snakefile", "hash": "md5", "md5": "0" * 32}],
        lambda paths: [
            {"path": paths[0], "hash": "md5", "md5": "0" * 32},
            {"path": "x", "hash": "md5", "md5": "0" * 32},
        ],
        lambda paths: [{"path": paths[0], "hash": "md5", "md5": "../../secret"}],
        lambda paths: [{"path": paths[0], "hash": "md5", "md5": "0" * 32, "remote": "elsewhere"}],
    ],
    ids=["another path", "one more path", "no hash", "one more key"],
)
def test_i_an_entry_must_name_exactly_its_stage_s_outputs(stale, change):
    forge(stale, "draw@oslo-warm-0-2", change)
    before = (stale.path / "Snakefile").read_bytes()
    assert stale.snakemake(DRAWS).runs == [f"draw {DRAWS}"]
    assert (stale.path / "Snakefile").read_bytes() == before and not (stale.path / "x").exists()


@pytest.mark.parametrize("text", [b"", b"cmd: [", b"\x00\xff", b"[]", b"cmd: x\nouts: 7\n", b"a: &a [*a]\n"])
def test_i_an_entry_that_cannot_be_read_is_set_aside(origin, tmp_path, text):
    shutil.copytree(origin.path, tmp_path / "toy", symlinks=True)
    said: list[str] = []
    repository = Repository(tmp_path / "toy", said.append)
    entry = repository.lock_file.read()["estimate@mean-oslo-warm-0-2"]
    key = repository.runs.key(entry)
    (path,) = (tmp_path / "toy/.dvc/cache/runs" / key[:2] / key).iterdir()
    assert repository.runs.find(key) == [entry]
    path.write_bytes(text)
    assert repository.runs.find(key) == []
    (line,) = said
    assert line.startswith(
        "dvc: an entry of the run cache was not what its name says; it is now .dvc/tmp/dvcsnake/set_aside/"
    )
    assert (tmp_path / "toy" / line.split()[-1]).read_bytes() == text
    assert repository.runs.find(key) == [] and len(said) == 1, "it is told once"


def test_i_a_spoilt_run_cache_is_no_traceback(whole):
    for path in (whole.path / ".dvc/cache/runs").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:40])
    (whole.path / "dvc.lock").unlink()
    result = whole.snakemake(FIGURE)
    assert "Traceback" not in result.text and "set_aside" in result.text
    assert "the remote repository has records" in result.text and not result.ran


@pytest.mark.parametrize(("how", "mode"), [("flipped", 0o444), ("truncated", 0o644), ("empty", 0o444)])
def test_i_a_damaged_object_of_a_remote_is_not_used(clone, origin, how, mode):
    for path in objects(clone.path / "remote"):
        damage(path, how)
        os.chmod(path, mode)
    result = clone.snakemake(FIGURE)
    assert re.search(r"dvc: 1 object of the remote repository are damaged and not used", result.text)
    assert result.ran == {"simulate": 1, "pick": 1, "draw": 1, "estimate": 1, "plot": 1}
    assert (clone.path / FIGURE).read_bytes() == (origin.path / FIGURE).read_bytes()
    assert clone.is_clean() or "deleted" in clone.run("dvc status", check=False).text


@pytest.mark.parametrize("how", ["flipped", "truncated", "empty"])
def test_i_damaged_bulk_of_a_remote_is_made_again(whole, origin, tmp_path, how):
    whole.run(
        f"dvc remote add lab {tmp_path}/lab && dvc remote modify lab verify true && git commit -qam lab"
    )
    whole.run("python -m dvcsnake push --remote lab --everything")
    other = type(whole)(tmp_path / "other", tmp_path)
    origin.run(f"git clone -q {whole.path} {other.path}")
    low = next(iter((origin.path / DRAWS / "low").iterdir())).read_bytes()
    damage(tmp_path / "lab/files/md5" / md5(low)[:2] / md5(low)[2:], how)
    result = other.snakemake(DRAWS)
    assert "of the remote lab are damaged" in result.text
    assert result.runs == [f"draw {DRAWS}"]
    assert (other.path / DRAWS / "low/c").read_bytes() == low


@pytest.mark.parametrize("how", ["flipped", "truncated", "empty"])
def test_i_plain_dvc_pull_refuses_damaged_objects(clone, how):
    for path in objects(clone.path / "remote"):
        damage(path, how)
    result = clone.run(f"dvc pull {FIGURE}", check=False)
    assert result.status != 0 and not (clone.path / FIGURE).exists()


@pytest.mark.parametrize("how", ["flipped", "truncated"])
def test_i_what_dvc_pulled_unverified_is_looked_at(clone, origin, how):
    clone.run("dvc remote modify repository verify false")
    for path in objects(clone.path / "remote"):
        os.chmod(path, 0o444)  # DVC takes this for a sign that it is whole
        damage(path, how)
    clone.run(f"dvc pull {FIGURE}", check=False)
    pulled = (clone.path / FIGURE).read_bytes() if (clone.path / FIGURE).exists() else None
    result = clone.snakemake(FIGURE)
    assert "`dvc pull` is now to verify what comes from repository" in result.text
    assert (clone.path / FIGURE).read_bytes() == (origin.path / FIGURE).read_bytes() != pulled
    assert "verify = true" in (clone.path / ".dvc/config.local").read_text().lower()
    assert "is now to verify" not in clone.snakemake(FIGURE).text


def test_the_cache_of_look_ups_runs_no_code(whole):
    for path in (whole.path / ".dvc/tmp/dvcsnake/cache").iterdir():
        json.loads(path.read_text())


def test_i_an_entry_under_another_key_is_no_answer(stale):
    runs = stale.path / "remote/runs"
    honest = next(path for path in runs.rglob("*") if path.is_file() and "stages.draw" in path.read_text())
    entry = yaml.safe_load(honest.read_text())
    forge(stale, "draw@oslo-warm-0-2", lambda paths: entry["outs"])
    place = max(
        (path for path in runs.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns
    )
    shutil.copy(honest, place.with_name("0" * 64))
    place.unlink()
    assert stale.snakemake(DRAWS).runs == [f"draw {DRAWS}"]
