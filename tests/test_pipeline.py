"""pgprim's side of the bridge: what its stages cost, and which code each of them depends on."""

import hashlib
from pathlib import Path

import pytest
from dvcsnake.declared import declarations
from dvcsnake.digests import digests, meaning, project_digests
from dvcsnake.errors import UserError
from dvcsnake.hooks import load_hooks, price
from dvcsnake.pipeline import Output, Stage
from dvcsnake.project import open_project

from pgprim.report.claims.table import SECTIONS
from tests.checkouts import PROJECT

PACKAGE = PROJECT / "pgprim"


@pytest.fixture
def hooks(monkeypatch):
    monkeypatch.chdir(PROJECT)
    return load_hooks(PROJECT)


def stages(cmd: str, path: str, count: int) -> list[Stage]:
    return [
        Stage(f"it@{k}", f"python -m pgprim.commands.{cmd}", (), (), (Output(path.format(k)),))
        for k in range(count)
    ]


def test_prices_add_up_and_follow_the_work(hooks):
    assert price(hooks, stages("sample", "data/rollouts/humanoid/ppo/{}/0.zarr", 1)).startswith(
        ", at most about "
    )
    # So many that rounding to the digits that are printed does not matter.
    hours = [
        float(price(hooks, stages("train", "data/training/humanoid/ppo/{}", n)).split()[-2])
        for n in (100, 200)
    ]
    assert hours[1] == pytest.approx(2 * hours[0], rel=0.05)
    estimates = "data/estimates/{}/hopper/ppo/0/"
    for cmd, path in (
        ("train --task hopper", "data/training/hopper/ppo_m/{}"),  # trained, but not probed
        ("rerun --training x", "data/rerun/hopper/ppo_m/{}.zarr"),
        ("probe value --rerun x", "data/estimates/value/hopper/ppo_m/{}.nc"),
        ("probe gradient --checkpoint x", estimates.format("gradient") + "{}.nc"),
        ("probe floors --checkpoint x", estimates.format("floors") + "{}.nc"),
        ("probe fit --checkpoint x", "data/fits/walker2d/ppo/0/{}.safetensors"),
        ("probe landscape --case steps", estimates.format("landscape") + "{}/steps.nc"),
        ("probe robustness --checkpoint x", estimates.format("robustness") + "{}.nc"),
        ("probe semantics --case gradient", "data/semantics/gradient/humanoid/ppo/0/{}.nc"),
        ("vary ablation --task hopper", "data/variants/ablation/hopper/{}/0.zarr"),
        ("vary regime --task hopper", "data/variants/regime/hopper/{}/0.zarr"),
        ("vary reliability --task hopper", "data/variants/reliability/hopper/trpo/{}.zarr"),
        ("vary clipping --task humanoid", "data/variants/clipping/humanoid/{}/0.zarr"),
        ("vary semantics --task walker2d", "data/semantics/training/walker2d/ppo/{}.zarr"),
    ):
        assert price(hooks, stages(cmd, path, 3)).startswith(", at most about "), cmd
    assert price(hooks, stages("plot", "figures/fig{}.pdf", 1)) == ", at most about 1 core-minute"


def test_every_stage_of_the_pipeline_has_a_price(hooks):
    pipeline = open_project(PROJECT, lambda text: None, True).pipeline
    computed = [stage for stage in pipeline.stages.values() if stage.group != "code"]
    assert len(computed) > 500
    assert None not in hooks.seconds(computed)


def test_what_has_no_rate_is_named(hooks):
    unheard = stages("probe unheard", "data/estimates/unheard/humanoid/ppo/{}/0.nc", 1)
    swimmer = stages("sample", "data/rollouts/swimmer/ppo/{}/0.zarr", 2)
    assert price(hooks, unheard) == price(hooks, swimmer) == ", for none of which there is a rate yet"
    whole = price(hooks, swimmer + stages("plot", "figures/fig{}.pdf", 1))
    assert whole == ", at most about 1 core-minute without 2 it, for which there is no rate yet"


def test_the_code_of_an_agent_s_algorithm_is_an_input(hooks):
    params = {"adopted": {}, "agents": {"ppo_m": {"all": {"algorithm": "ppo"}}}, "env": {}}
    files = [Path("pgprim/rl/algorithms/ppo", name) for name in ("__init__.py", "update.py")]
    assert hooks.extra_digests(params) == {"agents/ppo_m.txt": files}


def test_the_code_of_a_task_is_an_input(hooks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for name in ("mine/__init__.py", "mine/wrappers.py", "own.py"):
        (tmp_path / name).write_text("")
    wrappers = ["mine.wrappers:Slow", {"class": "gymnasium.wrappers:ClipAction"}]
    params = {
        "adopted": {},
        "agents": {},
        "env": {"hopper": {"id": "Hopper-v5"}, "own": {"id": "own:Own-v0", "wrappers": wrappers}},
    }
    assert hooks.extra_digests(params) == {
        "environments/hopper.txt": [],
        "environments/own.txt": [Path("mine/__init__.py"), Path("mine/wrappers.py"), Path("own.py")],
    }


OWN = {
    "mine/__init__.py": "from gymnasium import register\nregister('Own-v0', 'mine.envs:Own')\n",
    "mine/envs.py": "from .physics.forces import FORCE\nREWARD = 1\n",
    "mine/physics/__init__.py": "",
    "mine/physics/forces.py": "FORCE = 1\n",
    "mine/other.py": "OTHER = 1\n",
    "alone.py": "import helper\n",
    "helper.py": "import gymnasium\ngymnasium.register('Alone-v0', entry_point='apart:Alone')\n",
    "apart.py": "REWARD = 1\n",
    "single.py": "import gymnasium\ngymnasium.register('Single-v0', 'single:Single')\n",
    "unread.py": "NUMBER = 1\n",
    "assets/my.xml": "<mujoco/>\n",
    "assets/other.xml": "<mujoco/>\n",
    "assets/terrain.csv": "0\n",
}
"""Modules and files of a project: a package that registers a class of its submodule, two ways of single modules."""

TASKS = {
    "packaged": {"id": "mine:Own-v0"},
    "submodule": {"id": "mine.envs:Own-v0"},
    "alone": {"id": "alone:Alone-v0"},
    "single": {"id": "single:Single-v0"},
    "modelled": {
        "id": "Hopper-v5",
        "kwargs": {
            "xml_file": "./assets/my.xml",
            "frame_skip": 4,
            "camera": {"name": "track", "files": [""]},
        },
        "wrappers": [{"class": "gymnasium.wrappers:ClipAction", "terrains": ["assets/terrain.csv"]}],
    },
}


@pytest.fixture
def own_digests(hooks, tmp_path, monkeypatch):
    """A function that gives the digests of the tasks in a project with the files `OWN`."""
    root = tmp_path / "project"
    for name, text in OWN.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (tmp_path / "model.xml").write_text("<mujoco/>\n")
    (root / "pgprim").mkdir()
    monkeypatch.chdir(root)
    elsewhere = {"id": "Hopper-v5", "kwargs": {"xml_file": str(tmp_path / "model.xml")}}
    params = {"agents": {}, "adopted": {}, "env": TASKS | {"elsewhere": elsewhere}}

    def look() -> dict[str, str]:
        texts = project_digests(root, hooks, params, lambda name, key, compute: compute())
        return {Path(name).stem: text for name, text in texts.items()}

    return look


@pytest.mark.parametrize(
    ("task", "read"),
    [
        ("packaged", ["mine/__init__.py", "mine/envs.py", "mine/other.py", "mine/physics/forces.py"]),
        ("submodule", ["mine/__init__.py", "mine/envs.py", "mine/other.py", "mine/physics/forces.py"]),
        ("alone", ["alone.py", "apart.py", "helper.py"]),
        ("single", ["single.py"]),
        ("modelled", ["assets/my.xml", "assets/terrain.csv"]),
        ("elsewhere", []),
    ],
)
def test_the_whole_code_of_a_task_and_the_files_of_its_arguments_are_inputs(own_digests, task, read):
    assert [line.split()[1] for line in own_digests()[task].splitlines()] == read


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("mine/envs.py", "REWARD = 1", "REWARD = 5", {"packaged", "submodule"}),
        ("mine/physics/forces.py", "FORCE = 1", "FORCE = 2", {"packaged", "submodule"}),
        ("mine/envs.py", "REWARD = 1", "REWARD = 1  # per step", set()),
        ("apart.py", "REWARD = 1", "REWARD = 5", {"alone"}),
        ("unread.py", "NUMBER = 1", "NUMBER = 5", set()),
        ("assets/my.xml", "<mujoco/>", "<mujoco></mujoco>", {"modelled"}),
        ("assets/other.xml", "<mujoco/>", "<mujoco></mujoco>", set()),
        ("assets/terrain.csv", "0", "1", {"modelled"}),
    ],
)
def test_a_change_of_a_task_s_code_or_files_is_noticed(own_digests, file, old, new, stale):
    before, path = own_digests(), Path(file)
    path.write_text(path.read_text().replace(old, new))
    assert {task for task, text in own_digests().items() if text != before[task]} == stale


def test_a_single_module_s_digest_is_that_of_its_imports(own_digests):
    text = OWN["single.py"].encode()
    assert own_digests()["single"] == f"{hashlib.md5(meaning(text).encode()).hexdigest()}  single.py\n"


def test_a_task_s_code_that_is_no_python_is_one_sentence(own_digests):
    Path("mine/other.py").write_text("OTHER = (\n")
    with pytest.raises(UserError, match=r"other\.py, line 1: not valid Python"):
        own_digests()


def test_a_mistake_in_the_parameters_is_the_bridge_s_error_too(hooks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"params\.yaml does not exist"):
        hooks.check()


def test_default_targets_are_figures_with_datasets_metrics_claims_and_the_page(hooks):
    paths = [
        "figures/fig1.pdf",
        "figures/mine/fig1.pdf",
        "data/figures/fig1.nc",
        "data/figures/mine/fig1.nc",
        "data/metrics/hopper/ppo.json",
        "data/claims/values.json",
        "data/estimates/gradient/hopper/ppo/0/0.nc",
        "site/index.html",
    ]
    assert hooks.default_targets(paths) == [
        "data/claims/values.json",
        "data/figures/fig1.nc",
        "data/metrics/hopper/ppo.json",
        "figures/fig1.pdf",
        "site/index.html",
    ]


def test_the_report_lists_figures_by_number_with_their_titles_and_each_once(hooks, monkeypatch):
    monkeypatch.chdir(PROJECT)
    paths = ["figures/fig1.pdf", "figures/fig1.png", "site/index.html", "data/claims/values.json"]
    assert [path for path in paths if hooks.is_reported(path)] == ["figures/fig1.pdf"]
    listed = [hooks.labels(f"figures/{name}.pdf") for name in ("fig10", "slices", "fig2", "table1")]
    assert sorted(label["figure"] for label in listed) == ["Figure 02", "Figure 10", "slices", "table1"]
    assert listed[2]["title"].startswith("Mean cosine of gradient estimates")


def test_plots_do_not_depend_on_torch_code_nor_training_on_plots():
    texts = digests(PACKAGE)
    read = {name: {line.split()[1] for line in text.splitlines()} for name, text in texts.items()}
    for name in ("commands/train.txt", "commands/sample.txt", "commands/checkpoint.txt"):
        assert not any(
            path.startswith(("plotting/", "probes/")) or path == "pipeline.py" for path in read[name]
        )
    assert not any(path.startswith(("rl/", "experience/")) for path in read["commands/plot.txt"])
    assert "core/returns.py" in read["commands/train.txt"]


def test_verdicts_on_a_section_do_not_depend_on_the_code_of_others_nor_on_the_check_of_parameters():
    texts = digests(PACKAGE)
    for section in SECTIONS:
        read = {
            line.split()[1]
            for name in ("commands/claims.txt", f"report/claims/{section}.txt")
            for line in texts[name].splitlines()
        }
        modules = {f"report/claims/{name}.py" for name in SECTIONS}
        assert read & {*modules, "commands/params.py"} == {f"report/claims/{section}.py"}


def test_verdicts_and_metrics_do_not_depend_on_how_figures_are_saved():
    texts = digests(PACKAGE)
    for name in ("claims", "relate", "summarise"):
        read = {line.split()[1] for line in texts[f"commands/{name}.txt"].splitlines()}
        assert "plotting/combine.py" in read
        assert not read & {"plotting/save.py", "plotting/style.py", "commands/plot.py"}, name


def test_records_checks_and_prices_are_no_part_of_what_computes():
    """A better question, another price or a stricter check recomputes nothing."""
    texts = digests(PACKAGE)
    computing = [
        name
        for name in texts
        if name.endswith("/measure.txt") or name.removeprefix("commands/").removesuffix(".txt") in (
            "train", "checkpoint", "sample", "rerun", "probe", "vary"
        )
    ]  # fmt: skip
    assert len(computing) == 6 + len(list(PACKAGE.glob("probes/*/measure.py")))
    for name in computing:
        read = {line.split()[1] for line in texts[name].splitlines()}
        others = {
            "commands/params.py",
            "commands/cost.py",
            "types/probe.py",
            "types/study.py",
            "types/schema.py",
        }
        assert not read & others and not any(path.endswith("/record.py") for path in read), name


def test_declarations_are_of_modules_as_they_are():
    """A line whose module has changed since says nothing and must go."""
    for name, entry in declarations(PACKAGE).items():
        today = hashlib.md5(meaning((PACKAGE / name).read_bytes()).encode()).hexdigest()
        assert entry["digest"] == today, f"{name}: its declaration is of another version"
