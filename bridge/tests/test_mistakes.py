"""Mistakes in a project's files and commands: one sentence that names the file and the key, and what would be right."""

import subprocess

import pytest
from toys import Checkout, make_letters


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Checkout:
    """The README's example, set up, in which nothing was computed; not to be changed."""
    checkout = make_letters(tmp_path_factory.mktemp("mistakes"))
    checkout.run("python -m dvcsnake init --package letters")
    return checkout


@pytest.fixture
def letters(example, tmp_path) -> Checkout:
    """A copy of it."""
    subprocess.run(["cp", "-a", example.path, tmp_path / "letters"], check=True)
    return Checkout(tmp_path / "letters", tmp_path)


def said(checkout: Checkout, command: str) -> str:
    """The one sentence with which a command fails."""
    result = checkout.run(command, check=False)
    assert result.status == 1, result.text
    (line,) = result.text.splitlines()
    return line.removeprefix("dvcsnake: ")


EVERY = ("why", "status", "push", "run draw")


@pytest.mark.parametrize(
    ("commands", "path", "old", "new", "told"),
    [
        (EVERY, "params.yaml", "letters: 5", "letter: 5",
         "params.yaml lacks the key letters, which stages.draw.cmd in dvc.yaml needs"),
        (EVERY, "params.yaml", "letters: 5", "<<<<<<< ours\nletters: 5\n=======\nletters: 3\n>>>>>>> theirs",
         "params.yaml, line 2: conflict markers of a merge, so not valid YAML"),
        (["status", "code data/code"], "params.yaml", "[fox, dog]", "[fox, dog",
         "params.yaml, line 2: not valid YAML, "),
        (["status"], "params.yaml", "[fox, dog]", "fox",
         "dvc.yaml: stages.count.matrix.text must be a list, but is fox"),
        (["status"], "dvc.yaml", "deps: [letters]", "dep: [letters]",
         "dvc.yaml: stages.code.dep is wrong: extra keys not allowed"),
        (["status"], "dvc.yaml", "texts/${item.text}.txt data", "texts/${item.txt}.txt data",
         "its matrix or foreach lacks the key item.txt, which stages.count@fox.cmd in dvc.yaml needs"),
        (["status"], "dvc.yaml", "stages:", "stages: [", "dvc.yaml, line "),
        (["run drw"], "params.yaml", "letters", "letters", "dvc.yaml has no stage drw"),
    ],
)  # fmt: skip
def test_files_that_dvc_cannot_use_are_one_sentence_in_every_command(letters, commands, path, old, new, told):
    letters.run("dvc remote add -d lab ../lab")
    letters.edit(path, old, new)
    for command in commands:
        assert said(letters, f"python -m dvcsnake {command}").startswith(told), command


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stages: {}\n", "dvc.yaml has no stages: `stages` must list at least one"),
        ("\n", "dvc.yaml has no stages: `stages` must list at least one"),
        ("stages:\n", "dvc.yaml: stages is wrong: expected a dictionary"),
    ],
)
def test_a_pipeline_without_stages_is_one_sentence(letters, text, told):
    (letters.path / "dvc.yaml").write_text(text)
    assert said(letters, "python -m dvcsnake status") == told
    assert letters.snakemake(check=False).text.splitlines()[-1] == f"dvcsnake: {told}"


def test_matrices_without_values_make_nothing(letters):
    letters.edit("params.yaml", "[fox, dog]", "[]")
    (letters.path / "dvc.yaml").write_text(
        (letters.path / "dvc.yaml").read_text().split("  code:")[0]
        + "  count:" + (letters.path / "dvc.yaml").read_text().split("  count:")[1].split("  draw:")[0]
    )  # fmt: skip
    (letters.path / "pyproject.toml").write_text("[tool.dvcsnake]\n")
    result = letters.snakemake()
    assert (
        not result.jobs and "dvc: no output of dvc.yaml matches the default targets, figures/*" in result.text
    )


def test_a_push_without_a_default_remote_says_how_to_make_one(letters):
    push = "python -m dvcsnake push"
    assert said(letters, push) == "there is no default remote: `dvc remote add -d NAME URL` makes one"
    letters.run("dvc remote add lab ../lab")
    assert "there is no default remote: name one with `--remote` (lab), or `dvc remote add -d" in said(
        letters, push
    )


def test_default_targets_that_match_nothing_are_one_line(letters):
    letters.edit("pyproject.toml", "figures/*", "results/*")
    told = "dvc: no output of dvc.yaml matches the default targets, results/*: change `targets` in [tool.dvcsnake] of"
    assert told in letters.snakemake("-n").text
    assert letters.run("python -m dvcsnake why").text.startswith(told)
    assert "default targets" not in letters.snakemake("-n figures/letters.txt").text


def test_a_mistyped_dependency_is_one_sentence_with_the_nearest_output(letters):
    letters.edit("dvc.yaml", "draw.txt, data/counts]", "draw.txt, data/conts]")
    told = "dvc.yaml: stage draw reads data/conts, which no stage makes and which is not here; did you mean data/counts?"
    assert said(letters, "python -m dvcsnake why") == told
    result = letters.snakemake(check=False)
    assert result.status == 1 and result.text.splitlines()[-1] == f"dvcsnake: {told}"
    assert "2 count" not in result.text
    assert "1 count" in letters.snakemake("-n data/counts/fox.json").text, "other targets do not need it"


def test_what_dvc_tracks_may_be_absent(letters):
    letters.edit("dvc.yaml", "draw.txt, data/counts]", "draw.txt, texts/more]")
    (letters.path / "texts/more.dvc").touch()
    line = "dvc: left out: draw; nothing makes texts/more with these parameters"
    assert line in letters.snakemake("-n").text


def test_a_folder_below_the_project_is_told_from_one_without_a_project(letters):
    told = said(letters, "cd letters && python -m dvcsnake why")
    assert told == f"this is a folder of the project {letters.path}: run it from there"
    (letters.path / "pyproject.toml").unlink()
    assert "pyproject.toml must have a table [tool.dvcsnake]" in said(letters, "python -m dvcsnake why")


def test_init_says_how_to_write_a_package_that_it_leaves_out(letters):
    table = letters.path / "pyproject.toml"
    for before, told in (
        (
            'targets = ["a/*"]\n',
            'left as it is; write the line `package = "letters"` below [tool.dvcsnake]\n',
        ),
        ('package = "words"\n', "`package = \"letters\"` in place of 'words' below [tool.dvcsnake]\n"),
        ('hooks = "a:HOOKS"\n', 'the hooks, a:HOOKS, must have `package="letters"`\n'),
        ('package = "letters"\n', "pyproject.toml is left as it is\n"),
    ):
        table.write_text(f"[tool.dvcsnake]\n{before}")
        assert told in letters.run("python -m dvcsnake init --package letters", check=False).text
        assert table.read_text() == f"[tool.dvcsnake]\n{before}"


def test_init_has_git_ignore_outputs_and_nothing_else(letters):
    lines = ["/data/code", "/data/counts/*.json", "/figures/letters.txt"]
    assert (letters.path / ".gitignore").read_text().splitlines()[-3:] == lines
    letters.edit(
        "dvc.yaml",
        "    meta:",
        "    metrics: [{score.json: {cache: false}}]\n    plots: [more.csv]\n    meta:",
    )
    assert ".gitignore has /more.csv\n" in letters.run("python -m dvcsnake init --package letters").text
    assert ".gitignore has" not in letters.run("python -m dvcsnake init --package letters").text
    for path in ("data/counts/fox.json", "data/raw.csv", "figures/mine.txt", "more.csv", "score.json"):
        (letters.path / path).parent.mkdir(parents=True, exist_ok=True)
        (letters.path / path).touch()
    shown = letters.run("git status --short --untracked-files=all").text
    assert [path for path in ("raw.csv", "mine.txt", "score.json") if path not in shown] == []
    assert "fox.json" not in shown and "more.csv" not in shown


def test_a_project_in_which_dvc_ran_before_goes_on(letters):
    """DVC then wrote a .gitignore beside every output, also in a folder that a stage reads as a whole."""
    (letters.path / ".gitignore").write_text("")
    letters.run("dvc repro")
    assert (letters.path / "data/counts/.gitignore").exists()
    assert "Nothing to be done" in letters.snakemake().text
    assert letters.is_clean()
