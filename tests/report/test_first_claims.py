"""The first edition's claims, on results whose effects are known."""

import numpy as np
import pytest
import xarray as xr

from pgprim.report.claims.claim import judge
from pgprim.report.claims.first import FIRST_CLAIMS
from tests.report.test_claims import ALGOS, ITERATIONS, PARAMS, TASKS, over


def first_effect(name: str, ds: xr.Dataset) -> dict:
    """The one row of a claim of the first edition."""
    claim = next(claims[name] for claims in FIRST_CLAIMS.values() if name in claims)
    (row,) = judge({name: claim}, {claim.reads[0]: ds}, PARAMS, "first_rules")[name]["rows"]
    return row


def trust_region() -> xr.Dataset:
    """δ is TRPO's alone; PPO-M's KL doubles from each quarter of the iterations to the next, and passes δ in the last."""
    dims = {"task": TASKS, "algo": ALGOS, "seed": [0, 1, 2], "part": ["train"], "iteration": list(range(8))}
    growing = 0.01 * 2.0 ** (np.arange(8) // 2)
    kl = over(dims, 0.01).copy()
    kl.loc[{"algo": "ppo_m"}] = growing
    delta = over({"task": TASKS, "algo": ALGOS}, np.nan).copy()
    delta.loc[{"algo": "trpo"}] = 0.05
    return xr.Dataset({"kl_mean": kl, "delta": delta})


def test_ppo_m_is_held_against_the_bound_that_trpo_has():
    found = first_effect("ppo_m_breaks_delta", trust_region())
    assert found["value"] == 0.25 and found["agents"] == 6


def test_the_growth_of_kl_is_between_the_first_and_the_last_quarter():
    assert first_effect("ppo_m_kl_grows", trust_region())["value"] == 3


def test_without_ppo_m_nothing_is_known():
    both = trust_region().sel(algo=["ppo", "trpo"])
    assert first_effect("ppo_m_breaks_delta", both)["value"] is None
    assert first_effect("ppo_m_kl_grows", both)["value"] is None


def test_value_errors_are_those_of_the_algorithms_that_are_probed():
    dims = {"task": TASKS, "algo": ALGOS, "seed": [0, 1], "iteration": ITERATIONS, "part": ["held_out"]}
    mre = over(dims | {"target": ["gae", "returns"], "definition": ["as_text", "exact"]}, 0.1).copy()
    mre.loc[{"target": "returns"}] = 0.4
    mre.loc[{"algo": "ppo_m"}] = mre.loc[{"iteration": 0}] = 7
    assert first_effect("value_fits_its_targets", xr.Dataset({"mre": mre}))["value"] == pytest.approx(0.1)
    assert first_effect("value_misses_returns_by_far_more", xr.Dataset({"mre": mre}))[
        "value"
    ] == pytest.approx(2)


def alignment(correlation: float, ceiling: float) -> xr.Dataset:
    """At checkpoint 0 a correlation of 0.9 without noise, later these; PPO's is the other way round."""
    dims = {
        "task": TASKS,
        "algo": ["ppo", "trpo"],
        "seed": [0],
        "iteration": ITERATIONS,
        "kind": ["few", "many"],
    }
    found = xr.Dataset(
        {"plane_correlation": over(dims, correlation).copy(), "plane_ceiling": over(dims, ceiling).copy()}
    )
    found.plane_correlation.loc[{"algo": "ppo"}] = -correlation
    found.plane_correlation.loc[{"iteration": 0}], found.plane_ceiling.loc[{"iteration": 0}] = 0.9, 1.0
    share = over(dims | {"budget": [2048, 8000]}, 0.2).copy()
    share.loc[{"budget": 2048}] = 0.7
    return found.assign(noise_share=share)


def test_a_correlation_counts_without_what_noise_takes_from_it():
    found = alignment(0.4, 0.8)
    assert first_effect("trpo_aligns_with_many_pairs", found)["value"] == pytest.approx(0.5)
    assert first_effect("ppo_misaligns_with_many_pairs", found)["value"] == pytest.approx(-0.5)
    assert first_effect("surrogate_aligns_at_first", found)["value"] == pytest.approx(0.9)
    assert first_effect("surrogate_misaligns_later", found)["value"] == pytest.approx(0, abs=1e-9)


def test_a_surface_of_noise_says_nothing_about_the_surrogate():
    found = first_effect("trpo_aligns_with_many_pairs", alignment(0.1, 0.3))
    assert found["value"] is None and found["verdict"] == "inconclusive"


def test_noise_is_judged_at_the_fewest_and_at_the_most_pairs():
    few, most = (
        first_effect(name, alignment(0.4, 0.8))
        for name in ("reward_is_noise_at_2k", "reward_is_clear_with_more")
    )
    assert (few["value"], few["agents"], few["verdict"]) == (0.7, 4, "reproduced")
    assert (most["value"], most["verdict"]) == (0.2, "reproduced")


def test_choices_count_at_their_best_rates_on_seeds_that_did_not_choose():
    seeds, rates, cells = [0, 1, 2, 3, 4], [0.3, 1.0], ["00", "01", "10", "11"]
    final = over({"task": ["hopper"], "cell": cells, "rate": rates, "seed": seeds}, 100.0).copy()
    final.loc[{"cell": "11", "rate": 1.0}] = [9999, 9999, 310, 300, 290]
    best = over({"task": ["hopper"], "cell": cells}, 0.3).copy()
    best.loc[{"cell": "11"}] = 1.0
    ds = xr.Dataset({"final_return": final, "best_rate": best}).assign_coords(switch=["a", "b"])
    found = first_effect("choices_matter", ds)
    assert found["value"] == 200 and found["agents"] == 3
