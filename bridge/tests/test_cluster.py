"""The same on a cluster: each job is a process of its own that shares nothing but the folder.

`make test-services` runs what needs a SLURM.
"""

import re
import subprocess
import time
from collections.abc import Iterator

import pytest
from toys import ALL, Checkout, nothing_computed

# A cluster of one node whose queue forgets the environment, as batch systems may, but for what is listed.
SUBMIT = """\
#!/bin/sh
id=$(mktemp -u queue-XXXXXX)
(env -i PATH="$PATH" HOME="$HOME" PYTHONPATH="$PYTHONPATH" TOY_LOG="$TOY_LOG" sh "$1" > {place}/$id.log 2>&1
 if [ $? = 0 ]; then echo success; else echo failed; fi > {place}/$id.new; mv {place}/$id.new {place}/$id) &
echo "$1" >> {place}/submitted
echo $id
"""
STATUS = """\
#!/bin/sh
cat {place}/$1 2>/dev/null || echo running
"""

# The toy's jobs are over after a moment; Snakemake's own start takes most of it. Without accounting, `sacct` has no answers.
SLURM = (
    "--profile profiles/slurm --slurm-status-command squeue --slurm-init-seconds-before-status-checks 6"
    " --seconds-between-status-checks 3 --max-status-checks-per-second 1 --latency-wait 10"
)


@pytest.fixture
def generic(tmp_path) -> str:
    """Options that send jobs to a queue through the cluster-generic executor."""
    pytest.importorskip("snakemake_executor_plugin_cluster_generic")
    place = tmp_path / "queue"
    place.mkdir()
    for name, text in (("submit", SUBMIT), ("status", STATUS)):
        (place / name).write_text(text.format(place=place))
        (place / name).chmod(0o755)
    return (
        f"--executor cluster-generic --cluster-generic-submit-cmd {place}/submit"
        f" --cluster-generic-status-cmd {place}/status --max-status-checks-per-second 10"
        " --seconds-between-status-checks 1 --latency-wait 10"
    )


def test_g_jobs_of_a_cluster_compute_restore_and_stop_at_equal_bytes(whole, generic, tmp_path):
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    result = whole.snakemake(f"figures/fig1.pdf {generic}")
    assert result.ran == {"estimate": 1, "plot": 1}
    assert (tmp_path / "queue/submitted").read_text().count("\n") == 2, "both went through the queue"
    assert "Nothing to be done" in whole.snakemake(f"figures/fig1.pdf {generic}").text
    whole.run("git checkout -q params.yaml")
    assert not whole.snakemake(f"figures/fig1.pdf {generic}").ran
    assert whole.is_clean()


RECORDS = "data/records/oslo/warm/0.zarr"


def ask(command: str) -> str:
    """What a command of SLURM says."""
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout.strip()


def running_job(checkout, stage: str, seconds: float = 300) -> str:
    """The number of the job that runs a stage, once the stage's command has begun."""
    end = time.monotonic() + seconds
    while not any(line.startswith(stage) for line in checkout.runs()):
        assert time.monotonic() < end, ask("squeue; sinfo")
        time.sleep(0.1)
    jobs = [line.split(" ", 1) for line in ask("squeue -h -t running -o '%A %Z'").splitlines()]
    (number,) = [number for number, folder in jobs if folder == str(checkout.path)]
    return number


@pytest.fixture(scope="module")
def overlong(origin, slurm, tmp_path_factory) -> Iterator[tuple[Checkout, subprocess.Popen]]:
    """A run whose job has a limit of one minute, SLURM's smallest, and takes ten. Other tests go on meanwhile."""
    checkout = nothing_computed(origin, tmp_path_factory.mktemp("overlong"))
    checkout.edit("dvc.yaml", "mem_mb: 700, runtime: 5", "mem_mb: 700, runtime: 1")
    running = checkout.start(f"exec snakemake {RECORDS} --retries 0 {SLURM}", TOY_SLEEP="600")
    yield checkout, running
    running.kill()


@pytest.mark.slow
def test_g_the_slurm_profile_runs_jobs_on_a_real_slurm(blank, origin, slurm, overlong):
    result = blank.snakemake(SLURM)
    assert len(re.findall("SLURM jobid", result.text)) == sum(ALL.values())
    assert result.ran == ALL
    assert blank.contents() == origin.contents()
    assert "Nothing to be done" in blank.snakemake().text
    assert blank.is_clean()


@pytest.mark.slow
def test_g_a_job_that_slurm_kills_is_tried_again(blank, slurm):
    running = blank.start(f"exec snakemake {RECORDS} {SLURM}", TOY_SLEEP="8")
    job = running_job(blank, "simulate")
    ask(f"scancel {job}")
    text, _ = running.communicate()
    assert running.returncode == 0, text
    assert f"SLURM-job '{job}' failed, SLURM status is: 'CANCELLED'" in text
    assert [line.split()[0] for line in blank.runs()] == ["simulate", "simulate"]
    assert "Nothing to be done" in blank.snakemake(RECORDS).text


@pytest.mark.slow
def test_g_a_job_that_slurm_queues_again_is_waited_for(blank, origin, slurm):
    running = blank.start(f"exec snakemake {RECORDS} {SLURM} --slurm-requeue", TOY_SLEEP="8")
    job = running_job(blank, "simulate")
    ask(f"scontrol requeue {job}")
    text, _ = running.communicate()
    assert running.returncode == 0, text
    assert [line.split()[0] for line in blank.runs()] == ["simulate", "simulate"]
    assert len(re.findall("SLURM jobid", text)) == 1, "Snakemake has submitted it once"
    assert (blank.path / RECORDS / "ret").read_bytes() == (origin.path / RECORDS / "ret").read_bytes()


@pytest.mark.slow
def test_g_a_job_over_its_time_limit_fails_and_leaves_no_record(overlong, origin):
    checkout, running = overlong
    text, _ = running.communicate()
    assert running.returncode == 1
    assert "SLURM status is: 'TIMEOUT'" in text
    assert not checkout.files(f"{RECORDS}/*") and "simulate" not in (checkout.path / "dvc.lock").read_text()
    assert checkout.snakemake(RECORDS).ran == {"simulate": 1}
    assert (checkout.path / RECORDS / "ret").read_bytes() == (origin.path / RECORDS / "ret").read_bytes()
