"""A parameter set becomes params.yaml whole, with its comments, and never at the price of somebody's edits."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pgprim.commands.params import load
from pgprim.commands.scale import choose, find_set, render
from pgprim.types.errors import UserError
from pgprim.types.params import parse

ROOT = Path(__file__).parents[2]
SETS = sorted(path.stem for path in (ROOT / "workflow" / "scales").glob("*.yaml"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the repository's sets and the default parameter file, outside of any git repository."""
    scales = tmp_path / "workflow" / "scales"
    scales.mkdir(parents=True)
    for source in (ROOT / "workflow" / "scales").glob("*.yaml"):
        (scales / source.name).write_text(source.read_text())
    (tmp_path / "params.yaml").write_text((scales / "default.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_repository_s_parameter_file_is_the_default_set():
    committed = subprocess.run(["git", "show", "HEAD:params.yaml"], cwd=ROOT, capture_output=True, text=True)
    if committed.returncode:
        pytest.skip("not a git checkout")
    default = subprocess.run(
        ["git", "show", "HEAD:workflow/scales/default.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert committed.stdout == default.stdout


@pytest.mark.parametrize("name", SETS)
def test_every_set_makes_a_valid_file_and_back_again(here, name):
    choose(name)
    params = load()
    choose("default")
    default = load()
    assert (here / "params.yaml").read_text() == (here / "workflow/scales/default.yaml").read_text()
    assert params.keys() == default.keys()
    assert (params == default) == (name == "default")
    assert sorted(path.name for path in here.iterdir()) == ["params.yaml", "workflow"]


def test_only_what_the_set_names_differs(here):
    choose("smoke")
    smoke, default = load(), load("workflow/scales/default.yaml")
    assert smoke["train"].pop("iterations") < default["train"].pop("iterations")
    assert smoke["train"].pop("snapshot_every") < default["train"].pop("snapshot_every")
    assert smoke["train"] == default["train"]
    assert smoke["agents"] == default["agents"]


def test_the_paper_set_has_the_paper_s_numbers(here):
    choose("paper")
    params = load()
    assert len(params["seeds"]) == 24
    assert params["lockstep"] == 4 and params["semantics"]["train_seeds"] == params["probed_seeds"]
    sample = params["sample"]
    assert sample["streams"] * sample["pairs"] == 10**7 and sample["trials"] == 10
    assert (sample["kept"] - sample["trials"]) * sample["pairs"] == params["fit"]["pairs"] == 5 * 10**6
    assert params["probes"]["rollouts"]["gradient"]["budgets"][0] == 10**2
    assert params["probes"]["rollouts"]["gradient"]["budgets"][-1] == 10**6


def test_comments_give_the_source_of_the_number_that_stands_there(here):
    overlay = here / "workflow/scales/mine.yaml"
    overlay.write_text(
        "# Mine.\nseeds: [7]  # my lucky number\nprobed_seeds: [7]\ntrain:\n  gamma: 0.5\nplot: {seeds: 3}\n"
        "semantics:\n  seeds: [7]\n"
    )
    text = render(overlay)
    assert text.startswith("# Mine.\n")
    assert re.search(r"^seeds: &seeds \[7\] +# my lucky number$", text, re.MULTILINE)
    assert re.search(r"^  gamma: 0\.5$", text, re.MULTILINE), (
        "the default's source is not the source of this number"
    )
    assert re.search(r"^  lam: 0\.95 +# Table 1$", text, re.MULTILINE)
    assert re.search(r"^      rew_clip: null +# Table 1$", text, re.MULTILINE)
    assert "  budget: *pairs                         # Fig. 1" in text
    default = (here / "workflow/scales/default.yaml").read_text()
    changed = ("seeds:", "probed_seeds:", "gamma:", "#")
    for line in default.splitlines():
        assert line in text or line.strip().startswith(changed)


def test_what_has_a_name_in_the_default_set_follows_where_a_set_gives_it_anew(here):
    overlay = here / "workflow/scales/mine.yaml"
    overlay.write_text(
        "tasks: [hopper, walker2d]\ntrain: {pairs: 1024}\nablation: {pairs: 512}\n"
        "probes: {rollouts: {gradient: {budgets: [100, *pairs]}}}\n"
    )
    params = parse(render(overlay), overlay)
    assert params["landscape"]["tasks"] == params["semantics"]["tasks"] == ["hopper", "walker2d"]
    assert params["fit"]["tasks"] == ["walker2d", "hopper"]
    assert params["plot"]["budget"] == params["baselines"]["pairs"] == params["regime"]["pairs"][0] == 1024
    assert params["probes"]["rollouts"]["gradient"]["budgets"] == [100, 1024]
    assert params["ablation"]["pairs"] == 512


def test_the_pairs_of_an_iteration_stand_once(here):
    text = (here / "workflow/scales/default.yaml").read_text()
    assert len(re.findall(r"^[^#\n]*\b2048\b", text, re.MULTILINE)) == 1


def test_another_task_is_two_edits(here):
    params = here / "params.yaml"
    text = params.read_text().replace(
        "tasks: &tasks [hopper, walker2d, humanoid]", "tasks: &tasks [hopper, swimmer]"
    )
    text = text.replace(
        "  hopper: {id: Hopper-v5}\n", "  hopper: {id: Hopper-v5}\n  swimmer: {id: Swimmer-v5}\n"
    )
    agents = {"ppo": "policy_lr: 1e-4, ", "ppo_m": "policy_lr: 1e-4, ", "trpo": "delta: 0.1, "}
    for algo, own in agents.items():
        text = re.sub(
            rf"^(  {algo}:\n    all:\n)",
            rf"  {algo}:\n    swimmer: {{{own}value_lr: 1e-4}}\n    all:\n",
            text,
            flags=re.M,
        )
    params.write_text(text.replace("[walker2d, hopper]", "[hopper]"))  # Fig. 4's own tasks
    assert load()["landscape"]["tasks"] == load()["semantics"]["tasks"] == ["hopper", "swimmer"]


def test_without_git_an_edit_counts_as_one(here, monkeypatch):
    monkeypatch.setenv("PATH", str(here))
    (here / "params.yaml").write_text((here / "params.yaml").read_text().replace("gamma: 0.99", "gamma: 0.9"))
    with pytest.raises(UserError, match="edits that stand neither in a set"):
        choose("smoke")


def test_a_set_may_be_any_file(here, tmp_path):
    elsewhere = tmp_path / "elsewhere.yml"
    elsewhere.write_text("sample: {pairs: 20000}\n")
    assert choose(str(elsewhere)) == elsewhere
    assert load()["sample"] == load("workflow/scales/default.yaml")["sample"] | {"pairs": 20000}


def test_edits_are_not_overwritten_unless_forced_and_not_lost_then(here):
    params = here / "params.yaml"
    edited = params.read_text().replace("gamma: 0.99", "gamma: 0.9")
    params.write_text(edited)
    with pytest.raises(UserError, match="edits that stand neither in a set"):
        choose("smoke")
    assert params.read_text() == edited
    choose("smoke", force=True)
    assert (here / "params.yaml.bak").read_text() == edited
    assert load()["iterations"] == [0, 2]


def test_a_comment_is_an_edit_too(here):
    with (here / "params.yaml").open("a") as file:
        file.write("# remember: ask about the truth\n")
    with pytest.raises(UserError, match="edits that stand neither in a set"):
        choose("smoke")


def test_what_the_last_commit_holds_may_be_overwritten(here):
    (here / "params.yaml").write_text((here / "params.yaml").read_text().replace("gamma: 0.99", "gamma: 0.9"))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "params.yaml"], check=True)
    with pytest.raises(UserError, match="nor in the last commit"):
        choose("smoke")
    subprocess.run([*git, "commit", "-q", "-m", "gamma"], check=True)
    choose("smoke")
    assert load()["iterations"] == [0, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {gama: 0.9}", r"mine\.yaml: train\.gama .* did you mean train\.gamma"),
        ("seeds: [1]", r"mine\.yaml: probed_seeds\[0\] is 0, but must be one of seeds, \[1\]"),
        (
            "seeds: [0]\nprobed_seeds: [0]\nfit: {pairs: *parts}",
            r"mine\.yaml, line .*: not valid YAML, found undefined alias 'parts'",
        ),
        ("- hopper", r"mine\.yaml must be a mapping"),
        ("a: [", r"mine\.yaml, line 1.* not valid YAML"),
    ],
)
def test_a_set_with_a_mistake_is_refused_and_nothing_written(here, text, message):
    before = (here / "params.yaml").read_text()
    (here / "workflow/scales/mine.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        choose("mine")
    assert (here / "params.yaml").read_text() == before


def test_an_unknown_set_is_answered_with_the_known_ones(here):
    with pytest.raises(
        UserError, match="huge is no parameter set; known in workflow/scales: default, paper, quick, smoke"
    ):
        find_set("huge")


def test_the_command_line(here):
    command = [sys.executable, "-m", "pgprim.commands.scale"]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([*command, "smoke"], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "params.yaml now holds the parameter set smoke (workflow/scales/smoke.yaml)\n"
    failed = subprocess.run([*command, "huge"], capture_output=True, text=True, env=env)
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1 and "huge is no parameter set" in failed.stderr
    assert "paper" in subprocess.run([*command, "--help"], capture_output=True, text=True, env=env).stdout


ANT = """
tasks: [ant]
env: {ant: {id: Ant-v5}}
agents:
  ppo: {ant: {policy_lr: 3.0e-4, value_lr: 3.0e-4, value_clip: null}}
  ppo_m: {ant: {policy_lr: 1.0e-4, value_lr: 3.0e-4, value_clip: null}}
  trpo: {ant: {delta: 0.05, value_lr: 3.0e-4}}
"""


def task_lists(params: dict) -> dict[str, list[str]]:
    return {
        name: block["tasks"] for name, block in params.items() if isinstance(block, dict) and "tasks" in block
    }


def test_a_set_of_another_task_is_its_environment_and_its_rates(here):
    """All that the study measures and trains follows."""
    (here / "workflow/scales/ant.yaml").write_text(ANT)
    choose("ant")
    params = load()
    assert params["tasks"] == ["ant"] and params["env"]["ant"] == {"id": "Ant-v5"}
    lists = task_lists(params)
    assert {"fit", "baselines", "landscape", "ablation", "regime", "semantics"} <= set(lists)
    assert all(tasks == ["ant"] for tasks in lists.values())
    text = (here / "params.yaml").read_text()
    assert re.search(r"fit: .*\n  tasks: &baseline_tasks \[ant\] +# ours: as tasks\n", text)
    assert "tasks: *baseline_tasks" in text


def test_a_task_more_changes_no_sub_study_and_one_told_otherwise_stays(here):
    more = ANT.replace("[ant]", "[hopper, walker2d, humanoid, ant]")
    (here / "workflow/scales/more.yaml").write_text(more)
    choose("more")
    lists = task_lists(load())
    assert lists["landscape"] == lists["semantics"] == ["hopper", "walker2d", "humanoid", "ant"]
    assert (lists["fit"], lists["baselines"]) == (["walker2d", "hopper"], ["walker2d", "hopper"])
    assert lists["ablation"] == lists["regime"] == ["hopper"]
    (here / "workflow/scales/told.yaml").write_text(ANT + "ablation: {tasks: [hopper]}\n")
    choose("told")
    assert task_lists(load()) | {"ablation": ["ant"]} == {name: ["ant"] for name in lists}
    assert load()["ablation"]["tasks"] == ["hopper"]


def test_a_task_that_is_added_by_hand_takes_its_environment_and_its_rates(here):
    text = (here / "params.yaml").read_text()
    text = text.replace("tasks: &tasks [", "tasks: &tasks [ant, ").replace(
        "env: ", "env:\n  ant: {id: Ant-v5}\n#", 1
    )
    for algo, rates in (
        ("ppo", "policy_lr: 3.0e-4, value_lr: 3.0e-4, value_clip: null"),
        ("trpo", "delta: 0.05, value_lr: 3.0e-4"),
    ):
        text = text.replace(f"  {algo}:\n    all:\n", f"  {algo}:\n    ant: {{{rates}}}\n    all:\n")
    (here / "params.yaml").write_text(text.replace("algos: [ppo, ppo_m, trpo]", "algos: [ppo, trpo]"))
    params = load()
    assert params["tasks"][0] == params["landscape"]["tasks"][0] == "ant"
