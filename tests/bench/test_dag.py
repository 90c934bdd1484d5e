import pytest

from bench.dag import checkout, count_stages, page
from tests.bench.examples import RECORDS
from tests.checkouts import Result


def test_the_page_marks_missed_targets_only():
    header, _, nothing, job = page(RECORDS["dag"]).splitlines()
    assert header.replace(" ", "") == "||target|17stages|1001stages|"
    assert nothing.replace(" ", "") == "|nothingtodo[s]|≤3|1.50|**3.50**|"
    assert job.replace(" ", "") == "|overheadofajob[s]|≤1|0.50|1.00|"


def test_stages_are_counted_where_nothing_was_to_be_done():
    assert (
        count_stages(
            result("dvc: 17 of 17 stages up to date\nNothing to be done (all requested files are present")
        )
        == 17
    )
    with pytest.raises(AssertionError):
        count_stages(result("dvc: 16 of 17 stages up to date"))


@pytest.mark.slow
def test_a_toy_of_a_given_size_is_computed_whole(tmp_path):
    assert count_stages(checkout(tmp_path, 30).snakemake()) == 29


def result(text: str) -> Result:
    return Result(0, text, 0.0, None, [])
