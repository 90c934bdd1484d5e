"""A clone has what others computed: all of it, or just what it is asked for."""

import hashlib
import re
import shutil

import pytest
from toys import ALL

OUTPUTS = "data/[!c]*/**/*"  # all outputs of stages but those of `code` and the checkpoints


def test_a_pull_then_nothing_is_to_be_done(clone):
    clone.run("dvc pull")
    for target in ("figures/fig2.pdf", ""):
        result = clone.snakemake(target)
        assert "Nothing to be done" in result.text
        assert not result.ran and not result.fetched
    assert not clone.files("data/draws/**/*"), "draws were never pushed"


def test_a_pull_of_the_figure_alone_is_enough_even_offline(clone):
    clone.run("dvc pull figures/fig2.pdf")
    (clone.path / "remote").rename(clone.path / "elsewhere")
    result = clone.snakemake("figures/fig2.pdf")
    assert "Nothing to be done" in result.text
    assert not clone.files(OUTPUTS)


def test_a1_without_pull_the_target_alone_is_fetched_and_one_line_says_so(clone, origin):
    dry = clone.snakemake("-n figures/fig2.pdf")
    assert "Nothing to be done" in dry.text and not clone.files("figures/*")
    result = clone.snakemake("figures/fig2.pdf")
    assert not result.ran
    assert result.fetched == dry.promised == ["fetched 1 output of figure from the remote repository"]
    assert clone.files("figures/*") == ["figures/fig2.pdf"] and not clone.files(OUTPUTS)
    assert (clone.path / "figures/fig2.pdf").read_bytes() == (origin.path / "figures/fig2.pdf").read_bytes()


def test_a1_what_the_remote_lacks_is_computed_and_nothing_else(clone):
    clone.edit("params.yaml", "level: 0.95", "level: 0.9")
    dry = clone.snakemake("-n figures/fig1.pdf")
    assert "unless inputs turn out the same: 1 draw, 1 estimate, 1 figure" in dry.text
    assert re.search(r"total +3\n", dry.text), "the checkpoint is no job"
    result = clone.snakemake("figures/fig1.pdf")
    assert result.ran == {"draw": 1, "estimate": 1, "plot": 1}
    assert result.fetched == dry.promised == ["fetched 1 output of pick from the remote repository"]


@pytest.mark.parametrize("lost", ["figures/fig1.pdf", "data/estimates/mean/oslo/warm/0/2.nc", "all"])
def test_a1_a_dry_run_announces_what_follows_where_the_remote_lacks_a_part(clone, origin, lost):
    """A picture that the remote has lost, an estimate that an edited plot reads, or everything."""
    if lost == "all":
        shutil.rmtree(clone.path / "remote/files")
    else:
        digest = hashlib.md5((origin.path / lost).read_bytes()).hexdigest()
        (clone.path / "remote/files/md5" / digest[:2] / digest[2:]).unlink()
    if not lost.startswith("figures"):
        clone.edit("weather/statistics/mean/plot.py", "{figure} ", "figure {figure} ")
    dry = clone.snakemake("-n figures/fig1.pdf")
    real = clone.snakemake("figures/fig1.pdf")
    cost = r"dvc: to be computed unless inputs turn out the same: (.*)"
    assert re.findall(cost, dry.text) == re.findall(cost, real.text) != []
    assert real.fetched == dry.promised
    assert real.ran.total() == int(re.search(r"total +(\d+)\n", dry.text)[1])


def test_a2_an_edited_plot_fetches_its_estimates_and_redraws_itself(clone):
    clone.snakemake("figures/fig1.pdf")
    clone.edit("weather/statistics/mean/plot.py", "{figure} ", "figure {figure} ")
    result = clone.snakemake("figures/fig1.pdf")
    assert result.runs == ["plot fig1"]
    assert result.fetched == ["fetched 1 output of estimate from the remote repository"]
    assert clone.files(OUTPUTS) == ["data/estimates/mean/oslo/warm/0/2.nc", "data/figures/fig1.nc"]


@pytest.mark.slow
def test_a_longer_simulation_in_a_clone_neither_draws_nor_estimates(clone):
    clone.edit("params.yaml", "length: 3", "length: 4")
    result = clone.snakemake()
    assert result.ran == {"simulate": 1, "pick": 2, "plot": 1}
    assert "plot fig8" in result.runs
    assert not clone.files("data/draws/**/*")
    assert clone.files("data/estimates/**/*")
    assert "Nothing to be done" in clone.snakemake().text


def test_draws_that_are_asked_for_are_made(clone, origin):
    target = "data/draws/oslo/warm/0/2.zarr"
    result = clone.snakemake(target)
    assert result.runs == [f"draw {target}"]
    for name in ("low/c", "high/c"):
        assert (clone.path / target / name).read_text() == (origin.path / target / name).read_text()


@pytest.mark.parametrize("url", ["../gone", pytest.param("ssh://127.0.0.1:1/gone", marks=pytest.mark.slow)])
def test_an_unreachable_remote_is_one_line_and_then_it_computes(clone, origin, url):
    if url.startswith("ssh"):
        pytest.importorskip("dvc_ssh", reason="dvc-ssh is not installed")
    clone.run(f"dvc remote modify repository url {url}")
    result = clone.snakemake("figures/fig1.pdf")
    assert result.ran == {"simulate": 1, "pick": 1, "draw": 1, "estimate": 1, "plot": 1}
    (line,) = re.findall(r"dvc: the remote repository cannot be used \(.+\); (.*)", result.text)
    assert line == "what only it has is computed instead"
    cost = "dvc: to be computed unless inputs turn out the same: 1 simulate, 1 pick, 1 draw, 1 estimate, 1 figure"
    assert cost in result.text
    assert (clone.path / "figures/fig1.pdf").read_bytes() == (origin.path / "figures/fig1.pdf").read_bytes()


def test_plain_dvc_commands_work_in_every_clone(clone):
    clone.run("dvc pull && dvc push && dvc checkout")
    clone.run("dvc pull --run-cache && dvc push --run-cache")
    assert "Running stage" not in clone.run("dvc repro --dry --allow-missing").text


def test_single_artifacts_can_be_pulled(clone):
    clone.run("dvc pull data/estimates/mean/oslo/warm/0/2.nc figures/fig1.pdf")
    found = clone.files("data/**/*") + clone.files("figures/*")
    assert found == ["data/estimates/mean/oslo/warm/0/2.nc", "figures/fig1.pdf"]


def test_f_results_for_other_parameters_travel_with_the_run_cache(clone, origin, tmp_path):
    clone.run(f"dvc remote add -d lab {tmp_path}/lab && git commit -qam lab")
    clone.edit("params.yaml", "times: 4", "times: 5")
    assert clone.snakemake("figures/fig2.pdf").ran == {"draw": 2, "estimate": 2, "plot": 1}
    clone.run("python -m dvcsnake push")
    other = type(clone)(tmp_path / "other", tmp_path)
    origin.run(f"git clone -q {clone.path} {other.path}")
    other.edit("params.yaml", "times: 4", "times: 5")
    assert "Nothing to be done" in other.snakemake("-n figures/fig2.pdf").text
    result = other.snakemake("figures/fig2.pdf")
    assert not result.ran, "another machine computes nothing"
    assert result.fetched == ["fetched 1 output of figure from the remote lab"]


@pytest.mark.slow
def test_everything_goes_to_a_larger_remote_and_comes_back(clone, origin, tmp_path):
    clone.run(f"dvc pull && dvc remote add lab {tmp_path}/lab && git commit -qam lab")
    target = "data/draws/oslo/warm/0/2.zarr"
    clone.snakemake(target)
    text = clone.run("python -m dvcsnake push --remote lab --everything").text
    assert "1 of 5 outputs" in text
    other = type(clone)(tmp_path / "other", tmp_path)
    origin.run(f"git clone -q {clone.path} {other.path}")
    other.run("dvc remote default lab")
    result = other.snakemake(target)
    assert not result.ran
    assert result.fetched == ["fetched 1 output of draw from the remote lab"]
    assert sum(ALL.values()) == 10


def test_a_remote_that_does_not_exist_is_refused_by_name(clone):
    result = clone.run("python -m dvcsnake push --remote labb", check=False)
    assert result.status == 1
    assert "no DVC remote called labb (there are: repository)" in result.text


def test_a_dry_run_and_why_in_a_fresh_clone_write_digests_alone(clone):
    lock = (clone.path / "dvc.lock").read_bytes()
    clone.run("python -m dvcsnake why")
    clone.snakemake("-n")
    written = clone.files("data/**/*")
    assert written and all(path.startswith("data/code/") for path in written)
    assert not clone.files("figures/*") and (clone.path / "dvc.lock").read_bytes() == lock
    assert not clone.run("git status --short").text
