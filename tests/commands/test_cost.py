"""What a parameter set costs: worked numbers at made-up rates, and real rates for the sets of the repository."""

import copy
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pgprim.commands.cost import Cost, costs, drawing, lacking, measure, table
from pgprim.commands.params import check
from pgprim.commands.scale import find_set, render
from pgprim.probes.steps import measure as steps
from pgprim.probes.steps import record as steps_record
from pgprim.types.params import read
from tests.checkouts import narrow

ROOT = Path(__file__).parents[2]
SCALES = ROOT / "workflow" / "scales"


def params_of(name: str) -> dict:
    return YAML(typ="safe", pure=True).load(render(find_set(name, SCALES), SCALES))


@pytest.fixture
def small() -> dict:
    lists = {"tasks": ["hopper"], "algos": ["ppo"], "seeds": [0, 1, 2], "probed_seeds": [0, 1, 2]}
    params = narrow(params_of("default"), lists | {"iterations": [0, 10]})
    params["lockstep"], params["plot"]["budget"] = 2, 1000
    params["train"] |= {"iterations": 20, "snapshot_every": 10, "pairs": 128}
    params["sample"] = {"streams": 10, "pairs": 1000, "estimates": 4, "kept": 8, "trials": 4}
    params["sample"]["deep"] = {"seeds": [0], "pairs": 2500}
    params["probes"]["rollouts"] = {
        "gradient": {"budgets": [100, 1000]},
        "steps": {"budgets": [100, 500, 1000]},
    }
    params["fit"] |= {"iterations": [10]}
    params["baselines"] |= {"budgets": [500, 1000], "pairs": 500}
    params["landscape"]["plane"]["points"] = 3
    params["landscape"] |= {
        "seeds": [0],
        "few": {
            "budgets": [100, 500],
            "trajectories": [5, 10],
            "closer": [{"task": "hopper", "seed": 0, "iterations": [0, 10], "budgets": [500, 700]}],
        },
        "many": {"pairs": 1000, "budgets": [500]},
        "slice_few": {"extent": [0.0, 3.0], "points": 3, "budgets": [200], "fresh": 2},
        "slice_many": {"extent": [0.0, 3.0], "points": 3, "pairs": 1000, "budgets": [200], "fresh": 2},
        "steps": {"steps": 4, "budgets": [200]},
    }
    params["ablation"] |= {"rates": [1.0], "seeds": [0, 1], "choose": [0], "iterations": 5, "pairs": 128}
    params["regime"] |= {"pairs": [128, 512], "total_pairs": 1024, "rates": [0.5, 1.0]}
    params["semantics"] |= {"train_iterations": 10, "train_seeds": [2]}
    params["robustness"] |= {"seeds": [0], "factors": [0.5, 1.0, 2.0], "noise": [0.0, 0.1], "episodes": 3}
    params["reliability"] |= {"multiples": [1.0, 2.0], "seeds": [0, 1], "iterations": 5}
    params["clipping"] |= {"rates": [0.5, 1.0], "seeds": [0, 1], "iterations": 5, "cost_points": 2}
    check(params)
    return params


RATES = {
    "start": {
        "train": 1,
        "checkpoint": 2,
        "sample": 3,
        "gradient": 4,
        "steps": 5,
        "plot": 6,
        "rerun": 4,
        "value": 5,
        "trust_region": 6,
        "floors": 7,
        "fit": 1,
        "baselines": 2,
        "landscape": 3,
        "robustness": 4,
    },
    "figure_bytes": 7,
    "environments": {
        "Hopper-v5": {
            "num_obs": 11,
            "ppo": {
                "train": {"pairs_per_second": 10, "bytes": 1},
                "snapshots": {"bytes": 20},
                "checkpoint": {"bytes": 20},
                "sample": {"pairs_per_second": 100, "bytes": 3},
                "gradient": {"pairs_per_second": 1000, "bytes": 4},
                "steps": {"pairs_per_second": 500, "bytes": 5},
                "rerun": {"pairs_per_second": 8, "bytes": 40},
                "value": {"pairs_per_second": 1000, "bytes": 30},
                "trust_region": {"pairs_per_second": 2000, "bytes": 30},
                "floors": {"pairs_per_second": 1000000, "bytes": 50},
                "fit": {"pairs_per_second": 10000, "bytes": 6},
                "baselines": {"pairs_per_second": 100, "bytes": 2},
                "landscape": {"pairs_per_second": 1000, "bytes": 8},
                "robustness": {"bytes": 9},
            },
        }
    },
}


def test_worked_numbers(small):
    found = {cost.kind: cost for cost in [*costs(small, RATES), drawing(30, RATES)]}
    # two processes; 3 seeds × 20 iterations × 128 pairs; a record of 1 byte per seed and iteration
    assert found["train"] == Cost("train", 2, 7680, 2 * 1 + 7680 / 10, 60.0)
    assert found["snapshots"] == Cost("snapshots", 0, 0, 0.0, 3 * 3 * 20.0)
    assert found["checkpoint"] == Cost("checkpoint", 6, 0, 6 * 2.0, 6 * 20.0)
    # 6 checkpoints × 8 streams × 1000 pairs
    assert found["sample"] == Cost("sample", 6, 48_000, 6 * 3 + 480.0, 3 * 48_000.0)
    # 2 checkpoints of the deep seed with 10 streams × 2500 pairs, all simulated, and 4 with 10 × 1000, of which 2 × 1000 are
    # simulated at the pace of sampling; two sums of 10 streams are kept
    gradient, through, simulated = found["gradient"], 50_000 + 40_000, 50_000 + 8_000
    assert (gradient.jobs, gradient.num_bytes) == (6, 6 * 20 * 4.0)
    assert gradient.pairs == pytest.approx(
        through + simulated, rel=1e-4
    )  # of a job, the mean over seeds is counted
    assert gradient.seconds == pytest.approx(6 * 4 + through / 1000 + simulated / 100, rel=1e-4)
    # 4 trials × (100 + 500 + 1000) pairs and 4 others × 1000; 4 trials × 3 budgets and a large one are kept
    assert found["steps"] == Cost("steps", 6, 62_400, 6 * 5 + 62_400 / 500, 6 * 13 * 5.0)
    # 3 seeds × 2 iterations × (twice 128 + 500 pairs, of which all are kept, and 128 for the update)
    assert found["rerun"] == Cost("rerun", 2, 8_304, 2 * 4 + 8_304 / 8, 7_536 * 40.0)
    assert found["value"] == Cost("value", 3, 7_536, 3 * 5 + 7.536, 6 * 30.0)
    assert found["trust_region"] == Cost("trust_region", 3, 7_536, 3 * 6 + 3.768, 6 * 30.0)
    # 6 checkpoints × (twice 128 pairs, and 64 states × 4 continuations of at most 500), at the pace of sampling
    assert found["floors"] == Cost("floors", 6, 769_536, 6 * 7 + 7695.36, 6 * 50.0)
    # 3 seeds at the last checkpoint; 2 epochs over 4 streams × 1000 pairs
    assert found["fit"] == Cost("fit", 3, 24_000, 3 * 1 + 2.4, 3 * 6.0)
    # 4 trials × 1000 pairs and 4 others × 500; vectors of 4 trials × 2 budgets, 4 × 4 and 4 streams × 8 λ
    assert found["baselines"] == Cost("baselines", 3, 18_000, 3 * 2 + 180.0, 3 * (88 + 16 + 32) * 2.0)
    # one checkpoint: 9 points × 500 pairs and a step by 128, the same and a step by 1000, 4 steps × (128 + 200)
    # and 9 points × 200 pairs more of this agent; slices of 5 points × 200 pairs and three batches of 128 or 1000;
    # 9 points × (2 budgets + 2 numbers of trajectories), 9 × 1, 5 × 1 twice and 4 × 1 are kept
    assert found["landscape"].seconds == pytest.approx(5 * 3 + 18.624)
    assert (found["landscape"].jobs, found["landscape"].pairs, found["landscape"].num_bytes) == (
        5,
        11_440 + 1_800 + 1_384 + 4_000,
        59 * 8.0,
    )
    # 16 cells × 5 iterations × 2 seeds × 128 pairs, at the pace of training
    assert found["ablation training"] == Cost("ablation training", 1, 20_480, 1 + 2048.0, 160.0)
    # 2 rates × (8 + 3 iterations of 128 pairs, then 2 + 2 of 512), those again whose halves are compared
    assert found["regime training"] == Cost("regime training", 2, 6_912, 2 * 1 + 691.2, 2 * (8 + 2) * 1.0)
    # one checkpoint; the task as it is, two factors of four quantities and one noise × 3 episodes of at most 1000 pairs
    assert found["robustness"] == Cost("robustness", 1, 30_000, 4 + 300.0, 10 * 9.0)
    # 2 multiples × 5 iterations × 2 seeds × 128 pairs
    assert found["reliability training"] == Cost("reliability training", 1, 2_560, 1 + 256.0, 20.0)
    # 2 versions × 3 runs × (5 iterations, of which 0, 2 and 4 are sampled twice for costs) × 2 seeds × 128 pairs
    assert found["clipping training"] == Cost("clipping training", 2, 12_288, 2 * 1 + 1228.8, 60.0)
    assert found["semantics training"] == Cost("semantics training", 1, 1_280, 1 + 128.0, 10.0)
    # one seed at 2 checkpoints; twice the estimates from 8 kept streams × 1000 pairs, and at most one vector kept of each
    assert found["semantics of gradient"] == Cost("semantics of gradient", 2, 32_000, 2 * 4 + 32.0, 2 * 4.0)
    assert found["semantics of steps"] == Cost("semantics of steps", 2, 41_600, 2 * 5 + 83.2, 2 * 5.0)
    assert found["plot"] == Cost("plot", 30, 0, 30 * 6.0, 30 * 7.0)


def test_every_figure_of_the_paper_is_among_the_plots_that_are_counted():
    pipeline = read(ROOT / "dvc.yaml")
    stages = pipeline["stages"]
    figures = {
        name
        for stage in stages.values()
        for name in re.findall(r"figures/(\w+)\.pdf", str(stage.get("outs", "")))
    }
    for group in ("figure", "comparison", "study"):
        figures |= set(stages[group]["foreach"])
    assert {f"figures/{name}.png" for name in figures} == set(pipeline["plots"])


def test_the_large_sample_of_the_steps_probe_is_as_large_as_the_probe_says():
    assert steps_record.HELD_BYTES == steps.HELD_BYTES


def test_twice_the_seeds_cost_twice_as_much(small):
    once = {cost.kind: cost for cost in costs(small, RATES)}
    small |= {"seeds": [0, 1, 2, 3, 4, 5], "probed_seeds": [0, 1, 2, 3, 4, 5], "lockstep": 3}
    small["sample"]["deep"]["seeds"] = [0, 3]
    small["landscape"]["seeds"] = [0, 5]
    small["landscape"]["few"]["closer"].append(
        {"task": "hopper", "seed": 5, "iterations": [0, 10], "budgets": [500, 700]}
    )
    small["ablation"]["seeds"] = [0, 1, 2, 3]
    small["regime"]["seeds"] = [2, 5]
    small["robustness"]["seeds"] = [0, 5]
    small["reliability"]["seeds"] = [0, 1, 2, 3]
    small["clipping"]["seeds"] = [0, 1, 2, 3]
    small["semantics"] |= {"train_seeds": [2, 5], "seeds": [2, 5]}
    twice = {cost.kind: cost for cost in costs(small, RATES)}
    for kind in once:
        for name in ("pairs", "num_bytes"):
            assert getattr(twice[kind], name) == pytest.approx(2 * getattr(once[kind], name))
    # More seeds share a process: no more processes than before.
    assert (once["train"].jobs, twice["train"].jobs) == (2, 2)
    assert twice["gradient"].seconds == pytest.approx(2 * once["gradient"].seconds)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("env", "train of ppo on Ant-v5"),
        ("algo", "sample of trpo on Hopper-v5"),
        ("probe", "landscape of ppo on Hopper-v5"),
    ],
)
def test_what_was_not_measured_is_named_and_the_rest_has_its_price(small, change, named):
    rates = copy.deepcopy(RATES)
    if change == "env":
        small["env"]["hopper"]["id"] = "Ant-v5"
    elif change == "algo":
        small["algos"] = small["probed"] = ["trpo"]
    else:
        small["semantics"]["probes"] = ["gradient"]
        rates["environments"]["Hopper-v5"]["ppo"].pop("landscape")
    found = costs(small, rates)
    assert named in lacking(found) and "no rate yet for" in lacking(found)
    assert lacking(costs(small | {"env": {"hopper": {"id": "Hopper-v5"}}}, RATES)) == "" or change == "algo"
    assert all(cost.seconds == cost.num_bytes == 0 for cost in found if cost.lacking)


def test_the_table_adds_up(small):
    found = [*costs(small, RATES), drawing(30, RATES)]
    lines = table(found).splitlines()
    assert lines[0].split() == ["stage", "jobs", "pairs", "core-hours", "bytes"]
    rows = {line.split()[0]: line for line in lines}
    assert rows["sample"].split() == ["sample", "6", "48", "k", f"{498 / 3600:.2f}", "144", "kB"]
    total = sum(cost.seconds for cost in found) / 3600
    jobs, num_bytes = sum(cost.jobs for cost in found), sum(cost.num_bytes for cost in found)
    pairs = sum(cost.pairs for cost in found)
    assert rows["all"].split() == [
        "all", f"{jobs}", f"{pairs / 1e6:.3g}", "M", f"{total:.2f}", f"{num_bytes / 1e3:.3g}", "kB"
    ]  # fmt: skip


def test_the_repository_s_sets_cost_what_they_are_meant_to():
    rates = read(ROOT / "workflow" / "rates.yaml")
    hours = {
        name: sum(cost.seconds for cost in costs(params_of(name), rates)) / 3600
        for name in ("smoke", "quick", "default", "paper")
    }
    assert hours["smoke"] < 10 / 60, "five minutes on two cores"
    assert hours["quick"] < 2.1, "an hour on two cores"
    assert hours["default"] < 45, "a day on two cores"
    assert hours["paper"] > 10 * hours["default"]
    paper = {cost.kind: cost for cost in costs(params_of("paper"), rates)}
    checkpoints = 3 * 2 * 10 * 4
    assert paper["sample"].pairs == checkpoints * 60 * 10**5
    assert paper["gradient"].pairs == checkpoints * (10**7 + 40 * 10**5), (
        "gone through, and simulated beside the kept"
    )


@pytest.mark.slow
def test_measuring_runs_the_stages_and_gives_rates_for_all_of_them(small, monkeypatch):
    monkeypatch.chdir(ROOT)
    del small["probes"]["rollouts"]["steps"]
    small["semantics"]["probes"] = ["gradient"]
    before = copy.deepcopy(small)
    rates = measure(small)
    assert small == before
    assert rates["environments"].keys() == {"Hopper-v5"}
    for cost in costs(small, rates):
        assert cost.num_bytes > 0
        assert cost.seconds > 0 or cost.kind == "snapshots"
    found = rates["environments"]["Hopper-v5"]["ppo"]
    assert 1_000 < found["sample"]["pairs_per_second"] < 10**6
    assert found["checkpoint"]["bytes"] == pytest.approx(found["snapshots"]["bytes"], rel=0.01)
