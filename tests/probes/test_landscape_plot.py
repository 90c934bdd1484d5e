"""The figures of landscapes: which panels they have, that colours compare, and that the numbers are those of the data."""

import numpy as np
import pytest
import xarray as xr

from pgprim.core.correlation import rank_correlation
from pgprim.core.intervals import Interval
from pgprim.core.smoothing import moderated_se, smooth
from pgprim.plotting.combine import combine
from pgprim.probes.landscape.label import plane_dataset, slice_dataset, steps_dataset
from pgprim.probes.landscape.measure import _rewards as estimate_rewards
from pgprim.probes.landscape.plot import FIGURES, plot, select
from pgprim.probes.landscape.record import KINDS
from pgprim.store.datasets import load_dataset, save_dataset
from pgprim.types.errors import UserError
from tests.plotting.drawn import band, lines, overlaps, texts
from tests.probes.synthetic import PPO, make_checkpoint

PARAMS = {"plot": {"level": 0.95}}
AXIS = np.linspace(0, 3, 4)
ALPHA, BETA = np.meshgrid(AXIS, AXIS, indexing="ij")
SURROGATE = 0.02 * ALPHA - 0.01 * BETA**2
NOISE = 8.0


ALONG = np.linspace(0, 3, 7)


def _rewards(means, counts, rng):
    """What the probe makes of episodes with these means, over the points' own dimensions and sizes."""
    returns = [[mean + NOISE * rng.standard_normal(count) for count in counts] for mean in means.ravel()]
    return estimate_rewards(returns, means.shape)


def _slice(checkpoint, kind, pairs, sign, rng):
    """A slice whose reward follows the surrogate on fresh batches, and at iteration 150 goes against it."""
    own, fresh = 0.1 * ALONG, 0.02 * ALONG
    numbers = {
        "slice_surrogate": own,
        "slice_fresh": Interval(fresh, fresh - 0.01, fresh + 0.01),
        "slice_fresh_batch": np.stack([fresh - 0.01, fresh, fresh + 0.01], 1),
        "promised": Interval(0.1, 0.08, 0.12),
        "promised_fresh": Interval(0.02, 0.01, 0.03),
        "kept": Interval(*(np.array([end]) for end in (20.0 * sign, 20.0 * sign - 5, 20.0 * sign + 5))),
        "slice_step_norm": 0.3,
        "slice_batch_pairs": pairs,
    }
    rewards = _rewards(100 + 1000 * sign * fresh, [300], rng)
    return slice_dataset(checkpoint, kind, ALONG, numbers, rewards, [30000])


def landscapes(tasks=("humanoid",), algos=("trpo",), iterations=(0, 150), kinds=KINDS):
    """All landscapes of some agents, by file name; at iteration 150 the reward goes against the surrogate."""
    rng = np.random.default_rng(0)
    found = {}
    for task in tasks:
        for algo in algos:
            for iteration in iterations:
                checkpoint = make_checkpoint(PPO, 0, iteration)
                checkpoint = type(checkpoint)(**(vars(checkpoint) | {"task": task, "algo": algo}))
                sign = -1 if iteration else 1
                truth = 100 + sign * 1000 * SURROGATE
                scalars = {"step_norm": 0.3, "random_norm": 2.0}
                for kind, budgets, pairs in (("few", [100, 1000], 2048), ("many", [1000], 10**6)):
                    sizes = {"budget": budgets, "trajectories": [20, 1000] if kind == "few" else []}
                    rewards = {
                        "budget": _rewards(truth, [b // 10 for b in budgets], rng),
                        "trajectories": _rewards(truth, [20, 100], rng),
                    }
                    found[f"{task}/{algo}/{iteration}/{kind}"] = plane_dataset(
                        checkpoint,
                        kind,
                        AXIS,
                        SURROGATE,
                        rewards,
                        sizes,
                        scalars | {"batch_pairs": pairs},
                    )
                    found[f"{task}/{algo}/{iteration}/slice_{kind}"] = _slice(
                        checkpoint, kind, pairs, sign, rng
                    )
                gains = np.linspace(0, 0.05, 30)
                found[f"{task}/{algo}/{iteration}/steps"] = steps_dataset(
                    checkpoint, gains, np.ones(30), _rewards(100 + sign * 1000 * gains, [50], rng), [500]
                )
    return {name: ds for name, ds in found.items() if name.split("/")[-1] in kinds}


@pytest.fixture(scope="module")
def everything() -> xr.Dataset:
    return combine(landscapes())


PANELS = {
    "fig5": (1, ["100 pairs", "1K pairs"]),
    "fig20": (2, ["100 pairs", "1K pairs"]),
    "fig6": (1, ["surrogate", "reward, 1K pairs", "surrogate", "reward, 1K pairs"]),
    "fig13": (2, ["surrogate", "reward, 1K pairs", "surrogate", "reward, 1K pairs"]),
    "trajectories": (2, ["up to 20 trajectories", "up to 1000 trajectories"]),
}


@pytest.mark.parametrize("figure", PANELS)
def test_panels_are_where_the_paper_has_them(everything, figure):
    rows, titles = PANELS[figure]
    ds = select(figure, everything, PARAMS)
    assert ds.title.shape == (rows, len(titles))
    assert [title.partition("\n")[0] for title in ds.title.values[0]] == titles
    if len(titles) == 4:
        assert [title.partition("\n")[2] for title in ds.title.values[0]] == [
            *["step by 2K pairs"] * 2,
            *["step by 1M pairs"] * 2,
        ]
        np.testing.assert_array_equal(ds.shown[0, 0], SURROGATE)
    expected = ["iteration 150"] if figure == "fig5" else ["iteration 0", "iteration 150"][:rows]
    assert ds.row_name.values.tolist() == expected


def test_a_reward_panel_shows_the_landscape_of_its_budget(everything):
    ds = select("fig13", everything, PARAMS)
    few = everything.squeeze().sel(iteration=0, kind="few", budget=1000)
    np.testing.assert_array_equal(ds.shown[0, 1], few.reward)
    assert ds.trajectories_min[0, 1] == ds.trajectories_max[0, 1] == 100
    assert (
        0
        < ds.noise_share_ci.sel(bound="low")[0, 1]
        < ds.noise_share[0, 1]
        < ds.noise_share_ci.sel(bound="high")[0, 1]
        < 0.1
    )
    few, many = select("fig5", everything, PARAMS).noise_share.values[0]
    assert few > 3 * many


def test_pages_have_surfaces_and_maps_of_one_scale_per_row(everything):
    ds = select("fig13", everything, PARAMS)
    surfaces, maps, smoothed = plot(ds)
    assert [panel.name for panel in surfaces.axes] == ["3d"] * 8
    for row in range(2):
        limits = ds.shown.values[row, [1, 3]]
        for column in (1, 3):
            drawn = surfaces.axes[4 * row + column].get_zlim()
            np.testing.assert_allclose(drawn, (limits.min(), limits.max()))
    meshes = [next(c for c in panel.collections if hasattr(c, "_coordinates")) for panel in maps.axes[:8]]
    for row in range(2):
        assert meshes[4 * row + 1].get_clim() == meshes[4 * row + 3].get_clim()
        assert meshes[4 * row].get_clim() == (SURROGATE.min(), SURROGATE.max())
    np.testing.assert_allclose(meshes[1].get_array(), ds.shown.values[0, 1].T)
    other = [next(c for c in panel.collections if hasattr(c, "_coordinates")) for panel in smoothed.axes[:2]]
    np.testing.assert_allclose(other[0].get_array(), ds.shown.values[0, 0].T)
    np.testing.assert_allclose(other[1].get_array(), ds.smoothed.values[0, 1].T)
    for page in (surfaces, maps, smoothed):
        words = texts(page)
        for word in ("TRPO, Humanoid", "iteration 150", "100 traj.", "noise", "‖step‖ = 0.3"):
            assert word in words


PAGES = {"alignment": 2, "slices": 2, "promise": 2}


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_drawn_from_its_kept_data(everything, figure, tmp_path):
    ds = select(figure, everything, PARAMS)
    save_dataset(tmp_path / "kept.nc", ds)
    kept = load_dataset(tmp_path / "kept.nc")
    xr.testing.assert_equal(kept, ds)
    pages = plot(kept)
    assert len(pages) == PAGES.get(figure, 3) and all(page.axes for page in pages)


def test_smoothed_rewards_are_nearer_to_the_truth(everything):
    """The very surface of `core.smoothing`, from the standard errors of the points."""
    ds = select("fig5", everything, PARAMS)
    truth = 100 - 1000 * SURROGATE
    raw, smoothed = ds.shown.values[0, 0], ds.smoothed.values[0, 0]
    assert np.square(smoothed - truth).mean() < 0.5 * np.square(raw - truth).mean()
    few = everything.squeeze().sel(iteration=150, kind="few", budget=100)
    points = np.stack([ALPHA.ravel(), BETA.ravel()], 1)
    error = moderated_se(few.reward_se.values.ravel(), few.num_trajectories.values.ravel())
    right = smooth(points, few.reward.values.ravel(), error).mean
    np.testing.assert_allclose(smoothed.ravel(), right)


def test_alignment_is_the_rank_correlation_along_the_step(everything):
    """Within each β the surrogate rises with α, and so does the reward, or falls."""
    ds = select("alignment", everything, PARAMS).squeeze(drop=True)
    assert (ds.correlation.sel(iteration=0) > 0.9).all()
    assert (ds.correlation.sel(iteration=150) < -0.9).all()
    for name in ("correlation", "fresh_correlation", "plane_correlation"):
        ends = [ds[f"{name}_ci"].sel(bound=bound) for bound in ("low", "high")]
        assert ((ends[0] <= ds[name]) & (ds[name] <= ends[1])).sum() == ds[name].notnull().sum() > 0
    few = everything.squeeze().sel(iteration=0, kind="few", budget=1000)
    within = [rank_correlation(SURROGATE[:, k], few.reward.values[:, k]) for k in range(4)]
    np.testing.assert_allclose(ds.correlation.sel(kind="few", iteration=0), np.mean(within))
    whole = rank_correlation(SURROGATE.ravel(), few.reward.values.ravel())
    np.testing.assert_allclose(ds.plane_correlation.sel(kind="few", iteration=0), whole)
    np.testing.assert_array_equal(
        ds.plane_correlation.notnull().all("iteration"), [True, True, False, False, False]
    )
    np.testing.assert_array_equal(
        ds.fresh_correlation.notnull().all("iteration"), [False, False, True, True, False]
    )
    assert ds.correlation_budget.sel(kind="steps", iteration=0) == 500
    assert ((ds.ceiling > 0.9) & (ds.ceiling <= 1)).all()
    measured = ds.noise_share.notnull()
    budgets = {
        "few": [100, 1000],
        "many": [1000],
        "slice_few": [30000],
        "slice_many": [30000],
        "steps": [500],
    }
    for kind, right in budgets.items():
        assert measured.budget[measured.sel(iteration=0, kind=kind)].values.tolist() == right
    assert (ds.flat_p.where(measured).stack(all=ds.flat_p.dims).dropna("all") < 1e-6).all()
    correlations, noise = plot(select("alignment", everything, PARAMS))
    assert "rank correlation" in texts(correlations) and "share of noise" in texts(noise)


def test_a_reward_that_follows_the_random_direction_alone_aligns_over_the_plane_and_not_along_the_step():
    rng = np.random.default_rng(1)
    checkpoint = make_checkpoint(PPO, 0, 150)
    rewards = {"budget": _rewards(100 - 1000 * BETA**2, [1000], rng)}
    norms = {"step_norm": 0.3, "random_norm": 2.0, "batch_pairs": 2048}
    sizes = {"budget": [1000], "trajectories": []}
    one = plane_dataset(checkpoint, "few", AXIS, SURROGATE - 0.1 * BETA**2, rewards, sizes, norms)
    ds = select("alignment", combine({"plane": one}), PARAMS).squeeze(drop=True).sel(kind="few")
    assert ds.plane_correlation > 0.85
    assert ds.correlation_ci.sel(bound="low") < 0 < ds.correlation_ci.sel(bound="high")
    assert ds.plane_ceiling > 0.99 and ds.ceiling < 0.9


def test_slices_show_the_dataset(everything):
    ds = select("slices", everything, PARAMS)
    for page, kind in zip(plot(ds), ("few", "many"), strict=True):
        panels = np.array(page.axes).reshape(2, 2)
        for column, iteration in enumerate((0, 150)):
            one = everything.squeeze().sel(kind=kind, iteration=iteration)
            for panel, names in zip(
                panels[:, column], (("slice_surrogate", "slice_fresh"), ("slice_reward",)), strict=True
            ):
                for name in names:
                    values = one[name].sel(budget=30000) if "budget" in one[name].dims else one[name]
                    (line,) = lines(panel, name)
                    np.testing.assert_allclose(line, np.stack([ALONG, values], 1))
            low, high = band(panels[0, column], "slice_fresh band")
            np.testing.assert_allclose([low, high], one.slice_fresh_ci.transpose("bound", "along"))
        assert overlaps(page) == []


def test_promises_show_the_dataset(everything):
    ds = select("promise", everything, PARAMS)
    for page in plot(ds):
        above, below = page.axes
        for panel, name, right in (
            (above, "promised", [0.1, 0.1]),
            (above, "promised_fresh", [0.02, 0.02]),
            (below, "kept", [20, -20]),
        ):
            (points,) = lines(panel, f"{name} trpo 0")
            np.testing.assert_allclose(points, np.stack([[0, 150], right], 1))
        assert overlaps(page) == []


def test_a_figure_of_slices_without_slices_is_one_sentence():
    planes = combine(landscapes(kinds=("few",)))
    with pytest.raises(UserError, match="has no variable 'slice_surrogate'"):
        select("slices", planes, PARAMS)


def test_without_a_complete_episode_there_is_no_reward_and_a_sentence_says_so(everything):
    rewards = [name for name in everything if str(name).startswith(("reward", "first_reward"))]
    endless = everything.assign({name: everything[name] * np.nan for name in rewards})
    with pytest.raises(UserError, match=r"no episode ended at any point.* raise landscape\.few\.budgets"):
        select("fig5", endless, PARAMS)
    with pytest.raises(UserError, match=r"no landscape of the kind 'few'; add it to landscape\.kinds"):
        select("fig5", everything.assign(surrogate=everything.surrogate * np.nan), PARAMS)


def test_kinds_that_were_not_measured_are_left_out():
    few = combine(landscapes(kinds=("few",)))
    assert select("fig13", few, PARAMS).title.shape == (2, 2)
    ds = select("alignment", few, PARAMS)
    assert ds.correlation.sel(kind="few").notnull().all() and ds.correlation.sel(kind="many").isnull().all()
    many = combine(landscapes(kinds=("many",)))
    many.encoding["source"] = "data/landscapes/humanoid"
    with pytest.raises(UserError, match="data/landscapes/humanoid: has no"):
        select("fig5", many, PARAMS)


def test_several_agents_make_named_rows():
    both = combine(landscapes(algos=("ppo", "trpo"), kinds=("few",)))
    ds = select("trajectories", both, PARAMS)
    assert ds.row_name.values.tolist() == [
        f"{algo} iteration {iteration}" for algo in ("PPO", "TRPO") for iteration in (0, 150)
    ]


def test_the_same_landscapes_give_the_same_numbers(everything):
    xr.testing.assert_identical(
        select("alignment", everything, PARAMS), select("alignment", everything.copy(deep=True), PARAMS)
    )
