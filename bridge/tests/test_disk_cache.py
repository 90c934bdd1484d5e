"""What is kept between runs is used for what it was found from only, and never in the way."""

import os
import shutil

import pytest
from dvcsnake.disk_cache import DiskCache
from dvcsnake.dvc_api import Repository, definitions
from dvcsnake.errors import UserError


def test_a_value_is_found_once_per_key(tmp_path):
    found = []

    def find(value):
        found.append(value)
        return {"one": value, "x": 0.1}

    for key in ("a", "a", "b", "b", "a"):
        value = DiskCache(tmp_path / "new").get("numbers", key, lambda key=key: find(key))
        assert value == {"one": key, "x": 0.1}
    assert found == ["a", "b", "a"]


@pytest.mark.parametrize("text", [b"", b"garbage", b"\x80\x04N."])
def test_a_spoilt_file_is_as_none(tmp_path, text):
    (tmp_path / "numbers").write_bytes(text)
    assert DiskCache(tmp_path).get("numbers", "a", lambda: 7) == 7
    assert DiskCache(tmp_path).get("numbers", "a", lambda: 8) == 7


def test_where_nothing_can_be_kept_it_is_found_each_time(tmp_path):
    (tmp_path / "file").touch()
    cache = DiskCache(tmp_path / "file")
    assert [cache.get("numbers", "a", lambda value=value: value) for value in (1, 2)] == [1, 2]


@pytest.fixture
def folder(origin, tmp_path):
    """A copy of the toy without what was kept in it."""
    shutil.copytree(origin.path, tmp_path / "toy", symlinks=True)
    shutil.rmtree(tmp_path / "toy/.dvc/tmp/dvcsnake")
    return tmp_path / "toy"


def test_definitions_are_those_of_the_files_as_they_are(folder, monkeypatch):
    first = Repository(folder).definitions()
    with monkeypatch.context() as without:
        without.setattr(definitions, "_resolve", lambda *_: pytest.fail("resolved again"))
        assert Repository(folder).definitions() == first
    text = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(text.replace("      fig2:", "      fig3:"))
    assert "figure@fig3" in Repository(folder).definitions()[1]
    params = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(params.replace("years:\n- 0\n- 2", "years:\n- 5"))
    assert "pick@oslo-warm-0-5" in Repository(folder).definitions()[1]
    (folder / "dvc.yaml").write_text("vars: [params.yaml]\n" + text)
    with pytest.raises(UserError, match="`vars`"):
        Repository(folder).definitions()


def test_the_lock_is_that_of_the_file_as_it_is(folder):
    first = Repository(folder).lock_file.read()
    assert Repository(folder).lock_file.read() == first
    assert {"simulate@oslo-warm-0", "figure@fig1"} < first.keys()
    (folder / "dvc.lock").unlink()
    assert Repository(folder).lock_file.read() == {}


def test_hashes_are_those_of_the_bytes_as_they_are(folder):
    def look():
        repository = Repository(folder)
        found = [repository.hashes.of(path) for path in ("figures/fig1.pdf", "data/records/oslo/warm/0.zarr")]
        repository.hashes.keep()
        return found

    locked = {
        out["path"]: out for entry in Repository(folder).lock_file.read().values() for out in entry["outs"]
    }
    first = look()
    assert first[0]["md5"] == locked["figures/fig1.pdf"]["md5"]
    assert first[1]["md5"] == locked["data/records/oslo/warm/0.zarr"]["md5"]
    assert look() == first
    inside = folder / "data/records/oslo/warm/0.zarr/ret"
    text = inside.read_text()
    inside.write_text(text[::-1])  # as long as before
    os.utime(inside)
    second = look()
    assert second[0] == first[0] and second[1] != first[1]
    inside.write_text(text)
    assert look() == first
    (folder / ".dvcignore").write_text("ret\n")
    assert look()[1] != first[1], "another .dvcignore hashes other files"
    (folder / "figures/fig1.pdf").unlink()
    assert look()[0] is None


@pytest.mark.parametrize("value", [{1: "a"}, {"a": (1, 2)}, {"a": {1, 2}}])
def test_a_value_that_json_would_change_is_computed_each_time(tmp_path, value):
    computed = []
    for _ in range(2):
        assert DiskCache(tmp_path).get("name", "key", lambda: computed.append(1) or value) == value
    assert len(computed) == 2
