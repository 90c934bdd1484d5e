"""`why` and the dry run say what changed, from what to what, and where the rest comes from."""

import shutil

FIGURE = "figures/fig1.pdf"

NOTE = """\
rule note:
    output:
        "notes/mine.txt"
    shell:
        "touch {output}"
"""


def test_a_parameter_is_named_from_what_to_what(whole):
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    text = whole.run(f"python -m dvcsnake why {FIGURE}").text
    assert text.splitlines() == [
        "estimate@mean-oslo-warm-0-2 must run: estimate.mean.level: 0.95 → 0.5",
        "figure@fig1 must run: estimate runs first",
    ]
    dry = whole.snakemake("-n").text
    assert "dvc: 2 estimate, because estimate.mean.level: 0.95 → 0.5" in dry
    assert "dvc: 2 figure, because estimate runs first" in dry


def test_a_module_an_input_and_a_command_are_named(whole):
    whole.edit("weather/work.py", "TOY_SLEEP", "TOY_PAUSE")
    whole.edit(
        "dvc.yaml", "python -m weather.stages.plot ${key}", "python  -X utf8 -m weather.stages.plot ${key}"
    )
    text = whole.run(f"python -m dvcsnake why {FIGURE}").text
    assert "simulate@oslo-warm-0 must run: code: work.py (ran)\n" in text
    (line,) = [line for line in text.splitlines() if line.startswith("figure@fig1")]
    assert (
        "command: … -m weather.stages.plot fig1" in line and "→ … -X utf8 -m weather.stages.plot fig1" in line
    )
    assert "code: work.py (ran); estimate runs first" in line


def test_functions_are_named_also_those_that_are_new_or_gone_and_in_a_clone(whole, clone):
    """The one machine has met the old version, the other finds it in Git."""
    clone.snakemake(FIGURE)
    shutil.rmtree(clone.path / ".dvc/tmp/dvcsnake/code")
    for checkout in (whole, clone):
        checkout.edit("weather/work.py", "def write_folder", "LIMIT = 3\n\n\ndef put_folder")
        text = checkout.run(f"python -m dvcsnake why {FIGURE}").text
        assert "code: work.py (LIMIT new, put_folder new, write_folder gone)" in text
    shutil.rmtree(clone.path / ".dvc/tmp/dvcsnake/code")
    clone.run("rm -rf .git")
    assert "code: work.py\n" in clone.run("python -m dvcsnake why data/records/oslo/warm/0.zarr").text


def test_a_change_that_was_run_and_never_committed_is_told_by_function_too(whole):
    target = "data/records/oslo/warm/0.zarr"
    whole.edit("weather/work.py", "TOY_SLEEP", "TOY_PAUSE")
    whole.snakemake(target)
    whole.edit("weather/work.py", "parents=True", "parents=1 == 1")
    assert "code: work.py (write)\n" in whole.run(f"python -m dvcsnake why {target}").text


def test_what_is_new_has_no_record(whole):
    whole.edit(
        "dvc.yaml", "      fig8:", "      fig7: {statistic: mean, reads: data/estimates/mean}\n      fig8:"
    )
    assert "figure@fig7 must run: there is no record of it" in whole.run("python -m dvcsnake why").text


def test_a_hit_says_where_it_comes_from(clone):
    text = clone.run(f"python -m dvcsnake why {FIGURE}").text
    assert text == f"{FIGURE} comes from the remote repository\n"
    clone.snakemake(FIGURE)
    assert "nothing must run" in clone.run(f"python -m dvcsnake why {FIGURE}").text
    (clone.path / FIGURE).unlink()
    assert f"{FIGURE} comes from the cache" in clone.run(f"python -m dvcsnake why {FIGURE}").text
    shutil.rmtree(clone.path / "remote/files")
    shutil.rmtree(clone.path / ".dvc/cache/files")
    lost = clone.run(f"python -m dvcsnake why {FIGURE}").text
    assert "figure@fig1 must run: neither the cache nor a remote has its outputs" in lost


def test_a_target_that_is_none_is_one_sentence(whole):
    told = "no stage of dvc.yaml is, or makes, figures/fig99.pdf; did you mean figures/fig"
    before = whole.contents()
    for others in ("", "figures/fig1.pdf"):
        result = whole.run(f"python -m dvcsnake why {others} figures/fig99.pdf", check=False)
        assert result.status == 1
        assert result.text.startswith(f"dvcsnake: {told}") and result.text.count("\n") == 1
    for others in ("", "figures/fig1.pdf", "--set-threads simulate=1 --cores 2"):
        result = whole.snakemake(f"{others} figures/fig99.pdf", check=False)
        assert result.status == 1 and not result.ran and whole.contents() == before
        said = result.text.splitlines()
        assert said[-1].startswith(f"dvcsnake: {told}") and "No rule to produce" not in result.text
    said = whole.snakemake("figre", check=False).text.splitlines()[-1]
    assert said == "dvcsnake: no stage of dvc.yaml is, or makes, figre; did you mean figure?"


def test_targets_that_are_no_stage_s_are_snakemake_s_own(whole):
    """A rule, what a rule makes, values of options."""
    (whole.path / "Snakefile").write_text(
        (whole.path / "Snakefile").read_text().replace("rule all:", NOTE + "\n\nrule all:")
    )
    for target in (
        "note",
        "--configfile params.yaml -- note",
        "notes/mine.txt",
        "--set-threads simulate=1 --latency-wait 3 all",
    ):
        assert whole.snakemake(target).status == 0
    assert (whole.path / "notes/mine.txt").exists()
