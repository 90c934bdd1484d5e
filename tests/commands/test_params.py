"""A valid parameter file is read as it stands; each mistake ends in one sentence that names file, key and value."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgprim.commands.params import check, load, schema
from pgprim.report.claims.claims import CLAIMS
from pgprim.report.claims.first import FIRST_CLAIMS
from pgprim.report.claims.names import FIRST_NAMES, NAMES
from pgprim.types.errors import UserError
from pgprim.types.params import read
from pgprim.types.probe import probe_names, probes
from pgprim.types.study import studies

ROOT = Path(__file__).parents[2]
DEFAULT = read(ROOT / "workflow" / "scales" / "default.yaml")
MISSING = object()


def edited(key: str, value: Any) -> dict[str, Any]:
    params = copy.deepcopy(DEFAULT)
    *parents, last = key.split(".")
    block = params
    for parent in parents:
        block = block[parent]
    if value is MISSING:
        del block[last]
    else:
        block[last] = value
    return params


def complaint(params: Any) -> str:
    with pytest.raises(UserError) as caught:
        check(params, "params.yaml")
    return str(caught.value)


def test_the_repository_s_file_is_valid_and_read_as_it_stands():
    params = load(ROOT / "params.yaml")
    assert params["train"]["adam_eps"] == 1e-5
    assert params["agents"]["trpo"]["hopper"] == {"delta": 0.13, "value_lr": 2e-4}
    assert params["agents"]["ppo"]["hopper"]["value_clip"] is None


@pytest.mark.parametrize("text", ["1e-5", "1.0e-5", "0.00001", "1E-5"])
def test_a_number_may_be_written_in_any_usual_way(tmp_path, text):
    file = tmp_path / "params.yaml"
    whole = (ROOT / "params.yaml").read_text()
    assert "adam_eps: 1.0e-5" in whole
    file.write_text(whole.replace("adam_eps: 1.0e-5", f"adam_eps: {text}"))
    assert load(file)["train"]["adam_eps"] == 1e-5


ADOPTED = {"file": "mine.zip", "task": "hopper", "algorithm": "ppo"}


def test_an_adopted_agent_is_probed_on_its_task_and_with_its_seed_only():
    params = edited("adopted", {"mine": ADOPTED})
    params["probed"] = ["ppo", "trpo", "mine"]
    lines = complaint(params).splitlines()
    assert [line.split(" is ")[0] for line in lines] == ["params.yaml: tasks", "params.yaml: probed_seeds"]
    assert all("probed names mine" in line for line in lines)


MISTAKES = [
    # key and value, and what would be right, in words that stand in no other message
    ("train.gama", 0.9, ["train.gama", "0.9", "did you mean train.gamma?"]),
    ("trian", {}, ["trian", "did you mean train?"]),
    ("agents.trpo.all.eps", 0.2, ["agents.trpo.all.eps", "0.2", "did you mean"]),
    ("agents.sac", {}, ["agents.sac.all is missing"]),
    ("agents.sac", {"all": {}}, ["agents.sac.all.algorithm is missing", "one of ppo, trpo"]),
    ("agents.ppo.all.algorithm", "sac", ['agents.ppo.all.algorithm is "sac"', "one of ppo, trpo"]),
    ("env.hopper", {"id": "Hopper-v5", "seed": 1}, ["env.hopper.seed", "known there: clip_actions, id"]),
    (
        "env.hopper",
        {"id": "Hopper-v5", "wrappers": [{"n": 4}]},
        ["env.hopper.wrappers[0].class is missing"],
    ),
    ("env.hopper", {"id": "Hopper-v5", "clip_actions": 1}, ["clip_actions is 1", "true or false"]),
    ("env.all", {"id": "Hopper-v5"}, ['"all"', "reserved"]),
    ("env", {1: {"id": "Hopper-v5"}}, ["env has the key 1", "text"]),
    ("env.two\nlines", float("inf"), ['env."two\\nlines" is inf']),
    ("env.hopper.id", 5, ["env.hopper.id is 5", "Gymnasium"]),
    ("train.gamma", MISSING, ["train.gamma is missing", "between 0 and 1"]),
    ("sample.trials", MISSING, ["sample.trials is missing", "at least 4"]),
    ("sample.deep", {"seed": [0], "pairs": 10}, ["did you mean sample.deep.seeds?"]),
    ("sample.kept", 51, ["sample.kept is 51", "at most sample.streams (50)"]),
    ("sample.trials", 38, ["sample.trials is 38", "leave at least 3 of sample.kept (40)"]),
    ("sample.deep.pairs", 1000, ["sample.deep.pairs is 1000", "at least sample.pairs (10000)"]),
    ("probes.rollouts.gradient.budgets", [2048, 2000000], ["ends with 2000000", "not exceed 1000000"]),
    ("probes.rollouts.gradient.budgets", [2048, 250001], ["budgets[1] is 250001", "multiple", "100000"]),
    ("plot", MISSING, ["plot is missing", "budget, level, seeds and published"]),
    ("train", None, ["train is null", "mapping"]),
    ("train.gamma", 1.5, ["train.gamma is 1.5", "between 0 and 1"]),
    ("train.gamma", "0.9", ['train.gamma is "0.9"', "a number"]),
    ("train.gamma", float("nan"), ["train.gamma is nan", "finite"]),
    ("train.adam_eps", float("inf"), ["train.adam_eps is inf", "finite"]),
    ("train.adam_eps", 0, ["train.adam_eps is 0", "above 0"]),
    ("train.pairs", 2048.0, ["train.pairs is 2048.0", "in digits"]),
    ("train.pairs", True, ["train.pairs is true", "whole number"]),
    ("train.hidden", [64, 0], ["train.hidden[1] is 0", "at least 1"]),
    ("train.semantics", "papr", ['train.semantics is "papr"', "exact or paper"]),
    ("agents.ppo.all.anneal", 1, ["agents.ppo.all.anneal is 1", "true or false"]),
    ("agents.ppo.all.rew_clip", -1, ["agents.ppo.all.rew_clip is -1", "null for no clipping"]),
    ("agents.ppo.all.init", "zeros", ['agents.ppo.all.init is "zeros"', "orthogonal or xavier"]),
    ("agents.trpo.all.fisher_fraction", 0, ["fisher_fraction is 0", "at most 1"]),
    ("agents.trpo.humanoid.delta", -0.07, ["agents.trpo.humanoid.delta is -0.07", "above 0"]),
    ("seeds", [], ["seeds is []", "at least one"]),
    ("seeds", [0, 0], ["seeds is [0, 0]", "different"]),
    ("seeds", [-1], ["seeds[0] is -1", "between 0 and 2147483647"]),
    ("seeds", [2**31], ["seeds[0] is 2147483648", "between 0 and 2147483647"]),
    ("lockstep", 0, ["lockstep is 0", "at least 1"]),
    ("plot.level", 95, ["plot.level is 95", "below 1"]),
    ("probes.rollouts.gradient.budgets", [], ["probes.rollouts.gradient.budgets is []", "such as"]),
    ("probes.rollouts.gradient.level", 0.9, ["level", "known there: budgets"]),
    ("probes.rollouts", {}, ["probes.rollouts is {}", "at least one of the probes gradient, steps"]),
    ("claims.rules.agreement_is_por", {"below": 0.5}, ["did you mean claims.rules.agreement_is_poor?"]),
    ("claims.rules.choices_matter", MISSING, ["claims.rules.choices_matter is missing", "one bound"]),
    # what one key demands of another
    ("tasks", ["ant"], ['tasks names "ant"', "env.ant is missing"]),
    ("agents.ppo.hopper", MISSING, ['tasks names "hopper"', "agents.ppo.hopper is missing"]),
    (
        "agents.ppo.hopper",
        {},
        ["value_lr is missing for ppo on hopper", "agents.ppo.all or agents.ppo.hopper"],
    ),
    ("agents.ppo.all", MISSING, ["agents.ppo.all is missing"]),
    ("agents.ppo.hoper", {}, ["agents.ppo.hoper is given", "its tasks are hopper"]),
    ("algos", ["ppo_x"], ['algos names "ppo_x"', "agents.ppo_x is missing"]),
    ("rerun.every", 15, ["rerun.every is 15", "multiple of train.snapshot_every (10)"]),
    ("rerun.every", 0, ["rerun.every is 0", "at least 1"]),
    ("rerun.beyond", 458, ["rerun.beyond is 458", "at least 459"]),
    ("probes.checkpoints.floors.beyond", 100, ["floors.beyond is 100", "at least 459"]),
    ("probes.checkpoints.floors.branches", 2, ["floors.branches is 2", "at least 3"]),
    ("probes.checkpoints.floors.states", 1, ["floors.states is 1", "at least 2"]),
    ("train.anneal_over", 499, ["train.anneal_over is 499", "at least train.iterations (500)"]),
    ("train.gamma", 1.0, ["train.gamma is 1", "below 1"]),
    ("probes.reruns.velue", {}, ["probes.reruns.velue", "did you mean probes.reruns.value?"]),
    ("probes.reruns", {}, ["probes.reruns is {}", "at least one"]),
    ("plot.budget", 2000, ["plot.budget is 2000", "one of probes.rollouts.gradient.budgets"]),
    ("baselines.tasks", ["ant"], ["baselines.tasks[0]", "one of tasks"]),
    ("baselines.iterations", [150, 151], ["baselines.iterations[1] is 151", "one of iterations"]),
    ("baselines.budgets", [2000, 1000], ["baselines.budgets is [2000, 1000]", "rise"]),
    ("baselines.budgets", [1000, 20000], ["20000", "not exceed sample.pairs (10000)"]),
    ("baselines.pairs", 10001, ["baselines.pairs is 10001", "not exceed sample.pairs (10000)"]),
    ("baselines.lambdas", [0.0, 0.9], ["baselines.lambdas is [0.0, 0.9]", "end with 1"]),
    ("baselines.lambdas", [1.0, 1.5], ["baselines.lambdas[1] is 1.5", "between 0 and 1"]),
    ("fit.beyond", 10000, ["fit.beyond is 10000", "less than sample.pairs"]),
    ("fit.held_out", 1.0, ["fit.held_out is 1.0", "below 1"]),
    ("fit.iterations", [150], ["baselines.iterations[1] is 300", "one of fit.iterations, [150]"]),
    ("ablation.tasks", ["ant"], ["ablation.tasks[0]", "env and of agents.ppo"]),
    ("ablation.choose", [0, 7], ["ablation.choose is [0, 7]", "[0, 1, 2, 3, 4]"]),
    ("ablation.choose", [0, 1, 2, 3, 4], ["some and not all"]),
    ("ablation.seeds", [0, 1, 1], ["ablation.seeds is [0, 1, 1]", "different"]),
    ("ablation.switches.anneal", [True], ["ablation.switches.anneal is [true]", "off and on"]),
    ("ablation.switches.eps", [0.1, 0.2], ["ablation.switches.eps", "known there: anneal"]),
    ("ablation.pairs", 32, ["ablation.pairs is 32", "at least 64"]),
    ("regime.pairs", [20000, 2048], ["regime.pairs is [20000, 2048]", "rise"]),
    ("regime.rates", [1.0, 0.3], ["regime.rates is [1.0, 0.3]", "rise"]),
    ("regime.total_pairs", 50000, ["regime.total_pairs is 50000", "(100000)"]),
    ("regime.final", 0, ["regime.final is 0", "at most 1"]),
    ("reliability.multiples", [0.5, 2.0], ["reliability.multiples is [0.5, 2.0]", "must hold 1"]),
    ("reliability.algos", ["sac"], ["reliability.tasks[0]", "agents.sac"]),
    ("clipping.rates", [0.6, 2.0], ["clipping.rates is [0.6, 2.0]", "must hold 1"]),
    ("clipping.versions", ["5"], ['clipping.versions[0] is "5"', "such as v5"]),
    ("clipping.tasks", ["ant"], ["clipping.tasks[0]", "env and of agents.ppo"]),
    (
        "env.humanoid.id",
        "mine:Humanoid",
        ["clipping.tasks names humanoid, but env.humanoid.id is mine:Humanoid", "such as -v5"],
    ),
    ("robustness.factors", [0.7, 1.4], ["robustness.factors is [0.7, 1.4]", "must hold 1"]),
    ("robustness.noise", [0.1, 0.2], ["robustness.noise is [0.1, 0.2]", "must hold 0"]),
    ("robustness.iterations", [10], ["robustness.iterations[0] is 10", "one of iterations"]),
    ("semantics.algos", ["ppo_x"], ["semantics.tasks[0]", "env and of agents.ppo_x"]),
    ("semantics.algos", ["ppo_m"], ["semantics.algos[0]", "one of probed"]),
    ("semantics.seeds", [0, 7], ["semantics.seeds[1] is 7", "one of probed_seeds"]),
    ("probed", ["ppo", "ppo_x"], ["probed[1]", "ppo_x", "one of algos"]),
    ("semantics.probes", ["training"], ['semantics.probes[0] is "training"', "keeps vectors"]),
    ("adopted", MISSING, ["adopted is missing"]),
    (
        "adopted",
        {"mine": {"task": "hopper", "algorithm": "ppo"}},
        ["adopted.mine.file is missing", "path"],
    ),
    (
        "adopted",
        {"mine": ADOPTED | {"algorithm": "sac"}},
        ['adopted.mine.algorithm is "sac"', "ppo, trpo"],
    ),
    ("adopted", {"mine": ADOPTED | {"activation": "sin"}}, ['adopted.mine.activation is "sin"', "gelu"]),
    ("adopted", {"mine": ADOPTED | {"task": "ant"}}, ['adopted.mine.task is "ant"', "hopper"]),
    ("adopted", {"mine": ADOPTED | {"settings": {"gamma": 2}}}, ["adopted.mine.settings.gamma is 2"]),
    ("adopted", {"ppo": ADOPTED}, ["adopted.ppo is given", "agents.ppo is, too"]),
    ("iterations", [0, 155], ["iterations[1] is 155", "multiple of train.snapshot_every (10)"]),
    ("iterations", [0, 510], ["iterations[1] is 510", "at most train.iterations (500)"]),
    ("train.minibatches", 33, ["train.minibatches is 33", "divide train.pairs (2048)"]),
    ("train.minibatches", 2048, ["train.minibatches is 2048", "at least 2"]),
    (
        "probes.rollouts.gradient.budgets",
        [200, 100],
        ["probes.rollouts.gradient.budgets is [200, 100]", "rise"],
    ),
    (
        "probes.rollouts.steps.budgets",
        [32],
        ["probes.rollouts.steps.budgets starts with 32", "at least 64"],
    ),
    (
        "probes.rollouts.gradeint",
        {},
        ["probes.rollouts.gradeint", "did you mean probes.rollouts.gradient?"],
    ),
]


@pytest.mark.parametrize(("key", "value", "parts"), MISTAKES)
def test_a_mistake_ends_in_one_sentence(key, value, parts):
    lines = complaint(edited(key, value)).splitlines()
    assert all(line.startswith("params.yaml: ") for line in lines)
    assert any(all(part in line for part in parts) for line in lines), lines


def test_all_complaints_come_at_once():
    params = edited("train.gamma", 1.5)
    params["seeds"], params["fit"]["beyond"], params["plot"]["budget"] = [0, 0], 10**6, 3
    params["claims"]["rules"]["choice_matters"] = {"above": 0}
    message = complaint(params)
    for key in ("train.gamma", "seeds is", "fit.beyond", "plot.budget", "claims.rules.choice_matters"):
        assert key in message


OTHERS = {"lockstep": 0, "plot.published": {1: {}}, "probes.reruns.velue": {}, "regime.final": float("nan")}
"""Mistakes of every kind: out of range, a key that is no text, an unknown key, a number that is not finite."""


@pytest.mark.parametrize(("key", "value", "parts"), MISTAKES)
def test_other_mistakes_hide_none(key, value, parts):
    """But for what hangs on them: a mistake in the very block is left out here."""
    params = edited(key, value)
    others = {other: wrong for other, wrong in OTHERS.items() if other.split(".")[0] != key.split(".")[0]}
    for other, wrong in others.items():
        *parents, last = other.split(".")
        block = params
        for parent in parents:
            block = block[parent]
        block[last] = wrong
    lines = complaint(params).splitlines()
    assert any(all(part in line for part in parts) for line in lines), lines
    for other in others:
        assert sum(f" {other}" in line for line in lines) == 1


def test_a_typo_is_told_once():
    params = edited("train.gama", 0.99)
    del params["train"]["gamma"]
    assert complaint(params).splitlines() == [
        "params.yaml: train.gama (given as 0.99) is not a known key; did you mean train.gamma?"
    ]


def test_the_names_of_claims_are_those_of_the_claims():
    assert sorted(NAMES) == sorted(CLAIMS)
    assert sorted(FIRST_NAMES) == sorted(name for claims in FIRST_CLAIMS.values() for name in claims)


def test_the_check_and_all_records_load_without_torch():
    code = "import sys; from pgprim.commands.params import schema; schema(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_every_probe_and_study_is_in_the_schema():
    assert probe_names() == [one.name for one in probes()]
    properties = schema()["properties"]
    for one in probes():
        block = schema()
        for part in one.key.split("."):
            block = block["properties"][part]
        assert set(one.settings) | set(one.grid) <= set(block["properties"])
        assert one.question.endswith("?")
    for study in studies():
        assert set(study.settings) <= set(properties[study.name]["properties"])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a: [", ["line 1", "not valid YAML"]),
        ("\ta: 1", ["line 1", "not valid YAML"]),
        ("a: 1\na: 2", ["line 2", 'duplicate key "a"']),
        ("a: !!python/object:os.system 1", ["line 1", "not valid YAML"]),
        ("a: 2001-99-99", ["not valid YAML"]),
        ("a: &x [*x]", ["refers to itself"]),
        ("", ["the whole file is null", "mapping"]),
        ("- hopper", ["the whole file is", "mapping"]),
    ],
)
def test_a_file_that_is_no_parameter_file_ends_in_one_sentence(tmp_path, text, parts):
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        load(file)
    message = str(caught.value)
    assert message.startswith(str(file))
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_file_that_is_not_there_or_no_text_ends_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml does not exist; .*scale default"):
        load(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(UserError, match="UTF-8"):
        load(tmp_path / "latin.yaml")


BLOCKS = {
    "train": DEFAULT["train"],
    "sample": DEFAULT["sample"],
    "plot": DEFAULT["plot"],
    "rerun": DEFAULT["rerun"],
    "probes.checkpoints.floors": DEFAULT["probes"]["checkpoints"]["floors"],
    "fit": DEFAULT["fit"],
    "ablation": [key for key in DEFAULT["ablation"] if key != "switches"],
    "ablation.switches": DEFAULT["ablation"]["switches"],
    "regime": DEFAULT["regime"],
    "robustness": DEFAULT["robustness"],
    "reliability": DEFAULT["reliability"],
    "clipping": DEFAULT["clipping"],
    "semantics": DEFAULT["semantics"],
    **{f"agents.{algo}.all": agent["all"] for algo, agent in DEFAULT["agents"].items()},
    **{f"agents.{algo}.hopper": agent["hopper"] for algo, agent in DEFAULT["agents"].items()},
}
LEAVES = [(block, key) for block, values in BLOCKS.items() for key in values]


@pytest.mark.parametrize(("block", "key"), LEAVES)
def test_no_setting_takes_what_it_cannot_mean(block, key):
    for value in ({"a": 1}, "nonsense", [[]], -1e9):
        message = complaint(edited(f"{block}.{key}", value))
        assert f"{block}.{key}" in message and "must be" in message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(DEFAULT)), json_values)
def test_whatever_a_file_says_the_check_answers_with_a_sentence_or_not_at_all(key, value):
    try:
        check({**DEFAULT, key: value})
    except UserError as error:
        assert all(line.startswith("params.yaml: ") for line in str(error).splitlines())
    else:
        jsonschema.validate({**DEFAULT, key: value}, schema())
