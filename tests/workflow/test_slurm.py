"""The real stages as jobs of a real SLURM, through `profiles/slurm`; `make test-services` runs these."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import services

from tests.checkouts import PROJECT
from tests.workflow.projects import copy_project

pytestmark = pytest.mark.slow

OPTIONS = (
    "--profile profiles/slurm --slurm-status-command squeue --slurm-init-seconds-before-status-checks 15"
    " --seconds-between-status-checks 5 --max-status-checks-per-second 1 --latency-wait 10"
)
"""Without accounting `sacct` has no answers, and these jobs are over after seconds."""


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory):
    """A SLURM that takes jobs."""
    pytest.importorskip("snakemake_executor_plugin_slurm")
    with services.available(services.slurm(tmp_path_factory.mktemp("slurm"))):
        yield


def logs_of(folder: Path) -> str:
    """What SLURM's jobs and the stages in them printed, by file, stages last."""
    files = [*folder.glob(".snakemake/slurm_logs/**/*.log"), *folder.glob("logs/**/*.log")]
    return "\n".join(f"== {file.relative_to(folder)}\n{file.read_text()}" for file in files)


def test_agents_are_trained_and_probed_and_figures_drawn_by_jobs_of_slurm(tmp_path):
    """Two checkpoints share a submission, and so do their two estimates and the two figures."""
    project = copy_project(tmp_path)
    figures = ["figures/fig8.pdf", "figures/noise_scale.pdf"]
    result = project.snakemake(f"{' '.join(figures)} {OPTIONS}", check=False)
    assert result.status == 0, f"{result.text}\n{logs_of(project.path)}"
    submitted = {"train": 1, "checkpoint": 1, "sample": 2, "estimate": 1, "figure": 1}
    assert len(re.findall("SLURM jobid", result.text)) == sum(submitted.values()), result.text
    for figure in figures:
        assert (project.path / figure).stat().st_size > 1000
    assert "Nothing to be done" in project.snakemake(" ".join(figures)).text


@pytest.mark.timeout(3600)
@pytest.mark.skipif(
    not os.environ.get("SMOKE"), reason="it takes half an hour (make test-services SMOKE=yes)"
)
def test_the_smoke_set_is_computed_by_jobs_of_slurm(tmp_path):
    folder = tmp_path / "smoke"
    done = subprocess.run(
        [PROJECT / "workflow/smoke.sh", folder],
        env=os.environ | {"SNAKEMAKE_OPTIONS": OPTIONS},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "SLURM jobid" in done.stdout
    assert len(list((folder / "figures").glob("*.pdf"))) > 20
    shutil.rmtree(folder)
