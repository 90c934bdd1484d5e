import numpy as np
import pytest

from pgprim.core.noise_scale import expected_cosine
from pgprim.plotting.combine import combine
from pgprim.plotting.cosines import AGREEMENT, cosine_limits
from pgprim.plotting.intervals import ends_of
from pgprim.probes.gradient.plot import FIGURES, plot, select
from pgprim.types.errors import UserError
from tests.plotting import drawn
from tests.plotting.synthetic import BUDGETS, TRUTH_PAIRS, estimates

PARAMS = {"plot": {"budget": 2048, "level": 0.95, "seeds": 10}}


def dataset(figure: str, regime: int = 2048, **kwargs):
    return select(figure, combine(estimates(**kwargs)), {"plot": {"budget": regime, "level": 0.95}})


@pytest.mark.parametrize(
    ("figure", "name"), [("fig1", "cosine"), ("fig2", "truth_cosine"), ("fig9", "cosine")]
)
def test_a_panel_per_checkpoint_with_the_datasets_values(figure, name):
    ds = dataset(figure)
    panels = plot(ds).axes
    assert [panel.get_title() for panel in panels] == [f"iteration {i}" for i in (0, 150, 300, 450)]
    for panel, iteration in zip(panels, ds.iteration.values, strict=True):
        seeds = {f"{algo} {seed}" for algo in ("ppo", "trpo") for seed in (0, 1, 2)}
        assert drawn.labels(panel) == seeds | {"ppo guide", "trpo guide"}
        for algo in ("ppo", "trpo"):
            for seed in (0, 1, 2):
                one = ds.sel(task="humanoid", algo=algo, seed=seed, iteration=iteration)
                line = drawn.lines(panel, f"{algo} {seed}")[0]
                np.testing.assert_array_equal(line, np.stack([BUDGETS, one[name].values], axis=1))
                low, high = drawn.band(panel, f"{algo} {seed}")
                np.testing.assert_allclose([low, high], ends_of(one, name))
        assert any(set(line.get_xdata()) == {2048} for line in panel.get_lines())


def test_cosines_to_truth_are_also_drawn_corrected():
    ds = dataset("fig10", tasks=("walker2d", "hopper"))
    panel = plot(ds).axes[5]  # second row, second column
    corrected = drawn.lines(panel, "trpo 2")[1]
    expected = ds.truth_cosine_corrected.sel(task="hopper", algo="trpo", seed=2, iteration=150)
    np.testing.assert_array_equal(corrected[:, 1], expected)


def test_a_row_per_task_named_and_labelled_from_attributes():
    figure = plot(dataset("fig9", tasks=("hopper", "walker2d", "ant"), iterations=(0, 2)))
    assert len(figure.axes) == 6
    assert [drawn.row_name(panel) for panel in figure.axes[1::2]] == ["Walker2d", "Hopper", "Ant"]
    assert figure.axes[0].get_ylabel().replace("\n", " ") == "Mean pairwise cosine of the estimates"
    words = drawn.texts(figure)
    assert "State-action pairs per estimate [pairs]" in words
    assert "95 % interval within the agent" in words
    assert "2K: pairs per training iteration" in words
    assert "PPO, one line per seed" in words and "TRPO, one line per seed" in words


def test_the_truths_size_is_said():
    ds = dataset("fig2")
    assert "truth from 450K pairs" in drawn.texts(plot(ds))
    assert set(ds.data_vars) & set(dataset("fig1").data_vars) == {"marked"}  # the findings' tables merge them
    assert ds.truth_cosine_guide.dims == (
        "task",
        "algo",
        "iteration",
        "budget",
    )  # of the seeds that reach a budget
    np.testing.assert_allclose(ds.truth_pairs, TRUTH_PAIRS * 9 / 10)  # the other nine of ten trials


def test_a_cosine_to_an_unreliable_truth_is_not_corrected():
    parts = combine(estimates(seeds=(0, 1)))
    parts.truth_reliability.loc[{"seed": 1}] = 0.49
    parts.truth_reliability.loc[{"seed": 0, "algo": "trpo"}] = np.nan
    panel = plot(select("fig2", parts, PARAMS)).axes[1]
    drawn_points = {
        f"{algo} {seed}": int(np.isfinite(drawn.lines(panel, f"{algo} {seed}")[1][:, 1]).sum())
        for algo in ("ppo", "trpo")
        for seed in (0, 1)
    }
    assert drawn_points == {"ppo 0": len(BUDGETS), "ppo 1": 0, "trpo 0": 0, "trpo 1": 0}


def test_missing_combinations_stay_blank():
    files = estimates(tasks=("hopper", "humanoid"), seeds=(0, 1))
    kept = {
        name: ds for name, ds in files.items() if name not in _named("humanoid/trpo/1/300", "hopper/ppo/0/0")
    }
    panels = plot(select("fig9", combine(kept), PARAMS)).axes
    guides = {"ppo guide", "trpo guide"}
    assert drawn.labels(panels[2]) == {"ppo 0", "ppo 1", "trpo 0"} | guides
    assert drawn.labels(panels[4]) == {"ppo 1", "trpo 0", "trpo 1"} | guides
    assert len(plot(select("noise_scale", combine(kept), PARAMS)).axes) == 8


def _named(*agents: str) -> list[str]:
    return [f"data/estimates/{agent}.nc" for agent in agents]


def test_one_budget_still_shows_its_interval():
    ds = dataset("fig1", budgets=(1000,), seeds=(0,), algos=("ppo",), iterations=(0,))
    (panel,) = plot(ds).axes
    (bar,) = [c.get_segments()[0] for c in panel.collections if hasattr(c, "get_segments")]
    np.testing.assert_allclose(bar[:, 1], ends_of(ds, "cosine").ravel())


def test_axis_reaches_down_to_the_cosines_and_not_to_every_band():
    ds = dataset("fig1")
    ds.cosine_ci.sel(bound="low")[..., 0] = -0.9
    assert -0.3 < cosine_limits(ds, [AGREEMENT])[0] < -0.15
    ds.cosine[..., 0] = -0.6
    assert cosine_limits(ds, [AGREEMENT])[0] < -0.6


def test_noise_scale_panels_hold_points_curves_and_growth():
    ds = dataset("noise_scale", tasks=("walker2d", "hopper"), seeds=(0, 1))
    figure = plot(ds)
    ppo, trpo, pairs, trajectories = figure.axes[4:]  # second row: Hopper
    hopper = ds.sel(task="hopper")
    assert [panel.get_title() for panel in figure.axes[:4]] == [
        "PPO",
        "TRPO",
        "B [pairs]",
        "B [trajectories]",
    ]
    for panel, algo in ((ppo, "ppo"), (trpo, "trpo")):
        one = hopper.sel(algo=algo, iteration=300)
        scale = float(one.noise_scale.sel(budget=BUDGETS[-1]).median())
        (points,), (curve,) = drawn.lines(panel, "300 median"), drawn.lines(panel, "300 curve")
        np.testing.assert_allclose(points[:, 1], one.cosine.mean("seed"))  # the median of two seeds
        np.testing.assert_allclose(curve[:, 1], expected_cosine(curve[:, 0], scale))
        (ranges,) = [c for c in panel.collections if c.get_label() == "300 range"]
        ends = np.array(ranges.get_segments())[:, :, 1]
        np.testing.assert_array_equal(ends, np.sort(one.cosine.transpose("budget", "seed"), axis=1))
    for panel, name in ((pairs, "noise_scale"), (trajectories, "noise_scale_episodes")):
        (line,) = drawn.lines(panel, "trpo 0")
        np.testing.assert_allclose(line[:, 1], hopper[name].sel(algo="trpo", seed=0, budget=BUDGETS[-1]))
        assert panel.get_yscale() == "log"
        assert np.all(np.abs(line[:, 0] - hopper.iteration.values) < 75)
    (bars,) = [c for c in pairs.collections if c.get_label() == "trpo 0"]
    ends = np.array(bars.get_segments())[:, :, 1]
    one = hopper.sel(algo="trpo", seed=0, budget=BUDGETS[-1])
    low, high = ends_of(one, "noise_scale")
    np.testing.assert_allclose(ends[:, 0], low)
    np.testing.assert_allclose(ends[:, 1], np.minimum(high, pairs.get_ylim()[1]))


def test_an_interval_that_goes_on_above_the_frame_ends_in_an_arrowhead():
    parts = combine(estimates(seeds=(0,), algos=("ppo",)))
    parts.noise_scale_ci.sel(bound="high")[..., 2, -1] = np.inf
    figure = plot(select("noise_scale", parts, PARAMS))
    _, pairs, _ = figure.axes
    (arrow,) = drawn.lines(pairs, "ppo 0 above")
    top = pairs.get_ylim()[1]
    highest = parts.noise_scale_ci.sel(bound="high", budget=BUDGETS[-1]).squeeze().values
    goes_on = highest > top
    assert goes_on[2] and not goes_on.all()
    np.testing.assert_array_equal(arrow[goes_on, 1], top)
    assert np.isnan(arrow[~goes_on, 1]).all()
    words = drawn.texts(figure)
    assert "interval goes on above the frame" in words and "B is infinite" not in words


def test_an_infinite_noise_scale_is_an_open_line_without_a_point():
    parts = combine(estimates(seeds=(0,), algos=("ppo",)))
    parts.noise_scale[..., 3, -1] = parts.noise_scale_episodes[..., 3, -1] = np.inf
    for end, value in (("low", 2e5), ("high", np.inf)):
        parts.noise_scale_ci.sel(bound=end)[..., 3, -1] = value
    figure = plot(select("noise_scale", parts, PARAMS))
    cosines, pairs, _ = figure.axes
    assert not drawn.lines(cosines, "450 curve")
    assert drawn.lines(cosines, "450 median")
    assert "no point: B is infinite" in drawn.texts(figure)
    (line,) = drawn.lines(pairs, "ppo 0")
    assert np.isnan(line[3, 1]) and np.isfinite(line[:3, 1]).all()
    (bars,) = [c for c in pairs.collections if c.get_label() == "ppo 0"]
    (arrow,) = drawn.lines(pairs, "ppo 0 above")
    low, high = bars.get_segments()[3][:, 1]
    assert arrow[3, 1] == high and np.isnan(arrow[0, 1])
    assert high == pairs.get_ylim()[1] and low == min(2e5, high)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize(
    "grid",
    [
        {"tasks": ("humanoid",)},
        {"tasks": ("walker2d", "hopper"), "algos": ("ppo", "ppo_m", "trpo")},
        {"seeds": (0, 1), "iterations": (0, 2), "budgets": (100, 300, 1000), "trials": 4},
        {"seeds": (0,), "iterations": (0,), "budgets": (100,), "algos": ("trpo",), "trials": 3},
    ],
)
def test_nothing_covers_anything(figure, grid):
    page = plot(dataset(figure, **grid))
    assert drawn.overlaps(page) == drawn.small_texts(page) == []


@pytest.mark.parametrize("figure", FIGURES)
def test_other_results_are_refused(figure):
    ds = combine(estimates(seeds=(0,), iterations=(0,))).drop_vars(["cosine", "truth_cosine"])
    with pytest.raises(UserError, match=r"has no variable '(truth_)?cosine'"):
        select(figure, ds, PARAMS)


def test_intervals_of_different_levels_are_refused():
    parts = estimates(seeds=(0, 1), iterations=(0,))
    next(iter(parts.values())).attrs["level"] = 0.9
    ds = combine(parts)
    ds.encoding["source"] = "data/estimates/gradient"
    with pytest.raises(UserError, match=r"^data/estimates/gradient: .* different levels"):
        select("fig1", ds, PARAMS)


def test_a_curve_shows_what_the_median_noise_scale_predicts():
    for figure, power in (("fig1", 1), ("fig2", 0.5)):
        ds = dataset(figure)
        files = combine(estimates())
        for panel, iteration in zip(plot(ds).axes, ds.iteration.values, strict=True):
            scales = files.noise_scale.sel(
                task="humanoid", algo="trpo", iteration=iteration, budget=BUDGETS[-1]
            )
            (curve,) = drawn.lines(panel, "trpo guide")
            n, scale = curve[:, 0], float(np.median(scales))
            np.testing.assert_allclose(curve[:, 1], (n / (n + scale)) ** power)


def test_a_curve_follows_the_seeds_that_reach_a_budget():
    parts = combine(estimates(algos=("ppo",), iterations=(150,)))
    reach = 2048
    for name in ("cosine", "noise_scale"):
        parts[name].loc[{"seed": [1, 2], "budget": parts.budget[parts.budget > reach]}] = np.nan
    (panel,) = plot(select("fig1", parts, PARAMS)).axes
    common, beyond = drawn.lines(panel, "ppo guide")
    own = [float(parts.noise_scale.sel(seed=0, budget=BUDGETS[-1]).squeeze())]
    own += [float(parts.noise_scale.sel(seed=seed, budget=reach).squeeze()) for seed in (1, 2)]
    np.testing.assert_allclose(common[:, 1], expected_cosine(common[:, 0], np.median(own)))
    np.testing.assert_allclose(beyond[:, 1], expected_cosine(beyond[:, 0], own[0]))
    assert common[-1, 0] == beyond[0, 0] == pytest.approx(reach)


def test_the_pairs_of_training_are_named_at_their_line():
    for figure in (*FIGURES,):
        panel = plot(dataset(figure)).axes[0]
        (name,) = (text for text in panel.texts if text.get_text() == "2K")
        assert name.xy[0] == 2048


def test_budgets_up_to_a_million_have_a_readable_axis():
    panel = plot(dataset("fig2", budgets=np.geomspace(100, 1e6, 13).round().astype(int))).axes[-1]
    low, high = panel.get_xlim()
    assert low < 100 and high > 1e6
    assert panel.xaxis.get_majorticklocs().tolist() == [1e2, 1e4, 1e6]


def test_a_task_or_checkpoint_without_a_number_has_no_empty_panels():
    files = combine(estimates(tasks=("hopper", "humanoid"), seeds=(0,)))
    hollow = files.copy(deep=True)
    hollow.cosine.loc[{"task": "humanoid"}] = np.nan
    hollow.cosine.loc[{"iteration": 300}] = np.nan
    figure = plot(select("fig9", hollow, PARAMS))
    assert [panel.get_title() for panel in figure.axes] == ["iteration 0", "iteration 150", "iteration 450"]
    assert all(drawn.lines(panel, "ppo 0") for panel in figure.axes)
