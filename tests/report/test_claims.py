"""The claims' effects, on results whose effects are known."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from pgprim.commands.params import load
from pgprim.report.claims import training
from pgprim.report.claims.claim import judge
from pgprim.report.claims.claims import CLAIMS
from pgprim.report.claims.first import FIRST_CLAIMS
from pgprim.report.claims.table import SECTIONS
from tests.checkouts import PROJECT

PARAMS = load(PROJECT / "workflow/scales/default.yaml")
TASKS, ALGOS, ITERATIONS = ["hopper", "humanoid"], ["ppo", "ppo_m", "trpo"], [0, 150, 300]


def effect(name: str, **results: xr.Dataset) -> dict:
    """A claim's rows by task and algorithm."""
    rows = judge({name: CLAIMS[name]}, results, PARAMS)[name]["rows"]
    return {" ".join(filter(None, (row["task"], row["algo"]))): row for row in rows}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_s_stage_has_the_results_and_the_rules_of_its_claims_alone(section):
    stage = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"][f"claims_{section}"]
    claims, first = import_module(f"pgprim.report.claims.{section}").CLAIMS, FIRST_CLAIMS[section]
    results = [path for path in stage["deps"] if not path.startswith("data/code/")]
    reads = {name for claim in (*claims.values(), *first.values()) for name in claim.reads}
    assert {Path(path).stem for path in results} == reads
    assert stage["cmd"].split()[3:] == ["--section", section, "--out", "data/claims", *results]
    assert stage["outs"] == [f"data/claims/{section}.json"]
    rules = {f"claims.rules.{name}" for name in claims} | {f"claims.first_rules.{name}" for name in first}
    assert {key for key in stage["params"] if "rules" in key} == rules


def test_the_sections_have_every_claim():
    modules = [import_module(f"pgprim.report.claims.{section}") for section in SECTIONS]
    assert [name for module in modules for name in module.CLAIMS] == list(CLAIMS)
    assert tuple(FIRST_CLAIMS) == SECTIONS


def test_every_claim_s_figure_is_one_of_the_pipeline():
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["plots"]
    drawn = {Path(name).stem for plot in stages for name in (plot if isinstance(plot, dict) else [plot])}
    shown = {figure for claim in CLAIMS.values() for figure in claim.figures.values()}
    assert shown <= drawn, shown - drawn


def over(dims: dict[str, list], values) -> xr.DataArray:
    shape = tuple(map(len, dims.values()))
    return xr.DataArray(np.broadcast_to(values, shape).astype(float), dims, tuple(dims))


def gradient(scale: dict[tuple[str, int], float]) -> xr.Dataset:
    """Agents whose estimates have this noise scale B by task and iteration: cosines are N/(N + B) at every budget N."""
    budgets = [100, 2048, 100_000]
    dims = {"task": TASKS, "algo": ["ppo", "trpo"], "seed": [0, 1, 2], "iteration": ITERATIONS}
    noise = over(dims, 1.0).copy()
    for (task, iteration), value in scale.items():
        noise.loc[{"task": task, "iteration": iteration}] = value
    noise = noise * xr.DataArray([0.99, 1.0, 1.01], {"seed": [0, 1, 2]}, ("seed",))
    budget = xr.DataArray(budgets, {"budget": budgets}, ("budget",))
    return xr.Dataset({"truth_noise_scale": noise, "cosine": budget / (budget + noise)})


SCALES = {
    (task, it): 2.0 ** (11 + 3 * (task == "humanoid") + (it == 300)) for task in TASKS for it in ITERATIONS
}
"""2048 pairs on Hopper, eight times as many on Humanoid, twice as many at the last checkpoint."""


def test_agreement_is_that_of_trained_agents_at_2k_on_each_task():
    rows = effect("agreement_is_poor", gradient=gradient(SCALES))
    assert rows["hopper"]["value"] == pytest.approx((1 / 2 + 1 / 3) / 2, abs=1e-3)
    assert rows["humanoid"]["value"] == pytest.approx((1 / 9 + 1 / 17) / 2, abs=1e-3)
    assert rows["humanoid"]["verdict"] == "reproduced" and rows["humanoid"]["agents"] == 6


def test_agreement_that_falls_is_a_noise_scale_that_grows_in_training():
    rows = effect("agreement_falls_with_training", gradient=gradient(SCALES))
    assert {name: row["value"] for name, row in rows.items()} == pytest.approx(dict.fromkeys(rows, 1.0))
    assert len(rows) == 4 and all(row["verdict"] == "reproduced" for row in rows.values())


def test_untrained_agents_do_not_make_agreement_fall():
    """Checkpoint 0 agrees 100 times better: that is another statement than that agreement falls among trained agents."""
    steady = {place: 2048.0 if place[1] else 20.0 for place in SCALES}
    rows = effect("agreement_falls_with_training", gradient=gradient(steady))
    assert all(abs(row["value"]) < 1e-9 and row["verdict"] == "inconclusive" for row in rows.values())


def test_the_tasks_noise_scales_are_compared_algorithm_by_algorithm():
    rows = effect("agreement_falls_with_task", gradient=gradient(SCALES))
    assert {name: row["value"] for name, row in rows.items()} == pytest.approx(
        {"humanoid ppo": 3.0, "humanoid trpo": 3.0}
    )
    assert effect("agreement_falls_with_task", gradient=gradient(SCALES).sel(task=["hopper"])) == {}


def test_the_pairs_that_come_near_the_truth_follow_from_the_noise_scale():
    """A cosine of 0.9 takes 0.81/0.19 = 4.26 noise scales, of 2048 pairs and, at the last checkpoint, 4096."""
    rows = effect("truth_needs_more_pairs", gradient=gradient(SCALES))
    assert rows["hopper"]["value"] == pytest.approx(np.log2(0.81 / 0.19) + 0.5, abs=1e-3)
    most = effect("most_pairs_suffice", gradient=gradient(SCALES))
    expected = np.mean([np.sqrt(1e6 / (1e6 + noise)) for noise in (2**14, 2**15)])
    assert most["humanoid"]["value"] == pytest.approx(expected, abs=1e-3)


def test_steps_are_held_against_the_gradients_of_the_same_agents():
    grads = gradient(SCALES)
    rows = effect("steps_are_no_better", steps=grads.assign(cosine=grads.cosine + 0.02), gradient=grads)
    assert all(row["value"] == pytest.approx(0.02) for row in rows.values()) and len(rows) == 4


def values() -> xr.Dataset:
    """Errors of a tenth against GAE and 0.4 against returns; PPO-M's and untrained agents' are absurd."""
    dims = {"task": TASKS, "algo": ALGOS, "seed": [0, 1], "iteration": ITERATIONS, "part": ["held_out"]}
    errors = over(dims | {"target": ["gae", "returns"], "definition": ["as_text", "exact"]}, 0.1).copy()
    errors.loc[{"target": "returns"}] = 0.4
    errors.loc[{"algo": "ppo_m"}] = errors.loc[{"iteration": 0}] = 7
    return xr.Dataset({"mre": errors, "total_re": errors})


def true_value() -> xr.Dataset:
    """V^π itself has errors of 0.05 against GAE and 0.3 against returns cut at the end of the batch; 9 before training."""
    dims = {"task": TASKS, "algo": ["ppo", "trpo"], "seed": [0], "iteration": ITERATIONS}
    errors = over(dims | {"target": ["gae", "returns"], "definition": ["as_text", "exact"]}, 0.05).copy()
    errors.loc[{"target": "returns"}] = 0.3
    errors.loc[{"iteration": 0}] = 9
    return xr.Dataset({"floor": errors, "floor_total": errors})


def test_value_errors_are_those_of_the_algorithms_that_are_probed_once_trained():
    results = {"value": values(), "floors": true_value()}
    assert effect("value_fits_its_targets", **results)["hopper"]["value"] == pytest.approx(0.1)
    assert effect("value_misses_returns", **results)["humanoid"]["value"] == pytest.approx(0.4)
    far = effect("value_misses_returns_by_far_more", **results)
    assert far["humanoid"]["value"] == pytest.approx(2) and far["humanoid"]["agents"] == 4


def test_the_error_that_v_pi_itself_would_have_stands_beside_the_network_s():
    results = {"value": values(), "floors": true_value()}
    assert effect("value_misses_returns", **results)["hopper"]["true_value"] == pytest.approx(0.3)
    far = effect("value_misses_returns_by_far_more", **results)["hopper"]
    assert far["true_value"] == pytest.approx(np.log2(6), abs=1e-3)
    assert "true_value" not in effect("value_fits_its_targets", **results)["hopper"]


def test_exact_returns_are_missed_by_what_exceeds_the_floor_of_the_true_value_function():
    dims = {"task": TASKS, "algo": ["ppo", "trpo"], "seed": [0, 1], "iteration": ITERATIONS}
    dims |= {"target": ["returns"], "definition": ["exact"]}
    ds = xr.Dataset({"error_total": over(dims, 0.3), "floor_total": over(dims, 0.15)})
    assert effect("value_misses_exact_returns", floors=ds)["hopper"]["value"] == pytest.approx(1)


def test_baselines_are_judged_by_ratios_of_cosines_and_of_variances():
    agents = {"task": TASKS, "algo": ["ppo"], "seed": [0, 1], "iteration": [0, 150]}
    cosine = over(agents | {"budget": [2048, 10_000], "baseline": ["zero", "value", "true"]}, [0.1, 0.2, 0.8])
    left = over(agents | {"subtracted": ["zero", "value", "true"]}, [1, 1 / 8, 1 / 32]).copy()
    left.loc[{"iteration": 0}] = 1  # untrained agents do not count
    ds = xr.Dataset({"cosine": cosine, "return_variance": left})
    found = {
        name: effect(name, baselines=ds)["hopper"]["value"]
        for name in ("value_helps_agreement", "true_value_helps_more", "value_helps_little_at_2k")
    }
    assert found == pytest.approx(
        {"value_helps_agreement": 1, "true_value_helps_more": 2, "value_helps_little_at_2k": 3}
    )


def bounds() -> xr.Dataset:
    """TRPO within δ, PPO within it in all but one of eight iterations, PPO-M growing; ratios above 1 + ε at TRPO alone."""
    dims = {
        "task": TASKS,
        "algo": ALGOS,
        "seed": list(range(10)),
        "part": ["train"],
        "iteration": list(range(8)),
    }
    kl = over(dims, 0.04).copy()
    kl.loc[{"algo": "ppo_m"}] = 0.001 * 2.0 ** (np.arange(8) // 2)
    kl.loc[{"algo": "ppo"}] = [0.01, 0.01, 0.04, 0.06, 0.04, 0.04, 0.01, 0.01]
    ratio = over(dims, 1.1).copy()
    ratio.loc[{"algo": "trpo"}] = 17
    by_algo = {"task": TASKS, "algo": ALGOS}
    delta, bound = over(by_algo, [np.nan, np.nan, 0.05]), over(by_algo, [1.2, 1.2, np.nan])
    return xr.Dataset({"kl_mean": kl, "ratio_max": ratio, "delta": delta, "ratio_bound": bound})


def test_every_algorithm_is_held_against_trpo_s_bound_on_its_task():
    assert effect("trpo_keeps_delta", trust_region=bounds())["hopper trpo"]["value"] == 1
    others = effect("ppo_keeps_delta", trust_region=bounds())
    assert others["hopper ppo"]["value"] == 0, "one iteration of eight is more than 5 %"
    assert others["hopper ppo_m"]["value"] == 1 and others["hopper ppo_m"]["verdict"] == "reproduced"
    alone = bounds().sel(algo=["ppo", "ppo_m"])
    assert effect("ppo_keeps_delta", trust_region=alone) == {}


def test_ratios_of_all_algorithms_are_held_against_the_one_clipping_range():
    rows = effect("ratios_break_eps", trust_region=bounds())
    assert (rows["humanoid ppo"]["value"], rows["humanoid trpo"]["value"]) == (0, 1)
    assert rows["humanoid ppo"]["verdict"] == "not reproduced"


def test_iterations_that_a_run_did_not_survive_keep_no_bound():
    ds = bounds()
    ds.kl_mean.loc[{"algo": "ppo_m", "seed": 0, "iteration": 7}] = np.nan
    ds.kl_mean.loc[{"algo": "ppo_m", "seed": 1}] = np.nan
    row = effect("ppo_keeps_delta", trust_region=ds)["hopper ppo_m"]
    assert row["agents"] == 9 and row["value"] == pytest.approx(8 / 9, abs=1e-4)


def test_one_iteration_does_not_make_kl_grow_or_peak():
    ds, before = bounds(), effect("ppo_m_kl_grows", trust_region=bounds())["hopper ppo_m"]["value"]
    ds.kl_mean.loc[{"algo": "ppo", "iteration": 3}] = 1e6
    assert effect("ppo_kl_peaks", trust_region=ds)["hopper ppo"]["value"] == pytest.approx(2)
    assert effect("ppo_m_kl_grows", trust_region=ds)["hopper ppo_m"]["value"] == before


def test_kl_grows_from_quarter_to_quarter_and_peaks_in_the_middle_third():
    assert effect("ppo_m_kl_grows", trust_region=bounds())["hopper ppo_m"]["value"] == pytest.approx(3)
    # Thirds of eight iterations have two, four and two.
    assert effect("ppo_kl_peaks", trust_region=bounds())["hopper ppo"]["value"] == pytest.approx(2)


def landscapes(ceiling: float = 0.9) -> xr.Dataset:
    dims = {
        "task": TASKS,
        "algo": ["ppo", "trpo"],
        "seed": [0, 1, 2],
        "iteration": ITERATIONS,
        "kind": ["few", "many", "slice_few", "slice_many"],
    }
    correlation = over(dims, -0.1).copy()
    correlation.loc[{"iteration": 0}] = 0.9
    correlation.loc[{"kind": "slice_many", "algo": "trpo"}] = 0.7
    correlation.loc[{"kind": ["few", "many"]}] = np.nan
    noise = over(dims | {"budget": [2048, 12_000, 100_000]}, 0.7).copy()
    noise.loc[{"budget": 12_000}], noise.loc[{"budget": 100_000}] = 0.4, np.nan
    noise.loc[{"budget": 100_000, "seed": 0}] = 0.1
    return xr.Dataset(
        {"fresh_correlation": correlation, "noise_share": noise, "fresh_ceiling": over(dims, ceiling)}
    )


def test_surrogates_are_judged_along_the_step_before_and_after_training():
    ds = landscapes()
    assert effect("surrogate_aligns_at_first", alignment=ds)["hopper ppo"]["value"] == pytest.approx(0.9)
    assert effect("surrogate_misaligns_later", alignment=ds)["hopper trpo"]["value"] == pytest.approx(-0.1)
    assert effect("trpo_aligns_with_many_pairs", alignment=ds)["hopper trpo"]["value"] == pytest.approx(0.7)
    row = effect("ppo_misaligns_with_many_pairs", alignment=ds)["hopper ppo"]
    assert row["value"] == pytest.approx(-0.1) and row["ceiling"] == 0.9 and row["verdict"] == "reproduced"


def test_a_surrogate_does_not_misalign_because_the_reward_is_noise():
    ds = landscapes(ceiling=0.3)
    ds["fresh_correlation"] = ds.fresh_correlation * 0.3
    for name in ("surrogate_aligns_at_first", "surrogate_misaligns_later", "trpo_aligns_with_many_pairs"):
        assert {row["verdict"] for row in effect(name, alignment=ds).values()} == {"inconclusive"}


def test_noise_is_judged_at_2k_and_at_the_most_pairs_that_all_agents_have():
    few, most = (
        effect(name, alignment=landscapes())["hopper"]["value"]
        for name in ("reward_is_noise_at_2k", "reward_is_clear_with_more")
    )
    assert few == pytest.approx(0.7) and most == pytest.approx(0.4)


def test_a_promise_is_kept_as_far_as_fresh_batches_show_it():
    dims = {
        "task": TASKS,
        "algo": ["ppo", "trpo"],
        "seed": [0, 1, 2],
        "iteration": ITERATIONS,
        "kind": ["few"],
    }
    ds = xr.Dataset({"promised": over(dims, 0.08), "promised_fresh_unclipped": over(dims, 0.02)})
    rows = effect("promise_is_not_kept", promise=ds)
    assert rows["humanoid trpo"]["value"] == pytest.approx(0.25)
    assert rows["humanoid trpo"]["verdict"] == "reproduced"


def ablation(gain: float) -> xr.Dataset:
    """Sixteen cells of which every other one earns more, at rate 1, where seeds 0 and 1 chose it."""
    rng = np.random.default_rng(1)
    cells = [f"{index:04b}" for index in range(16)]
    dims = {"task": ["hopper"], "cell": cells, "rate": [0.3, 1.0], "seed": [0, 1, 2, 3, 4]}
    final = over(dims, 100.0) + rng.standard_normal((1, 16, 2, 5))
    final.loc[{"cell": cells[1::2], "rate": 1.0}] += gain
    final.loc[{"seed": [0, 1]}] = 9999.0
    best = over({"task": ["hopper"], "cell": cells}, 1.0)
    return xr.Dataset({"final_return": final, "best_rate": best})


def test_choices_matter_where_the_combinations_differ_whatever_the_sign():
    row = effect("choices_matter", ablation=ablation(20.0))["hopper ppo"]
    assert row["value"] < 1e-3 and row["verdict"] == "reproduced" and row["agents"] == 48
    row = effect("choices_matter", ablation=ablation(0.0))["hopper ppo"]
    assert row["value"] > 0.05 and row["verdict"] == "inconclusive", "no evidence of equal returns"


def test_choices_are_seldom_found_to_matter_where_they_do_not(monkeypatch):
    """At the usual level 5 % of the times, with three seeds per combination and very different variances."""
    monkeypatch.setattr(training, "PERMUTATIONS", 199)
    rng, ds, found = np.random.default_rng(5), ablation(0.0), 0
    for _ in range(300):
        noise = rng.exponential(30.0, ds.final_return.shape)
        found += (
            effect("choices_matter", ablation=ds.assign(final_return=ds.final_return + noise))["hopper ppo"][
                "value"
            ]
            <= 0.05
        )
    assert 0.02 <= found / 300 <= 0.085


def test_seeds_are_judged_by_the_spread_of_their_last_returns():
    dims = {"task": ["hopper"], "algo": ["ppo"], "seed": list(range(10)), "iteration": list(range(20))}
    final = xr.DataArray(1000 + 100 * np.linspace(-1, 1, 10), {"seed": range(10)}, ("seed",))
    returns = over(dims, 0.0) + final.where(over(dims, 1.0).iteration >= 16, 5000)
    row = effect("seeds_are_unreliable", fig8=xr.Dataset({"return_mean": returns}))["hopper ppo"]
    assert row["value"] == pytest.approx(0.1 * np.linspace(-1, 1, 10).std(ddof=1), rel=1e-3)
    assert row["low"] < row["value"] < row["high"] and row["verdict"] == "not reproduced"
