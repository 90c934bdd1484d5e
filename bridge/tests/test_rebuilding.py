"""What a change rebuilds: exactly what depends on it, and only as far as bytes differ."""

import os
import re
import shutil

import pytest


def test_nothing_is_to_be_done_after_a_run_and_dvc_agrees(whole):
    assert "Nothing to be done" in whole.snakemake().text
    assert whole.is_clean()
    assert "Running stage" not in whole.run("dvc repro").text


def test_b_a_parameter_rebuilds_what_reads_it(whole):
    whole.edit("params.yaml", "width: 2048", "width: 2000")
    result = whole.snakemake("figures/fig2.pdf")
    assert result.runs == ["plot fig2"]
    assert sorted(whole.snakemake().runs) == ["plot fig1", "plot fig8"]
    assert whole.is_clean()


def test_b_a_module_rebuilds_what_imports_it_and_equal_bytes_stop_there(whole):
    whole.edit("weather/statistics/mean/estimate.py", "len(text) * size", "size * len(text)")
    assert whole.snakemake().ran == {"estimate": 2}
    assert whole.is_clean()


@pytest.mark.slow
def test_b_a_longer_simulation_stops_at_equal_years(whole):
    whole.edit("params.yaml", "length: 3", "length: 4")
    result = whole.snakemake()
    assert result.ran == {"simulate": 1, "pick": 2, "plot": 1}
    assert whole.is_clean()


def test_b_comments_docstrings_touches_and_order_rebuild_nothing(whole):
    whole.edit("weather/stages/simulate.py", "    args =", "    # a reason\n    args =")
    whole.edit("weather/work.py", '"""What', '"""Much what')
    for name in (
        "weather/stages/draw.py",
        "data/years/oslo/warm/0/0.txt",
        "figures/fig1.pdf",
    ):
        os.utime(whole.path / name)
    text = (whole.path / "params.yaml").read_text()
    plot = text.index("plot:")
    (whole.path / "params.yaml").write_text("# in another order\n" + text[plot:] + text[:plot])
    result = whole.snakemake()
    assert not result.ran and not result.jobs
    assert whole.is_clean()


@pytest.mark.slow
def test_d_repro_after_snakemake_and_snakemake_after_repro(whole):
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    assert whole.run("dvc repro").ran == {"estimate": 2, "plot": 2}
    assert "Nothing to be done" in whole.snakemake().text
    whole.edit("params.yaml", "level: 0.5", "level: 0.6")
    assert whole.snakemake().ran == {"estimate": 2, "plot": 2}
    assert not whole.run("dvc repro").ran


@pytest.mark.slow
def test_d_an_experiment_sets_a_parameter_and_runs_what_reads_it(whole):
    result = whole.run("dvc exp run -n half -S estimate.mean.level=0.5")
    assert result.ran == {"estimate": 2, "plot": 2}
    assert "level: 0.5" in (whole.path / "params.yaml").read_text()
    assert "half" in whole.run("dvc exp list --name-only").text
    assert not whole.snakemake().ran


def test_d_git_checkout_and_dvc_checkout_give_a_fresh_state(whole):
    before = (whole.path / "figures/fig2.pdf").read_bytes()
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    whole.snakemake()
    whole.run("git checkout -q . && dvc checkout")
    assert (whole.path / "figures/fig2.pdf").read_bytes() == before
    assert not whole.snakemake().jobs


@pytest.mark.slow
def test_f_going_back_and_forth_computes_nothing(whole):
    lock = (whole.path / "dvc.lock").read_text()
    whole.edit("params.yaml", "drift: 0.99", "drift: 0.9")
    there = whole.snakemake()
    assert there.ran == {"simulate": 1, "pick": 2, "draw": 2, "estimate": 2, "plot": 2}, "fig8 reads no gamma"
    whole.edit("params.yaml", "drift: 0.9\n", "drift: 0.99\n")
    assert not whole.snakemake().ran
    assert (whole.path / "dvc.lock").read_text() == lock
    whole.edit("params.yaml", "drift: 0.99", "drift: 0.9")
    assert not whole.snakemake().ran
    assert whole.is_clean()


def test_h_what_is_no_longer_listed_is_swept_and_comes_back(whole):
    whole.edit("params.yaml", "years:\n- 0\n- 2", "years:\n- 2")
    result = whole.snakemake()
    assert result.ran == {"plot": 1}
    assert "removing data/estimates/mean/oslo/warm/0/0.nc" in result.text
    assert not whole.files("data/estimates/**/0.nc")
    assert whole.is_clean()
    whole.run("git checkout -q params.yaml")
    assert not whole.snakemake().ran
    assert whole.is_clean()


def test_h_what_nothing_can_bring_back_is_refused(whole):
    mine = whole.path / "data/estimates/mean/mine.nc"
    mine.write_text("mine")
    result = whole.snakemake(check=False)
    assert result.status == 1
    assert "data/estimates/mean/mine.nc is not an output of any stage" in result.text
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("level", ["0.95", "0.5"], ids=["restored", "computed"])
@pytest.mark.parametrize("path", ["data/estimates/mean/oslo/warm/0/2.nc", "figures/fig1.pdf"])
def test_h_a_file_of_one_s_own_in_an_output_s_place_is_moved_aside(whole, level, path):
    """Whether what belongs there comes from the cache or is computed; and of two such files none is lost."""
    whole.edit("params.yaml", "level: 0.95", f"level: {level}")
    for number, text in ((1, "mine"), (2, "mine, too")):
        (whole.path / path).write_text(text)
        result = whole.snakemake("figures/fig1.pdf")
        aside = f".dvc/tmp/dvcsnake/set_aside/{number}/{path}"
        assert f"dvc: no stage made {path} as it was; it is now {aside}" in result.text
        assert (whole.path / aside).read_text() == text
        assert (whole.path / path).read_text() != text


def test_e_a_statistic_is_a_module_and_a_block(whole):
    module = whole.path / "weather/statistics/median/estimate.py"
    module.parent.mkdir()
    module.write_text("def estimate(text, sizes, level):\n    return f'{sizes} {level}'\n")
    whole.edit("params.yaml", "estimate:\n", "estimate:\n  median:\n    sizes: [100]\n    level: 0.9\n")
    result = whole.snakemake("data/estimates/median/oslo/warm/0/2.nc")
    assert result.runs == ["estimate data/estimates/median/oslo/warm/0/2.nc"]


def test_a_block_or_a_figure_without_its_module_is_one_sentence(whole):
    whole.edit("params.yaml", "estimate:\n", "estimate:\n  median:\n    sizes: [100]\n    level: 0.9\n")
    result = whole.snakemake(check=False)
    assert result.status == 1
    assert "must be a statistic with a module weather/statistics/median/estimate.py" in result.text
    whole.run("git checkout -q params.yaml")
    whole.edit("dvc.yaml", "      fig8:", "      fig7: {statistic: median, reads: data/records}\n      fig8:")
    result = whole.snakemake(check=False)
    assert result.status == 1
    assert (
        "figure@fig7 in dvc.yaml runs weather/statistics/median/plot.py, which does not exist" in result.text
    )


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(whole):
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    shutil.rmtree(whole.path / "data/draws/oslo/warm/0/2.zarr")
    before = whole.contents()
    result = whole.snakemake("-n figures/fig2.pdf")
    assert "unless inputs turn out the same: 2 estimate, 1 figure" in result.text
    assert re.search(r"total +3\n", result.text), "what is restored is no job"
    assert result.promised == ["restored 1 output of draw from the cache"]
    assert not result.ran
    assert whole.contents() == before


def test_f_a_dry_run_after_going_back_says_what_the_run_then_does(whole):
    first = whole.contents()
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    whole.edit("params.yaml", "years:\n- 0\n- 2", "years:\n- 2")
    assert whole.snakemake().ran == {"estimate": 1, "plot": 2}
    whole.run("git checkout -q params.yaml")
    before = whole.contents()
    dry = whole.snakemake("-n")
    assert "Nothing to be done" in dry.text
    # iteration 0 was swept and is absent, iteration 2 is here with the other level
    assert dry.promised == [
        "restored 2 outputs of estimate from the cache",
        "restored 6 outputs of figure from the cache",
    ]
    assert whole.contents() == before
    real = whole.snakemake()
    assert "Nothing to be done" in real.text
    assert real.fetched == dry.promised
    assert whole.contents() == first != before


def test_linting_the_workflow_changes_nothing(whole):
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    shutil.rmtree(whole.path / "data/draws/oslo/warm/0/2.zarr")
    before = whole.contents()
    whole.run("snakemake --lint", check=False)
    assert whole.contents() == before


def test_b_code_that_parameters_name_rebuilds_what_depends_on_it(whole):
    whole.edit("instruments/gauge.py", "OFFSET = 0.0", "# exact\nOFFSET = 0.0")
    assert not whole.snakemake().ran
    whole.edit("instruments/gauge.py", "OFFSET = 0.0", "OFFSET = 0.5")
    assert whole.snakemake("data/years/oslo/warm/0/2.txt").ran == {"simulate": 1, "pick": 1}
    assert "1.49" in (whole.path / "data/years/oslo/warm/0/2.txt").read_text()


def test_b_a_file_that_is_no_code_counts_by_its_bytes(whole):
    table = whole.path / "instruments/table.csv"
    table.write_text("1\n")
    whole.edit("weather/pipeline.py", '.txt": paths for', '.txt": [*paths, "instruments/table.csv"] for')
    target = "data/years/oslo/warm/0/2.txt"
    assert whole.snakemake(target).ran == {"simulate": 1}
    assert not whole.snakemake(target).ran
    table.write_text("2\n")
    why = whole.run(f"python -m dvcsnake why {target}").text
    assert "simulate@oslo-warm-0 must run: code: instruments/table.csv\n" in why
    assert whole.snakemake(target).ran == {"simulate": 1}


def test_rules_and_stages_explain_themselves(whole):
    text = whole.run("snakemake --list").text
    for group, said in (
        ("simulate", "Simulate the weather of one network of stations"),
        ("figure", "Draw a figure"),
    ):
        assert group in text and said in text
    assert "Draw from one year many times" in whole.run("dvc stage list").text
    jobs = whole.snakemake("-n --forceall --printshellcmds figures/fig1.pdf", check=False).text
    assert "mem_mb=700" in jobs and "runtime=5" in jobs
