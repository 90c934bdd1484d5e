import pytest

from bench.projects import default_params
from bench.schedule import ROOT, Job, load_jobs, longest_chain, page, play
from pgprim.commands.cost import RATES, costs
from pgprim.types.params import read
from tests.bench.examples import RECORDS

DIAMOND = [Job(2, ()), Job(3, (0,)), Job(5, (0,)), Job(1, (1, 2))]


@pytest.mark.parametrize(("cores", "seconds"), [(1, 11), (2, 8), (9, 8)])
def test_jobs_wait_for_what_they_read_and_for_a_core(cores, seconds):
    assert play(DIAMOND, cores) == seconds


def test_the_longest_chain_is_what_no_core_shortens():
    assert longest_chain(DIAMOND) == 8
    assert longest_chain([*DIAMOND, Job(20, ())]) == 20


@pytest.mark.parametrize("cores", [1, 3, 7, 50])
def test_jobs_that_wait_for_nothing_fill_the_cores(cores):
    assert play([Job(1.0, ())] * 50, cores) == -(-50 // cores)


def test_a_set_has_the_jobs_and_the_time_that_its_costs_tell():
    jobs = load_jobs("default")
    assert all(above < k for k, job in enumerate(jobs) for above in job.reads)
    expected = sum(cost.seconds for cost in costs(default_params(), read(ROOT / RATES)))
    assert sum(job.seconds for job in jobs) == pytest.approx(expected, rel=0.01)
    assert longest_chain(jobs) < play(jobs, 2) < 1.05 * expected / 2


def test_busy_is_the_time_of_all_jobs_over_cores_and_time():
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in page(RECORDS["schedule"]).splitlines()[2:]
    ]
    assert rows == [["small", "3", "2.0", "1.0", "1", "2.0", "100 %"], ["", "", "", "", "4", "1.0", "50 %"]]
