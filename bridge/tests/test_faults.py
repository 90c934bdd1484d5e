"""Whatever breaks, the end is a right result or one clear sentence, and no wrong byte is ever on record."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from dvcsnake.dvc_api import Repository
from toys import ALL


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def is_as(checkout, origin) -> bool:
    """Whether everything that is on record, and every figure, is byte for byte what the origin has."""
    figures = [path for path in origin.files("figures/*") if path.endswith((".pdf", ".png"))]
    same = all((checkout.path / path).read_bytes() == (origin.path / path).read_bytes() for path in figures)
    return same and (checkout.path / "dvc.lock").read_text() == (origin.path / "dvc.lock").read_text()


@pytest.mark.parametrize(
    "moment", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_k_sigkill_of_everything_at_any_moment(blank, origin, moment):
    running = blank.start("exec snakemake -j2", TOY_SLEEP="0.3")
    wait_for(lambda: len(blank.runs()) >= (1, 3, 6)[moment])
    time.sleep(random.uniform(0, 0.5))
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    before = blank.runs()
    after = blank.snakemake()
    assert sum(ALL.values()) <= len(before) + len(after.runs) <= sum(ALL.values()) + 2
    assert set(before + after.runs) == set(origin_runs(origin))
    assert is_as(blank, origin)
    assert blank.is_clean()


def origin_runs(origin) -> list[str]:
    stages = ["simulate data/series/oslo/warm/0", "plot fig1", "plot fig2", "plot fig8"]
    for kind, path in (
        ("pick", "data/years/oslo/warm/0/{}.txt"),
        ("draw", "data/draws/oslo/warm/0/{}.zarr"),
        ("estimate", "data/estimates/mean/oslo/warm/0/{}.nc"),
    ):
        stages += [f"{kind} {path.format(iteration)}" for iteration in (0, 2)]
    return stages


@pytest.mark.slow
def test_k_jobs_that_outlive_a_killed_snakemake_are_waited_for(blank, origin):
    running = blank.start("exec snakemake -j2", TOY_SLEEP="4")
    wait_for(blank.runs)
    os.kill(running.pid, signal.SIGKILL)  # the job of `train` goes on
    after = blank.snakemake()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert "simulate" not in after.ran, "the second job waited for the first and took its result"
    assert is_as(blank, origin)


@pytest.mark.slow
def test_k_a_killed_job_is_a_failed_job_and_the_next_run_redoes_it(blank, origin):
    running = blank.start("exec snakemake -j2", TOY_SLEEP="2")
    wait_for(lambda: any(line.startswith("draw") for line in blank.runs()))
    time.sleep(0.3)
    found = subprocess.run(
        ["pgrep", "-g", str(running.pid), "-f", "weather.stages.draw"], capture_output=True, text=True
    )
    for pid in found.stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    text, _ = running.communicate()
    assert running.returncode == 1, text
    assert "draw" in text
    after = blank.snakemake()
    assert "simulate" not in after.ran and "pick" not in after.ran
    assert after.ran["draw"] >= 1
    assert is_as(blank, origin)
    assert blank.is_clean()


def test_c_status_polled_and_many_jobs(blank, origin):
    stop = blank.path.with_name("stop")
    poller = blank.start(f"while [ ! -e {stop} ]; do dvc status -q; sleep 0.2; done")
    try:
        result = blank.snakemake("-j8", TOY_SLEEP="0.2")
    finally:
        stop.touch()
        poller.communicate()
    assert result.ran == ALL
    assert is_as(blank, origin)
    assert blank.is_clean()


def test_c_a_job_does_not_wait_for_dvc_s_lock(whole):
    with Repository(whole.path).locked():
        assert whole.run("timeout 120 python -m dvcsnake run figure@fig1 --force").runs == ["plot fig1"]


@pytest.mark.slow
def test_two_snakemakes_at_once(blank, origin):
    first = blank.start("exec snakemake -j2", TOY_SLEEP="1")
    wait_for(blank.runs)
    second = subprocess.run(
        ["snakemake", "-j2"], cwd=blank.path, env=blank.env, text=True, capture_output=True
    )
    text, _ = first.communicate()
    assert second.returncode == 1
    assert re.search(r"another snakemake \(process \d+\) runs in this folder", second.stderr)
    assert first.returncode == 0, text
    assert len(blank.runs()) == sum(ALL.values())
    assert is_as(blank, origin)


@pytest.mark.parametrize("change", ["truncated", "altered", "deleted"])
@pytest.mark.parametrize(
    "path",
    ["figures/fig1.pdf", "data/estimates/mean/oslo/warm/0/2.nc", "data/records/oslo/warm/0.zarr/ret"],
)
def test_h_a_spoilt_artifact_is_put_back(whole, origin, path, change):
    file = whole.path / path
    if change == "deleted":
        file.unlink()
    else:
        file.write_text(file.read_text()[:-3] + ("" if change == "truncated" else "abc"))
    result = whole.snakemake("figures/fig1.pdf figures/fig2.pdf figures/fig8.pdf")
    assert not result.ran
    if change != "deleted":
        assert file.read_bytes() == (origin.path / path).read_bytes()
    assert is_as(whole, origin)


def spoil_bulk(whole, target: str, text: str) -> Path:
    """Alter a file of a folder that shares its bytes with the cache."""
    file = whole.path / target / "low/c"
    assert file.stat().st_nlink > 1
    os.chmod(file, 0o644)
    file.write_text(text)
    os.chmod(file, 0o444)
    return file


def test_h_spoilt_bulk_spoils_the_cache_too_and_is_made_again_when_needed(whole, origin):
    target = "data/draws/oslo/warm/0/2.zarr"
    file = spoil_bulk(whole, target, "altered")
    result = whole.snakemake(target)
    assert result.runs == [f"draw {target}"]
    assert f"{target} is not what draw@oslo-warm-0-2 made" in result.text
    assert file.read_bytes() == (origin.path / target / "low/c").read_bytes()
    assert is_as(whole, origin)
    assert whole.is_clean()


@pytest.mark.slow
def test_h_spoilt_bulk_is_never_read(whole, origin):
    target = "data/draws/oslo/warm/0/2.zarr"
    spoil_bulk(whole, target, "altered")
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    assert whole.snakemake("figures/fig2.pdf").ran == {"draw": 1, "estimate": 2, "plot": 1}
    whole.run("git checkout -q params.yaml")
    assert not whole.snakemake().ran
    assert is_as(whole, origin)


def test_a_deleted_cache_object_is_no_loss(whole, origin):
    shutil.rmtree(whole.path / ".dvc/cache/files")
    assert "Nothing to be done" in whole.snakemake().text
    whole.edit("weather/stages/plot.py", '"""A figure', 'X = 1\n"""A figure')
    assert whole.snakemake().ran == {"plot": 3}
    assert is_as_but_lock(whole, origin)
    assert whole.is_clean()


def is_as_but_lock(checkout, origin) -> bool:
    return all(
        (checkout.path / path).read_bytes() == (origin.path / path).read_bytes()
        for path in origin.files("figures/*.p*") + origin.files("data/estimates/**/*")
    )


def test_a_spoilt_cache_object_is_noticed_when_it_is_used(whole, origin):
    target = whole.path / "figures/fig1.pdf"
    found = whole.run("grep -A9 'path: figures/fig1.pdf' dvc.lock | grep -m1 'md5: .\\{32\\}'").text.split()[
        -1
    ]
    held = whole.path / ".dvc/cache/files/md5" / found[:2] / found[2:]
    os.chmod(held, 0o644)
    held.write_text("spoilt")
    os.chmod(held, 0o444)
    target.unlink()
    (whole.path / "figures/fig1.png").unlink()
    whole.snakemake()
    assert is_as(whole, origin)


def test_a_typo_in_the_parameters_is_one_sentence_before_anything_starts(whole):
    whole.edit("params.yaml", "drift: 0.99", "drfit: 0.99")
    before = (whole.path / "dvc.lock").read_bytes()
    result = whole.snakemake(check=False)
    assert result.status == 1
    assert not result.ran
    said = [line for line in result.text.splitlines() if "drfit" in line]
    assert len(said) == 1
    assert "simulate has the key drfit, but its keys are length and drift" in said[0]
    assert "Traceback" not in result.text and "Snakefile" not in result.text
    assert (whole.path / "dvc.lock").read_bytes() == before


@contextlib.contextmanager
def small_disk(place: Path, megabytes: int):
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", place], capture_output=True
    )
    if done.returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.slow
def test_a_full_disk_loses_nothing(clone, origin, tmp_path):
    with small_disk(tmp_path / "disk", 6):
        full = type(clone)(tmp_path / "disk/clone", tmp_path)
        origin.run(f"git clone -q {clone.path} {full.path}")
        full.snakemake("figures/fig1.pdf")
        full.edit("params.yaml", "times: 4", "times: 200000")
        result = full.snakemake("figures/fig1.pdf", check=False)
        assert result.status == 1
        assert "No space left on device" in result.text
        full.run("rm -rf data/unfinished && git checkout -q params.yaml && dvc checkout figures/fig1.pdf")
        assert "Nothing to be done" in full.snakemake("figures/fig1.pdf").text
        assert (full.path / "dvc.lock").read_text() == (origin.path / "dvc.lock").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [0, 8])
def test_a_disk_that_is_full_before_anything_starts_is_one_sentence(clone, origin, tmp_path, kilobytes):
    with small_disk(tmp_path / "disk", 6) as disk:
        full = type(clone)(disk / "clone", tmp_path)
        full.env["TMPDIR"] = str(tmp_path)
        origin.run(f"git clone -q {clone.path} {full.path}")
        full.snakemake("figures/fig1.pdf")
        full.edit("params.yaml", "level: 0.95", "level: 0.5")
        room = os.statvfs(disk)
        (disk / "filler").write_bytes(b"x" * (room.f_bavail * room.f_frsize - 1024 * kilobytes))
        result = full.snakemake("figures/fig1.pdf", check=False)
        assert result.status == 1 and not result.ran and "Traceback" not in result.text
        (said,) = [line for line in result.text.splitlines() if line.startswith("dvcsnake: ")]
        assert "disk" in said and "full" in said
        (disk / "filler").unlink()
        assert full.snakemake("figures/fig1.pdf").ran == {"draw": 1, "estimate": 1, "plot": 1}
        full.run("git checkout -q params.yaml")
        assert not full.snakemake("figures/fig1.pdf").ran
        assert (full.path / "dvc.lock").read_text() == (origin.path / "dvc.lock").read_text()


@pytest.mark.slow
def test_a_full_cache_is_one_sentence_and_records_nothing(whole, origin, tmp_path):
    with small_disk(tmp_path / "disk", 2):
        whole.run(f"dvc config --local cache.dir {tmp_path}/disk/cache")
        whole.edit("params.yaml", "times: 4", "times: 200000")
        result = whole.snakemake("figures/fig1.pdf", check=False)
        assert result.status == 1
        assert "could not be stored in DVC's cache" in result.text
        assert "estimate" not in result.ran
    whole.run("dvc config --local --unset cache.dir && git checkout -q params.yaml")
    whole.snakemake()
    assert is_as(whole, origin)
    assert whole.is_clean()


def test_j_inputs_from_the_future_and_a_clock_set_back_are_no_trouble(whole, origin):
    future = time.time() + 100_000
    for path in ("instruments/thermometer.py", "data/years/oslo/warm/0/2.txt", "data/code/stages/draw.txt"):
        os.utime(whole.path / path, (future, future))
    whole.edit("params.yaml", "times: 4", "times: 5")
    assert whole.snakemake("figures/fig1.pdf").ran == {"draw": 1, "estimate": 1, "plot": 1}
    whole.run("git checkout -q params.yaml")
    assert not whole.snakemake().ran
    assert is_as(whole, origin)


def test_j_conflict_markers_in_the_lock_are_both_sides_records(whole, origin):
    """Two branches computed different stages; Git merged dvc.lock line by line and left markers."""
    two_branches(whole)
    whole.run("git config --remove-section merge.dvcsnake")  # as if this clone had no merge driver
    whole.run("git merge other", check=False)
    assert "<<<<<<<" in (whole.path / "dvc.lock").read_text()
    result = whole.snakemake()
    assert result.text.count("dvc.lock has conflict markers: the records of both sides are used") == 1
    assert result.ran == {"plot": 2}, "fig1 and fig2 have both changes, fig8 is on the other branch"
    assert "<<<<<<<" not in (whole.path / "dvc.lock").read_text()
    assert whole.is_clean()


def two_branches(whole) -> None:
    """Have `main` and `other` of a checkout compute different stages."""
    whole.run("git checkout -q -b other")
    whole.edit("params.yaml", "width: 2048", "width: 2000")
    whole.snakemake()
    whole.run("git commit -qam width && git checkout -q main && dvc checkout -q")
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    whole.snakemake()
    whole.run("git commit -qam level")


def test_j_a_merge_of_branches_that_computed_different_stages_needs_no_hand_work(whole):
    two_branches(whole)
    assert "merge-lock" in whole.run("git config merge.dvcsnake.driver").text, "a run has set it up"
    whole.run("git merge -q -m both other")
    result = whole.snakemake()
    assert result.ran == {"plot": 2}
    assert whole.is_clean()


def test_j_a_clone_that_never_ran_merges_as_well_once_it_is_set_up(whole, tmp_path):
    two_branches(whole)
    clone = type(whole)(tmp_path / "clone", tmp_path)
    whole.run(f"git clone -q . {clone.path}")
    assert clone.run("python -m dvcsnake setup").text.count("merge dvc.lock stage by stage") == 1
    assert not clone.run("python -m dvcsnake setup").text
    clone.run(f"dvc config --local cache.dir {whole.path}/.dvc/cache && git merge -q -m both origin/other")
    assert clone.snakemake().ran == {"plot": 2}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda text: text[:400] + b"\0" * 50 + text[450:], "dvc.lock: not valid YAML"),
        (lambda text: b"\xff\xfe" + text, "dvc.lock is no text"),
        (lambda text: b"[1, 2]\n", "dvc.lock must be a mapping"),
    ],
    ids=["NULs", "binary", "a list"],
)
def test_j_a_lock_that_cannot_be_read_is_one_sentence(whole, spoil, told):
    path = whole.path / "dvc.lock"
    path.write_bytes(spoil(path.read_bytes()))
    result = whole.snakemake(check=False)
    assert result.status == 1 and "Traceback" not in result.text
    assert told in result.text and "`git checkout dvc.lock` brings back" in result.text


def test_j_a_null_entry_in_the_lock_is_written_anew(whole, origin):
    text = (whole.path / "dvc.lock").read_text()
    start = text.index("  figure@fig1:\n")
    end = text.index("  figure@fig2:\n")
    (whole.path / "dvc.lock").write_text(text[:start] + "  figure@fig1:\n" + text[end:])
    result = whole.snakemake()
    assert result.text.count("dvc.lock has no record of figure@fig1") == 1 and not result.ran
    assert is_as(whole, origin)


def test_j_a_read_only_checkout_is_one_sentence(whole, tmp_path):
    bind = subprocess.run(["mount", "--bind", whole.path, whole.path], capture_output=True)
    if bind.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", whole.path], check=True)
        result = whole.snakemake(check=False)
    finally:
        subprocess.run(["umount", "-l", whole.path], check=True)
    assert result.status == 1 and "Traceback" not in result.text
    assert "Read-only file system" in result.text


def test_j_gc_during_a_run_costs_nothing(blank, origin):
    running = blank.start("exec snakemake -j2", TOY_SLEEP="0.5")
    wait_for(lambda: any(line.startswith("estimate") for line in blank.runs()))
    runs = blank.log.read_text()
    blank.run("dvc gc -w -f -q", check=False)
    text, _ = running.communicate()
    assert running.returncode == 0, text
    assert runs
    assert not blank.snakemake().ran
    assert is_as(blank, origin)
    assert blank.is_clean()


def test_j_targets_that_nothing_can_feed_are_left_out_with_a_line(whole):
    whole.edit(
        "dvc.yaml",
        "      fig8:",
        "      fig7: {statistic: mean, reads: data/estimates/mean/rome}\n      fig8:",
    )
    result = whole.snakemake()
    assert "Nothing to be done" in result.text
    line = "dvc: left out: figure@fig7; nothing makes data/estimates/mean/rome with these parameters"
    assert line in result.text


def test_j_a_line_break_in_a_parameter_does_not_reach_the_shell(whole):
    whole.edit("params.yaml", "- oslo", '- "oslo\\ntouch owned"')
    result = whole.snakemake(check=False)
    assert result.status == 1 and not (whole.path / "owned").exists()
    assert "has a line break that comes from a parameter" in result.text


def test_j_without_git_a_run_goes_on_and_what_needs_it_is_one_sentence(whole, tmp_path):
    """A search path with every program of this one but Git's."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for place in whole.env["PATH"].split(os.pathsep):
        for program in Path(place).glob("*"):
            if not program.name.startswith("git") and not (programs / program.name).is_symlink():
                (programs / program.name).symlink_to(program)
    search = {"PATH": f"{whole.env['PATH'].split(os.pathsep)[0]}{os.pathsep}{programs}"}
    assert whole.run("command -v git", check=False, **search).status
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    assert whole.snakemake("figures/fig1.pdf", **search).ran == {"estimate": 1, "plot": 1}
    told = "there is no program git on PATH; this needs one, so install Git\n"
    same = whole.run("python -m dvcsnake same work.py --why renamed", check=False, **search)
    assert (same.status, same.text) == (1, f"dvcsnake: {told}")
    (whole.path / "dvc.lock").write_text("<<<<<<< ours\n" + (whole.path / "dvc.lock").read_text())
    conflict = whole.snakemake(check=False, **search)
    assert conflict.status == 1 and not conflict.ran and conflict.text.endswith(told)


def test_j_a_push_that_is_refused_is_one_sentence(whole):
    pytest.importorskip("dvc_ssh")
    whole.run("dvc remote add lab ssh://127.0.0.1:1/nowhere")
    result = whole.run("python -m dvcsnake push --remote lab", check=False)
    assert result.status == 1 and "Traceback" not in result.text
    assert "not all was copied to the remote lab: " in result.text
    assert len(result.text.strip().splitlines()) == 1


def test_j_conflict_markers_without_a_merge_are_one_sentence(whole):
    path = whole.path / "dvc.lock"
    path.write_text("<<<<<<< ours\n" + path.read_text())
    result = whole.snakemake(check=False)
    assert result.status == 1
    assert (
        "dvc.lock has conflict markers and no merge is going on; `git checkout BRANCH -- dvc.lock`"
        in result.text
    )
