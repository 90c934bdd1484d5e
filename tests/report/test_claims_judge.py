"""Claims: verdicts from intervals, and effects with known values from the model of signal and noise."""

import json

import numpy as np
import pytest
import xarray as xr

from pgprim.core.intervals import Interval
from pgprim.plotting.combine import combine
from pgprim.report.claims.judge import Claim, difference, judge, kinds, verdict
from pgprim.report.claims.table import BEGIN, END, insert
from pgprim.types.errors import UserError


def test_a_verdict_needs_the_whole_interval_on_one_side():
    above = {"above": 0.5}
    assert verdict(Interval(0.7, 0.6, 0.8), above) == "reproduced"
    assert verdict(Interval(0.7, 0.4, 1.0), above) == "inconclusive"
    assert verdict(Interval(0.3, 0.2, 0.4), above) == "not reproduced"
    assert verdict(Interval(0.3, 0.2, 0.4), {"below": 0.5}) == "reproduced"
    assert verdict(Interval(0.7, 0.6, 0.8), {"below": 0.5}) == "not reproduced"
    assert verdict(Interval(0.5, 0.4, 0.6), {"below": 0.5}) == "inconclusive"


@pytest.mark.parametrize("rule", [{"above": 0.0}, {"below": 0.0}])
def test_without_an_interval_nothing_is_concluded(rule):
    assert verdict(Interval(3.0, np.nan, np.nan), rule) == "inconclusive"
    assert verdict(Interval(np.nan, np.nan, np.nan), rule) == "inconclusive"


def agents(means: dict[tuple[str, str], float], noise: float = 0.01, seeds: int = 4) -> xr.DataArray:
    """Values over (task, algo, seed) around a mean of each kind."""
    rng = np.random.default_rng(3)
    parts = {
        f"{task} {algo}": xr.Dataset(
            {"x": (("task", "algo", "seed"), mean + noise * rng.standard_normal((1, 1, seeds)))},
            {"task": [task], "algo": [algo], "seed": range(seeds)},
        )
        for (task, algo), mean in means.items()
    }
    return combine(parts).x


MEANS = {("hopper", "ppo"): 0.8, ("hopper", "trpo"): 0.6, ("humanoid", "ppo"): 0.3, ("humanoid", "trpo"): 0.2}


def claim(strata) -> Claim:
    return Claim("It is so", "Sec. 1", "x", "1", "gradient", "fig1", strata)


def row(strata, rule: dict, values: xr.DataArray) -> dict:
    params = {"claims": {"set": "small", "level": 0.95, "rules": {"it": rule}}}
    return judge({"it": claim(strata)}, {"gradient": values.to_dataset()}, params)["it"]


def test_an_effect_is_the_mean_over_kinds_with_an_interval_between_agents():
    found = row(lambda ds, params: kinds(ds.x), {"above": 0.4}, agents(MEANS))
    assert found["low"] < found["value"] < found["high"]
    assert abs(found["value"] - 0.475) < 0.02 and found["high"] - found["low"] < 0.05
    assert found["verdict"] == "reproduced" and found["agents"] == 16
    assert json.loads(json.dumps(found)) == found


def test_a_difference_between_tasks_is_the_mean_over_algorithms_of_their_differences():
    found = row(
        lambda ds, params: difference(ds.x, "task", "humanoid", "hopper"), {"below": 0.0}, agents(MEANS)
    )
    assert abs(found["value"] - (-0.45)) < 0.03
    assert found["verdict"] == "reproduced"


def test_a_difference_needs_both_and_is_unknown_without():
    only = agents({key: mean for key, mean in MEANS.items() if key[0] == "hopper"})
    found = row(lambda ds, params: difference(ds.x, "task", "humanoid", "hopper"), {"below": 0.0}, only)
    assert found["value"] is None and found["agents"] == 0 and found["verdict"] == "inconclusive"


def test_a_rule_without_a_claim_is_named():
    params = {
        "claims": {"set": "small", "level": 0.95, "rules": {"it": {"above": 0.0}, "ti": {"above": 0.0}}}
    }
    with pytest.raises(UserError, match=r"claims\.rules must have exactly the claims it; look at ti"):
        judge({"it": claim(lambda ds, params: kinds(ds.x))}, {"gradient": agents(MEANS).to_dataset()}, params)


def test_the_table_has_a_line_per_claim_and_replaces_the_one_before():
    rows = {"it": row(lambda ds, params: kinds(ds.x), {"above": 0.4}, agents(MEANS))}
    page = f"# Title\n\n{BEGIN}\n{END}\n\nrest\n"
    once = insert(page, rows)
    assert insert(once, rows) == once
    (line,) = [line for line in once.splitlines() if "It is so" in line]
    assert f"{rows['it']['value']:.3g} [" in line
    assert "| small, 16 agents | above 0.4 | reproduced | `figures/fig1.pdf`" in line
    assert once.startswith("# Title") and once.endswith("\n\nrest\n")
    with pytest.raises(ValueError, match="has no lines"):
        insert("# Title\n", rows)
