"""Files and folders: whole or not at all, sealed, resumed, and never in place of somebody else's."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from pgprim.plotting.save import save
from pgprim.store.files import (
    UNSEALED,
    Pieces,
    digest,
    is_own,
    read_sealed,
    seal,
    seal_holds,
    write_bytes,
    write_json,
    writing,
)
from pgprim.types.errors import UserError

OURS = seal(f"numbers {UNSEALED} and more".encode())


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_seal_holds_for_its_own_bytes_alone():
    assert seal_holds(OURS)
    for place in range(len(OURS)):
        for bit in range(8):
            flipped = bytearray(OURS)
            flipped[place] ^= 1 << bit
            assert not seal_holds(bytes(flipped))
    for other in (b"", OURS[:-1], OURS + b" ", UNSEALED.encode()):
        assert not seal_holds(other)
    for text in (b"no place", UNSEALED.encode() * 2):
        with pytest.raises(ValueError, match="one place"):
            seal(text)


def test_sealed_bytes_are_read_and_others_are_told_in_one_sentence(tmp_path):
    write_bytes(tmp_path / "deep" / "a", OURS)
    assert read_sealed(tmp_path / "deep" / "a", "thing") == OURS
    assert digest(tmp_path / "deep" / "a") == digest(tmp_path / "deep" / "a")
    for content, told in ((OURS[1:], "does not fit"), (b"x", "has no checksum")):
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(
            UserError, match=rf"b: not a thing as pgprim wrote it: .*{told}.*`snakemake .*b`"
        ) as error:
            read_sealed(tmp_path / "b", "thing")
        assert "delete" not in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(UserError, match="no such thing"):
        read_sealed(tmp_path / "c", "thing")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_error_leaves_what_was_there_and_nothing_beside_it(tmp_path, kind):
    path = tmp_path / "out"

    def write(content: bytes, fails: bool) -> None:
        with writing(path) as partial:
            if kind == "folder":
                partial.mkdir()
            (partial / "part" if kind == "folder" else partial).write_bytes(content)
            if fails:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(OURS, fails=True)
    assert tree(tmp_path) == {}
    write(OURS, fails=False)
    before = tree(tmp_path)
    with pytest.raises(ZeroDivisionError):
        write(b"other", fails=True)
    assert tree(tmp_path) == before
    newer = seal(f"newer {UNSEALED}".encode())
    write(newer, fails=False)
    assert list(tree(tmp_path).values()) == [newer]


def test_what_a_killed_run_left_is_overwritten(tmp_path):
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "half").write_text("half")
    write_bytes(tmp_path / "out", OURS)
    assert tree(tmp_path) == {"out": OURS}


@pytest.mark.parametrize("content", [b"a notebook", OURS + b"changed", b""])
@pytest.mark.parametrize("nested", [False, True])
def test_what_pgprim_did_not_make_is_moved_aside(tmp_path, capsys, content, nested):
    """A file, and a folder that holds one beside files of pgprim's own."""
    path = tmp_path / "out"
    if nested:
        path.mkdir()
        (path / "ours").write_bytes(OURS)
    (path / "theirs" if nested else path).write_bytes(content)
    assert not is_own(path)
    write_bytes(path, OURS)
    moved = "out.foreign-1/theirs" if nested else "out.foreign-1"
    assert tree(tmp_path)[moved] == content and tree(tmp_path)["out"] == OURS
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "out.foreign-1" in told
    write_bytes(path, OURS)
    assert capsys.readouterr().err == ""


def test_own_figures_are_replaced_and_others_are_not(tmp_path, capsys):
    for name in ("a.pdf", "a.png"):
        save(Figure(), tmp_path / name)
        save(Figure(), tmp_path / name)
        assert capsys.readouterr().err == ""
        Figure().savefig(tmp_path / name)
        save(Figure(), tmp_path / name)
        assert f"{name}.foreign-1" in capsys.readouterr().err


def test_json_is_replaced_by_a_newer_version_alone(tmp_path, capsys):
    path = tmp_path / "numbers.json"
    write_json(path, {"return": 1.0})
    write_json(path, {"return": 2.0, "pairs": 3})
    assert capsys.readouterr().err == ""
    for other in ("[1, 2]", "not JSON", '{"mine": 1}'):
        path.write_text(other)
        write_json(path, {"return": 1.0})
        assert "foreign" in capsys.readouterr().err
    assert len(list(tmp_path.glob("*.foreign-*"))) == 3


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file/out: cannot be written .*; give a path that can"):
        write_bytes(tmp_path / "file" / "out", OURS)


def test_pieces_are_those_of_the_same_run_and_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = {"x": np.arange(5.0)}
    pieces = Pieces("data/r.nc", {"seed": 1})
    pieces.save("a", arrays)
    np.testing.assert_array_equal(Pieces("data/r.nc", {"seed": 1}).load("a")["x"], arrays["x"])
    file = pieces.folder / "a.npz"
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        file.write_bytes(flipped)
        assert pieces.load("a") is None
    assert Pieces("data/r.nc", {"seed": 2}).load("a") is None
    with pieces:
        pass
    assert not pieces.folder.exists()
