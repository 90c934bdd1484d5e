"""While a run goes on a person sees one line when a job starts and one when it ends, and how long the rest takes."""

import re

import pytest
from dvcsnake.progress import Progress, duration


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def run(progress: Progress, clock: Clock, name: str, seconds: float, was_computed: bool = True) -> None:
    progress.start(name)
    clock.time += seconds
    progress.end(name, was_computed)


def test_what_is_left_at_the_expected_rate_is_what_was_expected():
    clock = Clock()
    progress = Progress({"a": 100.0, "b": 50.0, "c": 250.0}, now=clock)
    assert progress.left() == pytest.approx(400)
    run(progress, clock, "a", 100)
    assert progress.left() == pytest.approx(300)
    run(progress, clock, "b", 50)
    assert progress.left() == pytest.approx(250)


def test_jobs_side_by_side_share_what_is_left():
    clock = Clock()
    progress = Progress(dict.fromkeys("abcd", 100.0), at_once=2, now=clock)
    assert progress.left() == pytest.approx(200)
    progress.start("a")
    progress.start("b")
    clock.time = 60
    assert progress.left() == pytest.approx(140)


def test_a_slower_machine_takes_longer_and_the_first_job_alone_does_not_settle_it():
    clock = Clock()
    progress = Progress({str(number): 10.0 for number in range(100)}, now=clock)
    run(progress, clock, "0", 20)
    assert 990 < progress.left() < 1300, "one job of a hundred"
    for number in range(1, 50):
        run(progress, clock, str(number), 20)
    assert progress.left() == pytest.approx(2 * 500, rel=0.05)


def test_what_is_found_on_record_says_nothing_about_the_rate():
    clock = Clock()
    progress = Progress({str(number): 100.0 for number in range(10)}, now=clock)
    for number in range(5):
        run(progress, clock, str(number), 1, was_computed=False)
    assert progress.left() == pytest.approx(500)


def test_without_rates_the_jobs_that_have_ended_tell():
    clock = Clock()
    progress = Progress(dict.fromkeys(["draw@1", "draw@2", "draw@3", "plot@1"]), now=clock)
    assert progress.left() is None
    run(progress, clock, "draw@1", 10)
    assert progress.left() == pytest.approx(30)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (41, "41 s"), (100, "2 min"), (3000, "50 min"), (9000, "2.5 h"), (5e5, "5.8 days")],
)
def test_times_are_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_a_run_is_two_lines_a_job(blank):
    text = blank.snakemake("figures/fig8.pdf").text
    lines = [line for line in text.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    shown = [re.sub(r"^\S+ |in [\d.]+ s|about [\d.]+ s", "", line).strip() for line in lines]
    assert shown == [
        "starts    simulate@oslo-warm-0",
        "computed  simulate@oslo-warm-0 ; 1 of 2 done,  left",
        "starts    figure@fig8",
        "computed  figure@fig8 ; 2 of 2 done",
    ]
    assert len(text.splitlines()) < 14, text


def test_what_is_on_record_is_said_to_be(whole):
    whole.edit("params.yaml", "length: 3", "length: 4")
    text = whole.snakemake("figures/fig1.pdf").text
    assert re.search(r"computed  simulate@oslo-warm-0 in .*; 1 of 5 done", text)
    assert re.search(r"restored  figure@fig1 in .*; 5 of 5 done", text)


def test_a_failed_job_shows_its_log(whole):
    whole.edit("weather/statistics/mean/plot.py", '"""', '1 / 0\n"""')
    result = whole.snakemake("figures/fig1.pdf", check=False)
    assert result.status == 1
    assert re.search(r"starts +figure@fig1", result.text) and "Error in rule figure" in result.text
    assert "ZeroDivisionError" in result.text
