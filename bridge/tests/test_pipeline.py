"""dvc.yaml as Snakemake sees it: patterns, wildcards, order; and what its stages may cost."""

import pytest
from dvc.utils.serialize import load_yaml
from dvcsnake import run_cache
from dvcsnake.dvc_api.entries import parse, write_entry
from dvcsnake.dvc_api.runs import Runs
from dvcsnake.errors import UserError
from dvcsnake.hooks import Hooks, price
from dvcsnake.pipeline import Output, Pipeline, Stage, is_folder

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
    stage = Stage("simulate@oslo", "simulate", (), ("simulate.drift",), (Output("out"),))
    with pytest.raises(UserError, match=r"lacks the key simulate\.drift, which stage simulate@oslo reads"):
        run_cache.question(stage, {"simulate": {}}, {})
    assert run_cache.question(stage, {"simulate": {"drift": 1}}, {})["params"] == {
        "params.yaml": {"simulate.drift": 1}
    }


def test_the_order_of_what_is_written_does_not_change_a_key():
    one = run_cache.question(
        Stage("s", "c", ("a", "b"), (), (Output("o"),)), {}, {"a": {"md5": "1"}, "b": {"md5": "2"}}
    )
    assert Runs.key(one) == Runs.key(dict(reversed(one.items())))


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
    write_entry(path, {"key": value, "list": [value]})
    ours, dvcs = parse(path.read_text()), load_yaml(str(path))
    assert ours == dvcs == {"key": value, "list": [value]}
    assert type(ours["key"]) is type(dvcs["key"]) is type(value)


def stages(group: str, count: int) -> list[Stage]:
    return [Stage(f"{group}@{k}", "", (), (), (Output(str(k)),)) for k in range(count)]


PRICED = Hooks(seconds=lambda stages: [{"walk": 90.0, "run": 9000.0}.get(stage.group) for stage in stages])


def test_prices_add_up_in_readable_units():
    assert price(PRICED, stages("walk", 1)) == ", at most about 2 core-minutes"
    assert price(PRICED, stages("run", 2)) == ", at most about 5.0 core-hours"
    assert price(PRICED, stages("walk", 20) + stages("run", 1)) == ", at most about 3.0 core-hours"


def test_what_has_no_rate_is_named_beside_the_price_of_the_rest():
    some = stages("walk", 1) + stages("fly", 2) + stages("run", 2) + stages("swim", 1)
    assert price(PRICED, some) == (
        ", at most about 5.0 core-hours without 2 fly, 1 swim, for which there is no rate yet"
    )
    assert price(PRICED, stages("fly", 2)) == ", for none of which there is a rate yet"
    assert price(Hooks(), stages("walk", 1)) == price(PRICED, []) == ""
