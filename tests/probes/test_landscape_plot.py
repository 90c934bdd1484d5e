"""The figures of landscapes: which panels they have, that colours compare, and that the numbers are those of the data."""

import numpy as np
import pytest
import xarray as xr

from pgprim.core.episodes import estimate_return
from pgprim.plotting.combine import combine
from pgprim.probes.landscape.label import REWARDS, plane_dataset, steps_dataset
from pgprim.probes.landscape.plot import FIGURES, plot, select
from pgprim.store.datasets import load_dataset, save_dataset
from pgprim.types.errors import UserError
from tests.plotting.drawn import texts
from tests.probes.synthetic import PPO, make_checkpoint

PARAMS = {"plot": {"level": 0.95}}
AXIS = np.linspace(0, 3, 4)
ALPHA, BETA = np.meshgrid(AXIS, AXIS, indexing="ij")
SURROGATE = 0.02 * ALPHA - 0.01 * BETA**2
NOISE = 8.0


def _rewards(means, counts, rng):
    """What the stage makes of episodes with these means, `[point, size]`."""
    found = [
        [estimate_return(mean + NOISE * rng.standard_normal(count)) for count in counts]
        for mean in means.ravel()
    ]
    fields = dict(zip(REWARDS, ("mean", "se", "num", "halves"), strict=True))
    return {
        name: np.array([[getattr(one, field) for one in row] for row in found], float)
        for name, field in fields.items()
    }


def _over_plane(rewards):
    return {name: values.reshape(4, 4, *values.shape[1:]) for name, values in rewards.items()}


def landscapes(tasks=("humanoid",), algos=("trpo",), iterations=(0, 150), kinds=("few", "many", "steps")):
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
                        "budget": _over_plane(_rewards(truth, [b // 10 for b in budgets], rng)),
                        "trajectories": _over_plane(_rewards(truth, [20, 100], rng)),
                    }
                    found[f"{task}/{algo}/{iteration}/{kind}"] = plane_dataset(
                        checkpoint,
                        kind,
                        AXIS,
                        SURROGATE,
                        rewards,
                        sizes,
                        scalars | {"batch_pairs": pairs},
                        {},
                    )
                gains = np.linspace(0, 0.05, 30)
                found[f"{task}/{algo}/{iteration}/steps"] = steps_dataset(
                    checkpoint, gains, np.ones(30), _rewards(100 + sign * 1000 * gains, [50], rng), [500], {}
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
    surfaces, maps = plot(ds)
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
    for page in (surfaces, maps):
        words = texts(page)
        for word in ("TRPO, Humanoid", "iteration 150", "100 traj.", "noise", "‖step‖ = 0.3"):
            assert word in words


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_drawn_from_its_kept_data(everything, figure, tmp_path):
    ds = select(figure, everything, PARAMS)
    save_dataset(tmp_path / "kept.nc", ds)
    kept = load_dataset(tmp_path / "kept.nc")
    xr.testing.assert_equal(kept, ds)
    pages = plot(kept)
    assert len(pages) == 2 and all(page.axes for page in pages)


def test_alignment_is_the_rank_correlation(everything):
    ds = select("alignment", everything, PARAMS).squeeze(drop=True)
    assert (ds.correlation.sel(iteration=0) > 0.9).all()
    assert (ds.correlation.sel(iteration=150) < -0.9).all()
    assert (
        (ds.correlation_ci.sel(bound="low") <= ds.correlation)
        & (ds.correlation <= ds.correlation_ci.sel(bound="high"))
    ).all()
    assert ds.correlation_budget.sel(kind="steps", iteration=0) == 500
    assert ((ds.ceiling > 0.9) & (ds.ceiling <= 1)).all()
    measured = ds.noise_share.notnull()
    np.testing.assert_array_equal(
        measured.sel(iteration=0), [[True, False, True], [False, False, True], [False, True, False]]
    )
    assert (ds.flat_p.where(measured).stack(all=ds.flat_p.dims).dropna("all") < 1e-6).all()
    correlations, noise = plot(select("alignment", everything, PARAMS))
    assert "rank correlation" in texts(correlations) and "share of noise" in texts(noise)


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
