"""The same on a cluster: each job is a process of its own that shares nothing but the folder."""

import shutil
import subprocess

import pytest

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

# The toy's jobs are over after a moment; Snakemake's own start takes most of it.
FIRST_CHECK = "--slurm-init-seconds-before-status-checks 7"


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


def answers(*command: str) -> bool:
    """Whether a command of SLURM is here and works."""
    return bool(shutil.which(command[0])) and not subprocess.run(command, capture_output=True).returncode


@pytest.mark.slow
def test_g_the_slurm_profile_runs_jobs_on_a_real_slurm(whole):
    pytest.importorskip("snakemake_executor_plugin_slurm")
    if not answers("sinfo"):
        pytest.skip("no SLURM answers here (`sinfo` does not work)")
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    queue = "" if answers("sacct", "-n") else "--slurm-status-command squeue"  # without accounting
    result = whole.snakemake(f"figures/fig1.pdf --profile profiles/slurm {queue} {FIRST_CHECK}")
    assert "SLURM jobid" in result.text
    assert result.ran == {"estimate": 1, "plot": 1}
    assert "Nothing to be done" in whole.snakemake("figures/fig1.pdf").text
    whole.run("git checkout -q params.yaml")
    assert not whole.snakemake("figures/fig1.pdf").ran
    assert whole.is_clean()
