"""Stages that share a process: which do, by what command, and that nothing but the number of processes changes."""

import pytest
from dvcsnake.errors import UserError
from dvcsnake.pipeline import Pipeline
from dvcsnake.together import bundles, joined


def make_pipeline(together, seeds=range(7), tasks=("hopper", "walker2d")):
    template = {"cmd": "", "outs": ["data/${item.task}/${item.seed}.nc"], "matrix": {}}
    resolved = {
        f"train@{task}-{seed}": {
            "cmd": f"train --task {task} --seeds {seed}",
            "outs": [f"data/{task}/{seed}.nc"],
            "meta": {"together": together},
        }
        for task in tasks
        for seed in seeds
    }
    return Pipeline({"train": template}, resolved)


def test_so_many_that_differ_in_the_item_alone_share_a_process():
    pipeline = make_pipeline({"seed": 3})
    names = [name for name in pipeline.stages if name != "train@hopper-1"]  # up to date
    assert bundles(pipeline, names) == {
        "train@hopper-0": ["train@hopper-0", "train@hopper-2", "train@hopper-3"],
        "train@hopper-4": ["train@hopper-4", "train@hopper-5", "train@hopper-6"],
        "train@walker2d-0": ["train@walker2d-0", "train@walker2d-1", "train@walker2d-2"],
        "train@walker2d-3": ["train@walker2d-3", "train@walker2d-4", "train@walker2d-5"],
    }


def test_one_alone_needs_no_leader():
    assert bundles(make_pipeline({"seed": 3}), ["train@hopper-6"]) == {}
    assert bundles(make_pipeline({"seed": 1}), list(make_pipeline({"seed": 1}).stages)) == {}


@pytest.mark.parametrize("together", [3, {"sead": 3}, {"seed": 0}, {"seed": 2, "task": 2}])
def test_what_is_no_item_with_a_number_is_named(together):
    with pytest.raises(UserError, match=r"stage train: meta.together is .*, but must be one of task, seed"):
        bundles(make_pipeline(together), ["train@hopper-0"])


def test_the_words_that_differ_are_joined():
    assert joined(["train --task hopper --seeds 0"]) == "train --task hopper --seeds 0"
    assert joined([f"train --task hopper --seeds {seed} --out data" for seed in (0, 2, 11)]) == (
        "train --task hopper --seeds 0-2-11 --out data"
    )


def test_commands_that_differ_in_more_are_refused():
    with pytest.raises(UserError, match="differ in more than one word"):
        joined([f"train --seeds {seed} --out data/{seed}" for seed in (0, 1)])
