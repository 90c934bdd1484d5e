"""Tables of findings: medians and ranges by hand, rows of what is computed, and the sentence where nothing is."""

import numpy as np
import pytest
import xarray as xr

from pgprim.commands.pages import params_of_set
from pgprim.core.stratified import stratified_mean
from pgprim.report.tables import TABLES, markdown, spread
from tests.checkouts import PROJECT

PARAMS = params_of_set(PROJECT)


def array(dims: dict, values) -> xr.DataArray:
    shape = [len(coordinate) for coordinate in dims.values()]
    return xr.DataArray(np.broadcast_to(np.asarray(values, float), shape).copy(), dims, tuple(dims))


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.3, 0.2, 0.456], "0.3 (0.2 to 0.46)"),
        ([0.3, np.nan], "0.3"),
        ([np.nan], "–"),
        ([-1.0, 2.0, 123.4], "2 (−1 to 123)"),
        ([512_345.0, 1_234_567.0], "870K (510K to 1.2M)"),
        ([0.0012, -7.84e-5, 1999.6], "0.0012 (−0.000078 to 2000)"),
    ],
)
def test_a_cell_is_the_median_with_the_range(values, text):
    assert spread(xr.DataArray(values)) == text


def test_every_table_says_how_it_is_computed():
    for name in TABLES:
        text = markdown(name, {}, PARAMS)
        assert text.startswith("*Not computed yet; `snakemake figures/") and text.endswith("computes it.*")


def gradients(task: str, cosine: float) -> dict[str, xr.Dataset]:
    dims = {
        "task": [task],
        "algo": ["trpo", "ppo"],
        "iteration": [0, 150],
        "seed": [0, 1],
        "budget": [2048, 10**6],
    }
    by_agent = {name: dims[name] for name in ("task", "algo", "iteration")}
    scale = array(by_agent | {"seed": [0, 1]}, [4e5, 6e5])
    agreement = array(dims, [cosine, 0.9])
    agreement.loc[{"seed": 1, "budget": 10**6}] = np.nan  # only one seed has so many pairs
    agreement.loc[{"seed": 1, "budget": 2048}] = 3 * cosine
    truth = np.sqrt(agreement)
    return {
        "agreement": xr.Dataset({"cosine": agreement, "marked": 2048}),
        "truth": xr.Dataset({"truth_cosine_corrected": truth, "marked": 2048}),
        "noise": xr.Dataset({"curve_noise_scale": scale}),
    }


def test_gradients_of_what_is_computed_have_a_row_per_agent_kind_and_checkpoint():
    humanoid, hopper = gradients("humanoid", 0.01), gradients("hopper", 0.04)
    figures = {"fig1": humanoid["agreement"], "fig2": humanoid["truth"], "fig9": hopper["agreement"]}
    figures["noise_scale"] = xr.concat([humanoid["noise"], hopper["noise"]], "task")
    rows = cells(markdown("gradients", figures, PARAMS))
    assert [row[:3] for row in rows] == [
        ["Humanoid", algo, at] for algo in ("PPO", "TRPO") for at in ("0", "150")
    ]
    assert rows[0][3:] == ["0.02 (0.01 to 0.03)", "0.9", "0.14 (0.1 to 0.17)", "0.95", "500K (400K to 600K)"]
    figures["fig10"] = hopper["truth"]
    assert len(cells(markdown("gradients", figures, PARAMS))) == 8


def test_growth_of_the_noise_is_counted_and_averaged_over_agents():
    dims = {"task": ["hopper"], "algo": ["ppo", "trpo"], "seed": [0, 1, 2], "iteration": [0, 150, 450]}
    scale = array(dims, 1000.0)
    scale.loc[{"iteration": 0}] = 1e9  # untrained
    scale.loc[{"iteration": 450}] = [[2000, 4000, 8000], [1000, 500, 4000]]
    (row,) = cells(
        markdown("noise_growth", {"noise_scale": xr.Dataset({"curve_noise_scale": scale})}, PARAMS)
    )
    mean = stratified_mean([np.array([1.0, 2, 3]), np.array([0.0, -1, 2])], 0.95)
    assert mean.value == pytest.approx((2 + 1 / 3) / 2)
    assert row == [
        "Hopper",
        "4 of 6",
        f"{mean.value:.2g} [{mean.low:.2g}, {mean.high:.2g}]".replace("-", "−"),
    ]


def test_steps_are_compared_with_gradients_of_the_same_agents_and_pairs():
    dims = {
        "task": ["hopper"],
        "algo": ["ppo"],
        "seed": [0, 1],
        "iteration": [0, 150],
        "budget": [2048, 10000],
    }
    step, more = array(dims, 0.1), {**dims, "seed": [0, 1, 2], "budget": [100, 2048, 10000]}
    gradient = array(more, 9.0)
    gradient.loc[{"iteration": 150, "budget": 2048, "seed": 0}] = 0.05
    gradient.loc[{"iteration": 150, "budget": 2048, "seed": 1}] = 0.2
    gradient.loc[{"iteration": 150, "budget": 10000}] = 0.3
    figures = {
        "steps": xr.Dataset({"cosine": step, "marked": 2048}),
        "noise_scale": xr.Dataset({"cosine": gradient}),
    }
    assert cells(markdown("steps", figures, PARAMS)) == [
        ["Hopper", "PPO", "2K", "0.12 (0.05 to 0.2)", "0.1", "1 of 2"],
        ["Hopper", "PPO", "10K", "0.3", "0.1", "2 of 2"],
    ]


def test_the_variance_that_is_left_stands_beside_the_share_that_is_gone():
    dims = {"task": ["hopper"], "algo": ["ppo"], "seed": [0], "iteration": [150]}
    subtracted = {"subtracted": ["zero", "value", "true"]}
    ds = xr.Dataset(
        {
            "return_variance": array(dims | subtracted, [1, 0.2, 0.1]),
            "gain_share": array(dims | subtracted, [0, 0.9, 1.0]),
            "lam_variance": array(dims | {"lam": [0.95, 1.0]}, [0.25, 1]),
            "lam_bias": array(dims | {"lam": [0.95, 1.0]}, [0.006, 0]),
            "signal": array(dims, 0.008),
        }
    )
    assert cells(markdown("variances", {"gae": ds}, PARAMS)) == [
        ["Hopper", "PPO", "0.2", "0.9", "2", "0.25", "0.006", "0.008"]
    ]


def test_value_errors_of_trained_agents_stand_beside_the_floor():
    dims = {"task": ["walker2d"], "algo": ["ppo"], "iteration": [0, 10, 20], "target": ["gae", "returns"]}
    dims |= {"definition": ["as_text", "exact"]}
    floor = array(dims, 0.1)
    total = array(dims | {"seed": [0]}, 0.2)
    total.loc[{"iteration": 0}] = 99  # untrained
    total.loc[{"target": "gae"}] = 0.05
    total.loc[{"definition": "exact"}] = 0.15
    numbers = {"total_re": total, "mre": total + 0.3, "error_total": 1.2 * floor, "floor_total": floor}
    ds = xr.Dataset(numbers)
    (row,) = cells(markdown("values", {"fig3": ds}, PARAMS))
    assert row == ["Walker2d", "PPO", "0.05", "0.5", "0.2", "0.15", "0.12", "0.1"]


def test_final_returns_are_those_of_the_reliability_study():
    returns = array({"task": ["hopper"], "algo": ["ppo"], "seed": [0, 1], "iteration": range(10)}, 5.0)
    returns.loc[{"iteration": [8, 9]}] = 2000  # the last fifth
    ds = xr.Dataset({"return_mean": returns, "published": array({"task": ["hopper"], "algo": ["ppo"]}, 2513)})
    assert cells(markdown("returns", {"fig8": ds}, PARAMS)) == [["Hopper", "PPO", "2000", "2513"]]


def test_regimes_are_compared_at_the_end_of_each_that_others_outlive():
    dims = {"task": ["hopper"], "pairs": [2048, 20000, 100000], "rate": [1.0, 3.0]}
    curve = array(dims | {"iteration": range(30)}, np.arange(30.0))
    curve.loc[{"rate": 3.0}] += 100
    final = array(dims | {"seed": [0, 1]}, [[1000, 2000], [300, 300]])
    numbers = {"num_iterations": ("pairs", [30, 20, 4]), "return_curve": curve, "final_return": final}
    ds = xr.Dataset(numbers | {"agreement_curve": 0 * curve + 0.5})
    first, _, last = cells(markdown("regimes", {"sample_regime": ds}, PARAMS))
    ends = ["53 (3 to 103)", "69 (19 to 119)"]
    assert first == ["Hopper", "2K", "30", *ends, "650 (300 to 2000)", "0.5"]
    assert last[:3] == ["Hopper", "100K", "4"]


def test_landscapes_tell_untrained_agents_from_trained_ones():
    dims = {"task": ["hopper"], "algo": ["trpo"], "seed": [0, 1], "iteration": [0, 150]}
    dims |= {"kind": ["few", "many", "slice_few", "slice_many"]}
    correlation = array(dims, 0.5)
    correlation.loc[{"iteration": 0, "kind": "few"}] = 0.9
    noise = array(dims | {"budget": [2048, 12000, 30000, 100000]}, [0.8, 0.2, np.nan, 0.1])
    noise.loc[{"seed": 1, "budget": 100000}] = np.nan
    numbers = {"correlation": correlation, "fresh_correlation": correlation - 0.2, "noise_share": noise}
    ds = xr.Dataset(numbers | {"step_noise_share": noise + 0.1})
    shares, fresh = ["0.8", "0.2", "0.9", "0.3"], ["0.3", "0.3"]
    assert cells(markdown("landscapes", {"alignment": ds}, PARAMS)) == [
        ["Hopper", "TRPO", "untrained", *shares, "0.9", "0.5", *fresh],
        ["Hopper", "TRPO", "trained", *shares, "0.5", "0.5", *fresh],
    ]


def test_baselines_have_a_row_at_training_s_pairs_and_one_at_the_most():
    dims = {
        "task": ["hopper"],
        "algo": ["ppo"],
        "seed": [0],
        "iteration": [150],
        "baseline": ["zero", "value", "true"],
    }
    cosine = array(dims | {"budget": [500, 2000, 10000]}, 0.1)
    cosine.loc[{"budget": 2000, "baseline": "value"}] = 0.2
    cosine.loc[{"budget": 10000, "baseline": "true"}] = 0.7
    ds = xr.Dataset({"cosine": cosine, "marked": 2048})
    assert cells(markdown("baselines", {"fig4": ds}, PARAMS)) == [
        ["Hopper", "PPO", "2K", "0.1", "0.2", "0.1"],
        ["Hopper", "PPO", "10K", "0.1", "0.1", "0.7"],
    ]


def test_promises_have_a_row_per_size_of_the_step():
    dims = {
        "task": ["hopper"],
        "algo": ["ppo"],
        "seed": [0, 1],
        "iteration": [0, 150],
        "kind": ["few", "many"],
    }
    promised, pairs = array(dims, 0.1), array(dims, [2048, 100_000])
    promised.loc[{"iteration": 0}] = 9  # untrained
    ds = xr.Dataset(
        {
            "promised": promised,
            "promised_fresh_unclipped": promised / 10,
            "kept": -promised,
            "slice_batch_pairs": pairs,
        }
    )
    assert cells(markdown("promises", {"promise": ds}, PARAMS)) == [
        ["Hopper", "PPO", size, "0.1", "0.01", "−0.1"] for size in ("2K", "100K")
    ]


def test_trust_regions_compare_own_pairs_with_fresh_ones():
    dims = {
        "task": ["hopper"],
        "algo": ["trpo"],
        "seed": [0],
        "iteration": [0, 10],
        "part": ["train", "held_out"],
    }
    kl = array(dims, [0.01, 0.02])
    kl.loc[{"part": "held_out", "iteration": 10}] = 0.2
    ds = xr.Dataset({"kl_mean": kl, "ratio_max": 200 * kl, "clip_fraction": 10 * kl})
    ds["delta"] = array({"task": ["hopper"], "algo": ["trpo"]}, 0.13)
    (row,) = cells(markdown("trust_regions", {"trust_region": ds}, PARAMS))
    assert row == ["Hopper", "TRPO", "0.13", "0.01", "0.11 (0.02 to 0.2)", "1", "0.5", "2", "0.1"]


def between(numbers: xr.DataArray, name: str, width: float) -> dict[str, xr.DataArray]:
    """A number with an interval of this half width."""
    bound = xr.DataArray([-width, width], {"bound": ["low", "high"]}, ("bound",))
    return {name: numbers, f"{name}_ci": numbers + bound}


def test_runs_with_clipped_actions_stand_beside_those_as_drawn():
    dims = {"task": ["humanoid"], "version": ["v4", "v5"], "run": ["clipped-1.0", "drawn"]}
    returns = array(dims, [800.0, 600.0])
    seeds = dims | {"seed": [0, 1]}
    ds = xr.Dataset(
        {
            **between(returns, "final_return_mean", 50),
            "final_length": array(seeds, [100.0, 120.0]),
            "final_cost_clipped": array(seeds, 30.0),
            "final_cost": array(seeds, 90.0),
            "published": array({"task": ["humanoid"]}, 806.0),
            "rate": array({"run": dims["run"]}, [0.6, 1.0]),
            "is_clipped": array({"run": dims["run"]}, [1, 0]),
        }
    )
    rows = cells(markdown("clipping", {"clipping": ds}, PARAMS))
    rest = ["806", "110 (100 to 120)", "30", "90"]
    assert rows[0] == ["Humanoid-v4", "clipped, × 0.6", "800 [750, 850]", *rest]
    assert rows[3] == ["Humanoid-v5", "as drawn, × 1", "600 [550, 650]", *rest] and len(rows) == 4


def test_semantics_have_a_row_per_quantity_that_was_measured():
    dims = {"quantity": ["training: final return", "GAE MRE"], "task": ["hopper"], "algo": ["ppo"]}
    exact = array(dims, 2.0)
    exact.loc[{"quantity": "GAE MRE"}] = np.nan
    ds = xr.Dataset(
        {"table_exact": exact, "table_paper": exact + 1, **between(exact - 1, "table_difference", np.nan)}
    )
    assert cells(markdown("semantics", {"semantics": ds}, PARAMS)) == [
        ["Hopper", "PPO", "training: final return", "2", "3", "1"]
    ]


def test_reliability_has_kinds_of_agents_and_what_goes_along_with_their_return():
    kinds = {"task": ["hopper"], "algo": ["ppo", "trpo"]}
    ds = xr.Dataset(
        {
            **between(array(kinds, 2000.0), "return_iqm", 100),
            **between(array(kinds, 0.3), "difference", 0.1),
            **between(array({"primitive": ["value error"]}, -0.5), "pooled", 0.2),
            "published": array(kinds, 2500.0),
            "num_seeds": array({"primitive": ["value error"]} | kinds, 10),
        }
    )
    first, _ = cells(markdown("reliability", {"reliability": ds}, PARAMS))
    assert first == ["Hopper", "PPO", "2000 [1900, 2100]", "2500", "0.3 [0.2, 0.4]"]
    row = ["value error", "20", "−0.5 [−0.7, −0.3]"]
    assert cells(markdown("predictors", {"reliability": ds}, PARAMS)) == [row]
