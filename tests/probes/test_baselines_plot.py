"""Fig. 4 and gae: what is on the panels is what the dataset says."""

import numpy as np
import pytest
from scipy.stats import t as student

from pgprim.core.intervals import Interval
from pgprim.plotting.combine import combine
from pgprim.probes.baselines.measure import COORDS, ESTIMATES
from pgprim.probes.baselines.plot import FIGURES, plot, select
from pgprim.store.labelled import label
from pgprim.types.errors import UserError
from tests.plotting import drawn

PARAMS = {"plot": {"budget": 2048, "level": 0.95, "seeds": 10}}
BUDGETS = (500, 2048, 6000, 10000)
LAMBDAS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
BASELINES, SUBTRACTED = ("zero", "value", "true"), ("zero", "value", "true", "optimal")
DIFFERENCES = (("value", "zero"), ("true", "value"), ("true", "zero"))
SCALES = {"zero": 30_000.0, "value": 9_000.0, "true": 6_000.0}
"""Noise scale with each baseline at the first checkpoint [pairs]."""


def estimate(task, algo, seed, iteration, budgets=BUDGETS, lambdas=LAMBDAS, trials=4):
    """One file of the model: cosines N/(N + B), bias falling and variance rising with λ."""
    rng = np.random.default_rng([*task.encode(), *algo.encode(), seed, iteration])
    growth = (1 + iteration / 150) * (1.5 if algo == "trpo" else 1.0)
    budget, lam = np.array(budgets), np.array(lambdas)
    cosine = np.array([budget / (budget + SCALES[name] * growth) for name in BASELINES])
    cosine = cosine + 0.02 * rng.standard_normal(cosine.shape)
    by_name = dict(zip(BASELINES, cosine, strict=True))
    bias, variance = 0.3 * (1 - lam) ** 2, 0.02 / (1.02 - lam)
    share = np.array([0.0, 0.8, 0.9, 1.0]) + 0.05 * rng.standard_normal(4) * [0, 1, 1, 0]
    values = {
        "cosine": (("baseline", "budget"), cosine, 0.05),
        "cosine_difference": (
            ("difference", "budget"), np.array([by_name[a] - by_name[b] for a, b in DIFFERENCES]), 0.03,
        ),
        "lam_bias": (("lam",), bias, 0.01),
        "lam_variance": (("lam",), variance, 0.05),
        "lam_error": (("lam",), bias + variance, 0.05),
        "lam_alignment": (("lam",), 0.3 + 0.1 * lam * (1.05 - lam), 0.05),
        "signal": ((), np.array(0.08), 0.03),
        "gain_share": (("subtracted",), share, 0.04),
        "return_variance": (("subtracted",), 1 - 0.8 * share, 0.04),
    }  # fmt: skip
    variables = {
        name: (dims, Interval(array, array - half, array + half))
        for name, (dims, array, half) in values.items()
    }
    variables |= {"fit_explained_variance": ((), 0.7), "fit_value_explained_variance": ((), 0.4)}
    where = {"task": task, "algo": algo, "seed": seed, "iteration": iteration}
    coords = {
        "budget": budget, "lam": lam, "baseline": list(BASELINES), "subtracted": list(SUBTRACTED), "difference": ["-".join(d) for d in DIFFERENCES],
    }  # fmt: skip
    return label(variables, ESTIMATES | COORDS, coords, {"level": 0.95, "lam": 0.9}, where)


def dataset(
    figure,
    tasks=("hopper", "walker2d"),
    algos=("ppo", "trpo"),
    seeds=(0, 1, 2),
    iterations=(150, 300, 450),
    **kwargs,
):
    parts = {
        f"{task}/{algo}/{seed}/{iteration}.nc": estimate(task, algo, seed, iteration, **kwargs)
        for task in tasks for algo in algos for seed in seeds for iteration in iterations
    }  # fmt: skip
    return select(figure, combine(parts), PARAMS)


def test_fig4_has_a_panel_per_agent_kind_and_checkpoint_with_agents_and_their_median():
    ds = dataset("fig4")
    page, _ = plot(ds)
    rows = [("walker2d", "ppo"), ("walker2d", "trpo"), ("hopper", "ppo"), ("hopper", "trpo")]
    assert len(page.axes) == 12
    assert [panel.get_title() for panel in page.axes[:3]] == [f"iteration {i}" for i in (150, 300, 450)]
    for place, panel in enumerate(page.axes):
        task, algo = rows[place // 3]
        one = ds.cosine.sel(task=task, algo=algo, iteration=ds.iteration[place % 3])
        assert panel.get_xscale() == "linear"
        for which in BASELINES:
            for seed in (0, 1, 2):
                (points,) = drawn.lines(panel, f"{which} {seed}")
                line = one.sel(baseline=which, seed=seed)
                np.testing.assert_array_equal(points, np.stack([BUDGETS, line], axis=1))
            (median,) = drawn.lines(panel, f"{which} median")
            np.testing.assert_allclose(median[:, 1], one.sel(baseline=which).median("seed"))
        assert any(set(line.get_xdata()) == {2048} for line in panel.get_lines())
    words = drawn.texts(page)
    assert "Walker2d, PPO" in words
    assert "no baseline, λ = 1" in words and "agent's V, λ = 0.9" in words and "V*, λ = 0.9" in words
    assert "10K" in [text.get_text() for text in page.axes[-1].get_xticklabels()]


def test_fig4_has_a_row_of_paired_differences_for_each_two_baselines():
    ds = dataset("fig4")
    _, page = plot(ds)
    rows = [
        (task, f"{a}-{b}")
        for task in ("walker2d", "hopper")
        for a, b in (("value", "zero"), ("true", "zero"), ("true", "value"))
    ]
    assert len(page.axes) == 3 * len(rows)
    for place, panel in enumerate(page.axes):
        task, difference = rows[place // 3]
        one = ds.sel(task=task, difference=difference, iteration=ds.iteration[place % 3])
        for algo in ("ppo", "trpo"):
            for seed in (0, 1, 2):
                line = one.sel(algo=algo, seed=seed)
                (points,) = drawn.lines(panel, f"{algo} {seed}")
                np.testing.assert_array_equal(points, np.stack([BUDGETS, line.cosine_difference], axis=1))
            values = one.cosine_difference.sel(algo=algo).transpose("seed", "budget").values
            (mean,) = drawn.lines(panel, f"{algo} mean")
            np.testing.assert_allclose(mean[:, 1], values.mean(0))
            half = student.ppf(0.975, 2) * values.std(0, ddof=1) / np.sqrt(3)
            low, high = drawn.band(panel, f"{algo} mean")
            np.testing.assert_allclose([low, high], [values.mean(0) - half, values.mean(0) + half])
    words = drawn.texts(page)
    assert "V* − agent's V" in words and "95 % interval between agents" in words


def test_lambda_of_agents_that_differ_is_not_given_as_a_number():
    parts = {name: estimate("hopper", "ppo", seed, 150) for seed, name in enumerate("ab")}
    parts["b"].attrs["lam"] = 0.99
    words = drawn.texts(plot(select("fig4", combine(parts), PARAMS))[0])
    assert "agent's V, λ of the agent" in words and "no baseline, λ = 1" in words


def test_gae_shows_bias_variance_and_their_sum_at_each_lambda():
    ds = dataset("gae")
    errors, alignment, shares = plot(ds)
    panel = errors.axes[5]  # second row, third column
    one = ds.sel(task="walker2d", algo="trpo", iteration=450, seed=1)
    for name in ("lam_bias", "lam_variance", "lam_error"):
        (points,) = drawn.lines(panel, f"{name} 1")
        np.testing.assert_array_equal(points[:, 1], one[name])
        np.testing.assert_allclose(points[:, 0], np.arange(8), atol=0.2)
    (points,) = drawn.lines(alignment.axes[3], "trpo 2")
    expected = ds.lam_alignment.sel(task="hopper", algo="trpo", iteration=150, seed=2)
    np.testing.assert_array_equal(points[:, 1], expected)
    (signal,) = drawn.lines(panel, "signal")
    np.testing.assert_allclose(
        signal[:, 1], ds.signal.sel(task="walker2d", algo="trpo", iteration=450).median()
    )
    (points,) = drawn.lines(shares.axes[4], "true ppo 0")
    expected = ds.gain_share.sel(task="hopper", algo="ppo", seed=0, subtracted="true")
    np.testing.assert_array_equal(points[:, 1], expected)
    np.testing.assert_allclose(points[:, 0], ds.iteration, atol=50)
    (points,) = drawn.lines(shares.axes[6], "ratio trpo 1")
    left = ds.return_variance.sel(task="hopper", algo="trpo", seed=1)
    np.testing.assert_allclose(points[:, 1], left.sel(subtracted="value") / left.sel(subtracted="true"))


def test_alignments_that_are_not_drawn_where_they_lie_are_counted():
    ds = dataset("gae", tasks=("hopper",))
    assert "|G|²" not in drawn.texts(plot(ds)[1])
    ds.signal[0, 0, 0] = -0.01
    ds.lam_alignment[0, 0, 0] = np.nan
    ds.lam_alignment[0, 1, 0, 0, :2] = 1.0
    words = drawn.texts(plot(ds)[1])
    assert "|G|² ≤ 0 (3 of 18)" in words and "beyond ±1 (2 of 120)" in words


def test_no_point_is_dropped_where_a_squared_bias_comes_out_at_zero_or_below():
    ds = dataset("gae")
    rng = np.random.default_rng(0)
    ds["lam_bias"] = ds.lam_bias + 0.02 * rng.standard_normal(ds.lam_bias.shape)
    assert (ds.lam_bias < 0).any() and (dataset("gae").lam_bias == 0).any()
    for panel, (task, algo) in zip(
        plot(ds)[0].axes[::3],
        [("walker2d", "ppo"), ("walker2d", "trpo"), ("hopper", "ppo"), ("hopper", "trpo")],
        strict=True,
    ):
        low, high = panel.get_ylim()
        for name in ("lam_bias", "lam_variance", "lam_error"):
            points = np.concatenate([drawn.lines(panel, f"{name} {seed}")[0] for seed in (0, 1, 2)])
            expected = (
                ds[name].sel(task=task, algo=algo, iteration=150).transpose("seed", "lam").values.ravel()
            )
            np.testing.assert_array_equal(points[:, 1], expected)
            assert np.all((low <= points[:, 1]) & (points[:, 1] <= high))


def test_distance_from_zero_is_the_root_of_a_value_on_both_sides():
    panel = plot(dataset("gae"))[0].axes[0]
    to_frame = panel.transData.transform([(0, value) for value in (-0.01, 0, 0.01, 0.04)])[:, 1]
    down, up, twice = np.diff(to_frame)[0], np.diff(to_frame)[1], to_frame[3] - to_frame[1]
    np.testing.assert_allclose([down, twice], [up, 2 * up])
    low, high = panel.get_ylim()
    ticks = [tick for tick in panel.get_yticks() if low <= tick <= high]
    assert 0 in ticks and len(ticks) >= 3


def test_a_bar_ends_at_the_frame():
    ds = dataset("gae", seeds=(0,), algos=("ppo",), tasks=("hopper",))
    ds.lam_bias_ci.sel(bound="low")[..., 0] = -50
    panel = plot(ds)[0].axes[0]
    (bars,) = [c for c in panel.collections if c.get_label() == "lam_bias 0"]
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    assert ends.min() == panel.get_ylim()[0] > -50


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize(
    "grid",
    [
        {},
        {"tasks": ("humanoid",), "algos": ("ppo", "ppo_m", "trpo")},
        {"seeds": (0,), "iterations": (2,), "budgets": (300, 1000), "lambdas": (0.0, 0.95, 1.0)},
        {
            "tasks": ("hopper",),
            "seeds": (0,),
            "iterations": (0,),
            "algos": ("trpo",),
            "budgets": (100,),
            "lambdas": (1.0,),
        },
    ],
)
def test_nothing_covers_anything(figure, grid):
    for page in plot(dataset(figure, **grid)):
        assert drawn.overlaps(page) == drawn.small_texts(page) == []


@pytest.mark.parametrize("figure", FIGURES)
def test_what_was_not_estimated_stays_blank(figure):
    ds = dataset(figure, seeds=(0, 1))
    for name in ds.data_vars:
        if "seed" in ds[name].dims:
            ds[name].loc[{"task": "hopper", "algo": "trpo", "seed": 1}] = np.nan
    panel = plot(ds)[0].axes[9]
    assert {label for label in drawn.labels(panel) if label.endswith(" 1")} == set()
    assert {label for label in drawn.labels(panel) if label.endswith(" 0")} != set()


@pytest.mark.parametrize("figure", FIGURES)
def test_other_results_are_refused(figure):
    ds = combine({"a.nc": estimate("hopper", "ppo", 0, 150)})
    name = "cosine" if figure == "fig4" else "lam_bias"
    with pytest.raises(UserError, match=f"has no variable '{name}'"):
        select(figure, ds.drop_vars(name), PARAMS)
    del ds.attrs["level"]
    with pytest.raises(UserError, match="different levels"):
        select(figure, ds, PARAMS)
