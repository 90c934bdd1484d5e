import os

import pytest

from bench.stages import durations, main, page, read_jobs, summarise
from tests.bench.examples import RECORDS

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture
def folder(tmp_path):
    """Two runs: jobs in seconds 0-20, 10-40 and 60-70, and an hour later one of 10 seconds."""
    for name, seconds, memory, cpu, end in (
        ("sample/a", 20, 100, 15, 1020),
        ("estimate/steps-a", 30, 300, 20, 1040),
        ("estimate/steps-b", 10, 200, "-", 1070),
        ("sample/b", 10, 90, 5, 4670),
    ):
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{HEADER}{seconds}\t0\t{memory}\t0\t0\t0\t0\t0\t0\t{cpu}\n")
        os.utime(path, (end, end))
    return tmp_path


def test_jobs_are_read_by_stage_and_probe(folder):
    jobs = read_jobs(folder)
    assert jobs.stage.tolist() == ["estimate steps", "estimate steps", "sample", "sample"]
    table = summarise(jobs)
    assert table.jobs.to_dict() == {"sample": 2, "estimate steps": 2}
    assert table.memory["estimate steps"] == 300
    assert table.cpu_hours["sample"] == pytest.approx(20 / 3600)


def test_time_between_runs_is_not_counted_and_time_within_is(folder):
    jobs = read_jobs(folder)
    assert durations(jobs, gap=60) == [70, 10]
    assert durations(jobs, gap=15) == [40, 10, 10]
    assert durations(jobs, gap=10_000) == [3670]


def test_a_long_job_bridges_shorter_ones(folder):
    jobs = read_jobs(folder)
    jobs.loc[0, ["seconds", "end"]] = 3600, 4600
    assert durations(jobs, gap=60) == [3670]


def test_busy_is_cpu_time_over_cores_and_counted_time(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stages", "--folder", str(folder), "--cores", "2"])
    assert main() == 0
    assert "busy 25 % of that time" in capsys.readouterr().out  # 40 of 2 × 80 seconds


def test_since_leaves_out_jobs_that_ended_before(folder, monkeypatch, capsys):
    arguments = ["stages", "--folder", str(folder), "--cores", "1", "--since", "1970-01-01T01:00+00:00"]
    monkeypatch.setattr("sys.argv", arguments)
    assert main() == 0
    assert "1 jobs in 0.2 minutes of 1 run; 1 cores were busy 50 %" in capsys.readouterr().out


def test_an_empty_folder_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stages", "--folder", str(tmp_path)])
    assert main() == 1
    assert "run `snakemake` first" in capsys.readouterr().err


def test_the_page_marks_memory_above_the_limit():
    text = page(RECORDS["stages"])
    assert "3 jobs in 2.0 minutes of 2 runs; 2 cores were busy 75 %" in text
    assert "**2049**" in text
