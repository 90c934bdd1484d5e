"""Claims: verdicts from intervals, and effects with known values from the model of signal and noise."""

import json
import re

import numpy as np
import pytest
import xarray as xr

from pgprim.core.intervals import Interval
from pgprim.plotting.combine import combine
from pgprim.report.claims.claim import (
    Claim,
    combined,
    judge,
    per_agent_kind,
    per_task,
    per_task_ratio,
    share_of_agents,
    summary,
    verdict,
)
from pgprim.report.claims.table import BEGIN, END, files_of, insert, read_claims, table
from pgprim.types.errors import UserError


def test_a_verdict_needs_the_whole_interval_on_one_side():
    above = {"above": 0.5}
    assert verdict(Interval(0.7, 0.6, 0.8), above) == "reproduced"
    assert verdict(Interval(0.7, 0.4, 1.0), above) == "inconclusive"
    assert verdict(Interval(0.3, 0.2, 0.4), above) == "not reproduced"
    assert verdict(Interval(0.3, 0.2, 0.4), {"below": 0.5}) == "reproduced"
    assert verdict(Interval(0.7, 0.6, 0.8), {"below": 0.5}) == "not reproduced"
    assert verdict(Interval(0.5, 0.4, 0.6), {"below": 0.5}) == "inconclusive"


def test_noise_alone_satisfies_no_rule():
    low = Interval(0.1, 0.0, 0.2)
    assert verdict(low, {"below": 0.5}, ceiling=0.9) == "reproduced"
    assert verdict(low, {"above": 0.5}, ceiling=0.9) == "not reproduced"
    for some, ceiling in ((low, 0.4), (low, np.nan), (Interval(0.3, 0.2, 0.4), 0.6)):
        assert verdict(some, {"below": 0.5}, ceiling) == "inconclusive"
        assert verdict(some, {"above": 0.5}, ceiling) == "inconclusive"
    high = Interval(0.7, 0.6, 0.8)
    assert verdict(high, {"above": 0.5}, ceiling=0.3) == "reproduced"


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


def claim(evidence) -> Claim:
    return Claim("It is so", "Sec. 1", "x", ("gradient",), {"hopper": "fig9", "": "fig1"}, evidence)


def judged(rows, rule: dict, values: xr.DataArray, **options) -> dict:
    params = {"claims": {"set": "small", "level": 0.95, "rules": {"it": rule}}}
    one = claim(lambda results, params, level: rows(results["gradient"].x, level, **options))
    return judge({"it": one}, {"gradient": values.to_dataset()}, params)["it"]


def test_a_row_per_task_is_the_mean_over_algorithms_with_an_interval_between_agents():
    found = judged(per_task, {"above": 0.4}, agents(MEANS))
    hopper, humanoid = found["rows"]
    assert (hopper["task"], hopper["algo"], hopper["agents"]) == ("hopper", "", 8)
    assert hopper["low"] < hopper["value"] < hopper["high"] < hopper["low"] + 0.05
    assert abs(hopper["value"] - 0.7) < 0.02 and abs(humanoid["value"] - 0.25) < 0.02
    assert json.loads(json.dumps(found)) == found


def test_a_ratio_of_means_is_not_biased_by_small_denominators_of_either_sign():
    """Twice as much with a denominator that falls below 0 for one agent of four: ratios per agent would say −1.5 or worse."""
    bottoms = agents({("hopper", "ppo"): 0.0}, noise=0.0) + np.array([0.4, 0.3, 0.2, -0.02])
    (row,) = per_task_ratio(2 * bottoms, bottoms, 0.95)
    assert row.effect == pytest.approx((1, 1, 1)) and row.agents == 4
    noisy = 2 * bottoms + np.array([0.05, -0.05, 0.05, -0.05])
    (row,) = per_task_ratio(noisy, bottoms, 0.95)
    assert row.effect.low < row.effect.value == pytest.approx(1) and row.effect.high > 1
    (row,) = per_task_ratio(
        -bottoms, bottoms, 0.95
    )  # a negative mean: less than any positive share of the other
    assert row.effect.value == row.effect.high == -np.inf


def test_where_the_denominator_may_be_zero_the_ratio_has_no_upper_end():
    bottoms = agents({("hopper", "ppo"): 0.0}, noise=0.0) + np.array([0.1, -0.3, 0.15, 0.0])
    tops = agents({("hopper", "ppo"): 3.0})
    (row,) = per_task_ratio(tops, bottoms, 0.95)
    assert bottoms.mean() < 0 and row.effect.value == row.effect.high == np.inf
    assert row.effect.low > 1 and verdict(row.effect, {"above": 0.0}) == "reproduced"
    assert verdict(row.effect, {"below": 10.0}) == "inconclusive"


def test_no_task_outvotes_another():
    """A mean over the tasks would be far above the bound, by Hopper alone."""
    found = judged(per_task, {"above": 0.4}, agents(MEANS))
    assert [row["verdict"] for row in found["rows"]] == ["reproduced", "not reproduced"]
    assert found["verdict"] == "mixed"
    assert found["summary"] == "reproduced on 1 of 2 tasks (Hopper); not reproduced: Humanoid"
    assert [row["figure"] for row in found["rows"]] == ["fig9", "fig1"]


def test_a_row_per_algorithm_where_the_paper_speaks_of_one():
    found = judged(per_agent_kind, {"below": 0.9}, agents(MEANS))
    assert [(row["task"], row["algo"]) for row in found["rows"]] == list(MEANS)
    assert found["verdict"] == "reproduced" and found["summary"] == "reproduced on all 4 tasks and algorithms"


def test_two_rows_are_both():
    two = dict(list(MEANS.items())[:2])
    found = judged(per_agent_kind, {"below": 0.9}, agents(two))
    assert found["summary"] == "reproduced on both tasks and algorithms"


def test_no_interval_leaves_the_range_of_its_quantity():
    wide = agents({("hopper", "ppo"): 0.9}, noise=0.2, seeds=3)
    assert judged(per_task, {"above": 0.0}, wide)["rows"][0]["high"] > 1
    assert judged(per_task, {"above": 0.0}, wide, bounds=(-1, 1))["rows"][0]["high"] == 1


def test_a_share_of_agents_has_clopper_and_pearson_s_interval():
    holds = xr.ones_like(agents({("hopper", "ppo"): 1.0}, seeds=10))
    row = judged(share_of_agents, {"above": 0.5}, holds)["rows"][0]
    assert (row["value"], row["high"], row["agents"]) == (1.0, 1.0, 10)
    assert row["low"] == pytest.approx(0.025**0.1, abs=1e-4)  # all of n: (1 − level)/2 to the power 1/n


def test_agents_that_are_not_there_have_no_row():
    lone = agents({("hopper", "ppo"): 0.5, ("humanoid", "trpo"): 0.5})
    assert len(judged(per_agent_kind, {"above": 0.4}, lone)["rows"]) == 2
    assert len(judged(share_of_agents, {"above": 0.4}, lone)["rows"]) == 2


def test_verdicts_combine_to_what_all_say_and_else_are_mixed():
    assert combined(["reproduced", "reproduced"]) == "reproduced"
    assert combined(["inconclusive", "inconclusive"]) == "inconclusive"
    assert combined(["reproduced", "inconclusive"]) == "mixed"
    assert combined([]) == "inconclusive" and summary([]) == "not measured"


def test_a_claim_without_a_rule_is_named():
    params = {"claims": {"set": "small", "level": 0.95, "rules": {"ti": {"above": 0.0}}}}
    with pytest.raises(UserError, match=r"claims\.rules has no rule for the claim it"):
        judge({"it": claim(lambda results, params, level: iter(()))}, {}, params)


def test_bars_of_an_effect_do_not_end_its_cell():
    effect = judged(per_task, {"above": 0.4}, agents(MEANS)) | {"effect": "Σ|V − R| over Σ|R|"}
    lines = table({"it": effect}).splitlines()
    assert r"Effect: Σ\|V − R\| over Σ\|R\| |" in lines[2]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {7}


def test_the_table_has_a_line_per_row_and_replaces_the_one_before():
    rows = {"it": judged(per_task, {"above": 0.4}, agents(MEANS))}
    rows["first"] = rows["it"] | {"first_rule": True, "rows": []}
    page = f"# Title\n\n{BEGIN}\n{END}\n\nrest\n"
    once = insert(page, rows)
    assert insert(once, rows) == once
    hopper, humanoid = rows["it"]["rows"]
    (line,) = [line for line in once.splitlines() if "| Hopper |" in line]
    assert f"{hopper['value']:.3g} [{hopper['low']:.3g}, {hopper['high']:.3g}], 8 agents" in line
    assert "| above 0.4 | reproduced | `figures/fig9.pdf` |" in line and "It is so (Sec. 1)" in line
    assert f"| Humanoid | {humanoid['value']:.3g} [" in once
    assert once.index("first edition's rules") > once.index("| Humanoid |")
    assert once.startswith("# Title") and once.endswith("\n\nrest\n")
    with pytest.raises(ValueError, match="has no lines"):
        insert("# Title\n", rows)


def test_claims_of_all_judged_sections_are_in_the_paper_s_order_and_those_by_first_rules_last(tmp_path):
    claim = judged(per_task, {"above": 0.4}, agents(MEANS))
    for section in ("training", "gradients"):
        both = {section: claim, f"first_rule/{section}": claim | {"first_rule": True}}
        (tmp_path / f"{section}.json").write_text(json.dumps(both))
    claims = read_claims(files_of(tmp_path))
    assert list(claims) == ["gradients", "training", "first_rule/gradients", "first_rule/training"]
    assert [each["section"] for each in claims.values()] == 2 * ["gradients", "training"]
