import os
from pathlib import Path

import pytest

from bench.stages import duration, last_look, main, page, read_jobs, split_runs, stage_of, summarise
from tests.bench.examples import RECORDS

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Two runs: jobs in seconds 0-20, 10-40 and 60-70, and an hour later one of 10 seconds."""
    for name, seconds, memory, cpu, end in (
        ("rollouts/a", 20, 100, 7.75, 1020),
        ("estimates/steps/a", 30, 300, 7.75, 1040),
        ("estimates/steps/b", 10, 200, "-", 1070),
        ("rollouts/b", 10, 90, 5, 4670),
    ):
        benchmark, log = tmp_path / f"benchmarks/{name}.tsv", tmp_path / f"logs/{name}.log"
        for path in (benchmark, log):
            path.parent.mkdir(parents=True, exist_ok=True)
        benchmark.write_text(f"{HEADER}{seconds}\t0\t{memory}\t0\t0\t0\t0\t0\t0\t{cpu}\n")
        log.touch()
        os.utime(log, (end, end))
    monkeypatch.chdir(tmp_path)
    return read_jobs(Path("benchmarks"), Path("logs"))


def test_jobs_are_read_by_stage_and_probe(jobs):
    assert jobs.stage.tolist() == ["estimates steps", "estimates steps", "rollouts", "rollouts"]
    table = summarise(jobs)
    assert table.jobs.to_dict() == {"rollouts": 2, "estimates steps": 2}
    assert table.memory["estimates steps"] == 300
    assert table.cpu_hours["rollouts"] == pytest.approx((20 * 7.75 / 15.5 + 5) / 3600)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("claims/gradients.tsv", "claims"),
        ("fits/hopper/ppo/0/150.tsv", "fits"),
        ("estimates/floors/hopper/ppo/0/0.tsv", "estimates floors"),
        ("semantics/training/hopper/ppo/0.tsv", "semantics training"),
    ],
)
def test_a_file_names_its_stage(name, stage):
    assert stage_of(Path(name)) == stage


def durations(jobs, gap):
    return [duration(run) for run in split_runs(jobs, gap)]


def test_time_between_runs_is_not_counted_and_time_within_is(jobs):
    assert durations(jobs, gap=60) == [70, 10]
    assert durations(jobs, gap=15) == [40, 10, 10]
    assert durations(jobs, gap=10_000) == [3670]


def test_a_long_job_bridges_shorter_ones(jobs):
    jobs.loc[0, ["seconds", "end"]] = 3600, 4600
    assert durations(jobs, gap=60) == [3670]


def test_busy_is_cpu_time_over_cores_and_the_time_of_the_last_run(jobs, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stages", "--cores", "2"])
    assert main() == 0
    text = capsys.readouterr().out
    assert (
        "4 jobs of 2 runs. In the last, of 1 jobs in 0.2 minutes, 2 cores were busy 25 %" in text
    )  # 5 of 20 s
    Path("benchmarks/rollouts/b.tsv").unlink()
    assert main() == 0
    text = capsys.readouterr().out
    assert (
        "3 jobs of 1 run. In the last, of 3 jobs in 1.2 minutes, 2 cores were busy 18 %" in text
    )  # 10 + 15 of 2 × 70 s


@pytest.mark.parametrize(
    ("seconds", "looked"), [(3, 3), (15.5, 15.5), (45, 15.5), (46, 45.5), (237.25, 225.5)]
)
def test_snakemake_looks_often_at_first_and_rarely_later(seconds, looked):
    assert last_look(seconds) == looked


def test_an_empty_folder_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stages", "--folder", str(tmp_path)])
    assert main() == 1
    assert "run `snakemake` first" in capsys.readouterr().err


def test_the_page_marks_memory_above_the_limit():
    text = page(RECORDS["stages"])
    assert (
        "3 jobs of 2 runs. In the last, of 2 jobs in 0.5 minutes, 2 cores were busy 75 % of the time." in text
    )
    assert "**2049**" in text
