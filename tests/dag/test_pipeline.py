"""dvc.yaml as Snakemake sees it: patterns, wildcards, order; and what its stages may cost."""

import pytest
import yaml

from pgprim.dag import dvcapi, traces
from pgprim.dag.pipeline import Output, Pipeline, Stage, is_folder
from pgprim.dag.prices import price
from pgprim.types.errors import UserError
from tests.dag.checkouts import PROJECT

DEFINITIONS = {
    "make": {
        "matrix": {},
        "outs": ["data/made/${item.task}/${item.seed}.zarr", {"logs/${item.task}.txt": {"cache": False}}],
    },
    "draw": {"foreach": {}, "do": {"outs": ["figures/${key}.pdf"]}},
}
RESOLVED = {
    "draw@one": {"cmd": "draw", "deps": ["data/made", "code.py"], "outs": ["figures/one.pdf"]},
    **{
        f"make@{task}-{seed}": {
            "cmd": "make", "params": ["b", "a", "b"],
            "outs": [f"data/made/{task}/{seed}.zarr", {f"logs/{task}{seed}.txt": {"cache": False}}],
        }
        for task in ("walk", "hop")
        for seed in (0, 10)
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(DEFINITIONS, RESOLVED)


def test_patterns_turn_items_into_wildcards(pipeline):
    assert pipeline.patterns("make") == ["data/made/{task}/{seed}.zarr", "logs/{task}.txt"]
    assert pipeline.patterns("draw") == ["figures/{key}.pdf"]


def test_wildcards_have_the_values_that_occur(pipeline):
    assert pipeline.wildcard_values("make") == {"task": ["hop", "walk"], "seed": ["0", "10"]}
    assert pipeline.wildcard_values("draw") == {"key": ["one"]}


def test_a_folder_is_made_of_what_is_made_below_it(pipeline):
    assert pipeline.made_of("data/made/hop") == ["data/made/hop/0.zarr", "data/made/hop/10.zarr"]
    assert len(pipeline.made_of("data/made")) == 4
    assert pipeline.made_of("data/made/hop/0.zarr") == ["data/made/hop/0.zarr"]
    assert pipeline.made_of("code.py") == []
    assert pipeline.made_of("data/made/ho") == []


def test_stages_come_after_what_they_read(pipeline):
    assert pipeline.order[-1] == "draw@one"
    assert sorted(pipeline.order) == sorted(RESOLVED)
    assert pipeline.upstream(pipeline.stages["draw@one"]) == sorted(set(RESOLVED) - {"draw@one"})


def test_a_stage_is_sorted_and_knows_what_is_shared(pipeline):
    stage = pipeline.stages["make@hop-0"]
    assert stage.params == ("a", "b")
    assert stage.group == "make"
    assert stage.out("logs/hop0.txt") == Output("logs/hop0.txt", is_shared=False)
    assert not stage.out("logs/hop0.txt").is_linked, "only folders are linked"


@pytest.mark.parametrize(
    ("path", "folder"), [("a/b", True), ("a/b.zarr", True), ("a/b.nc", False), ("a/1.5.pdf", False)]
)
def test_folders_are_told_by_their_names(path, folder):
    assert is_folder(path) == folder


def test_parameters_that_are_missing_are_named():
    stage = Stage("train@hopper", "train", (), ("train.gamma",), (Output("out"),))
    with pytest.raises(UserError, match=r"lacks the key train\.gamma, which stage train@hopper reads"):
        traces.question(stage, {"train": {}}, {})
    assert traces.question(stage, {"train": {"gamma": 1}}, {})["params"] == {
        "params.yaml": {"train.gamma": 1}
    }


def test_the_order_of_what_is_written_does_not_change_a_key():
    one = traces.question(
        Stage("s", "c", ("a", "b"), (), (Output("o"),)), {}, {"a": {"md5": "1"}, "b": {"md5": "2"}}
    )
    assert dvcapi.Repository.key(one) == dvcapi.Repository.key(dict(reversed(one.items())))


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.5,
        1e-05,
        4.5e-4,
        -0.0,
        True,
        None,
        "1",
        "1e5",
        "012",
        "0-1-2",
        "true",
        "yes",
        "null",
        "~",
        "",
        "a: b",
        "é",
        "1_000",
    ],
)
def test_records_come_back_as_they_were_written_and_as_dvc_reads_them(tmp_path, value):
    path = tmp_path / "x.yaml"
    dvcapi._write_yaml(path, {"key": value, "list": [value]})
    ours, dvcs = yaml.load(path.read_text(), dvcapi._Loader), dvcapi.load_yaml(str(path))
    assert ours == dvcs == {"key": value, "list": [value]}
    assert type(ours["key"]) is type(dvcs["key"]) is type(value)


def stages(group: str, path: str, count: int) -> list[Stage]:
    return [Stage(f"{group}@{k}", "", (), (), (Output(path.format(k)),)) for k in range(count)]


def test_prices_add_up_and_follow_the_work(monkeypatch):
    monkeypatch.chdir(PROJECT)
    one = stages("sample", "data/rollouts/humanoid/ppo/{}/0.zarr", 1)
    assert price(one).startswith(", at most about ")
    minutes = [
        float(price(stages("train", "data/training/humanoid/ppo/{}", n)).split()[-2]) for n in (10, 20)
    ]
    assert minutes[1] == pytest.approx(2 * minutes[0], rel=0.05)
    for group, path in (
        ("train", "data/training/hopper/ppo_m/{}"),  # trained, but not probed
        ("ablation", "data/variants/ablation/hopper/{}/0-1-2-3-4.zarr"),
        ("regime", "data/variants/regime/hopper/{}/0-1-2.zarr"),
        ("semantics_training", "data/semantics/training/walker2d/ppo/{}.zarr"),
        ("semantics", "data/semantics/gradient/humanoid/ppo/0/{}.nc"),
    ):
        assert price(stages(group, path, 3)).startswith(", at most about ")
    assert price(stages("figure", "figures/fig{}.pdf", 1)) == ", at most about 1 core-minute"


def test_no_rate_no_price(monkeypatch):
    monkeypatch.chdir(PROJECT)
    assert price(stages("estimate", "data/estimates/unheard/humanoid/ppo/{}/0.nc", 1)) == ""
    assert price(stages("sample", "data/rollouts/swimmer/ppo/{}/0.zarr", 1)) == ""
