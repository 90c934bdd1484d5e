"""The figures of landscapes: which panels they have, that colours compare, and that the numbers are those of the data."""

import numpy as np
import pytest
import xarray as xr

from pgprim.core.correlation import rank_correlation
from pgprim.core.intervals import Interval, t_interval
from pgprim.core.smoothing import moderated_se, smooth
from pgprim.core.welch import welch_interval
from pgprim.plotting.combine import combine
from pgprim.plotting.labels import number_label
from pgprim.plotting.save import save
from pgprim.probes.landscape.alignment import surrogate_noise
from pgprim.probes.landscape.label import plane_dataset, slice_dataset, steps_dataset
from pgprim.probes.landscape.measure import _rewards as estimate_rewards
from pgprim.probes.landscape.plot import FIGURES, plot, select
from pgprim.probes.landscape.record import KINDS
from pgprim.probes.landscape.slices import OF_SURROGATES
from pgprim.store.datasets import load_dataset, save_dataset
from pgprim.types.errors import UserError
from tests.plotting.drawn import band, lines, overlaps, small_texts, texts
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
    own, fresh, unclipped = 0.1 * ALONG, 0.02 * ALONG, 0.03 * ALONG
    numbers = {
        "slice_surrogate": own,
        "slice_fresh": Interval(fresh, fresh - 0.01, fresh + 0.01),
        "slice_fresh_unclipped": Interval(unclipped, unclipped - 0.01, unclipped + 0.01),
        "slice_fresh_batch": np.stack([fresh - 0.01, fresh, fresh + 0.01], 1),
        "promised": Interval(0.1, 0.08, 0.12),
        "promised_fresh": Interval(0.02, 0.01, 0.03),
        "promised_fresh_unclipped": Interval(0.03, 0.02, 0.04),
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
                        SURROGATE if kind == "few" else SURROGATE / 5,
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
            *["step from 2K pairs"] * 2,
            *["step from 1M pairs"] * 2,
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


def _mesh(panel):
    """The heat map of a panel."""
    return next(c for c in panel.collections if hasattr(c, "_coordinates"))


def _arrows(panel):
    """From where to where each arrow of a panel points."""
    found = [text for text in panel.texts if getattr(text, "arrow_patch", None)]
    return [(arrow.xyann, arrow.xy) for arrow in found]


def test_maps_lead_with_one_scale_per_row_for_rewards_and_one_per_panel_for_surrogates(everything):
    ds = select("fig13", everything, PARAMS)
    raw, smoothed, errors, _ = plot(ds)
    panels = [
        [page.axes[4 * row + column] for column in range(4)] for page in (raw, smoothed) for row in (0, 1)
    ]
    for line in panels:
        few, reward, many, other = map(_mesh, line)
        assert reward.get_clim() == other.get_clim()
        assert few.get_clim() == (SURROGATE.min(), SURROGATE.max())
        np.testing.assert_allclose(many.get_clim(), (SURROGATE.min() / 5, SURROGATE.max() / 5))
        assert all(_arrows(panel) == [((0, 0), (1, 0))] for panel in line)
    for row in range(2):
        rewards = ds.shown.values[row, [1, 3]]
        np.testing.assert_allclose(_mesh(panels[row][1]).get_clim(), (rewards.min(), rewards.max()))
        rewards = ds.smoothed.values[row, [1, 3]]
        np.testing.assert_allclose(_mesh(panels[2 + row][1]).get_clim(), (rewards.min(), rewards.max()))
    np.testing.assert_allclose(_mesh(raw.axes[1]).get_array(), ds.shown.values[0, 1].T)
    np.testing.assert_allclose(_mesh(smoothed.axes[0]).get_array(), ds.shown.values[0, 0].T)
    np.testing.assert_allclose(_mesh(smoothed.axes[1]).get_array(), ds.smoothed.values[0, 1].T)
    for page in (raw, smoothed, errors):
        assert all(
            word in texts(page)
            for word in ("TRPO", "Humanoid", "iteration 150", "100 trajectories per point")
        )
    assert "‖step‖ = 0.3\nfrom −0.09 (dark) to 0.06" in texts(raw)
    assert "‖step‖ = 0.3\nfrom −0.018 (dark) to 0.012" in texts(raw)
    for line in panels:
        few, reward, many, other = (_mesh(panel).get_cmap().name for panel in line)
        assert few == many != reward == other


def test_rows_of_rewards_alone_are_there_again_on_a_scale_per_panel(everything):
    ds = select("fig20", everything, PARAMS)
    raw = plot(ds)[0]
    for row in range(2):
        shared, own = raw.axes[4 * row : 4 * row + 2], raw.axes[4 * row + 2 : 4 * row + 4]
        rewards = ds.shown.values[row]
        for column in range(2):
            for panel in (shared[column], own[column]):
                np.testing.assert_allclose(_mesh(panel).get_array(), rewards[column].T)
            np.testing.assert_allclose(_mesh(shared[column]).get_clim(), (rewards.min(), rewards.max()))
            ends = (rewards[column].min(), rewards[column].max())
            np.testing.assert_allclose(_mesh(own[column]).get_clim(), ends)
        assert (
            own[0].get_title() == f"from {number_label(rewards[0].min())} to {number_label(rewards[0].max())}"
        )
        assert own[0].get_ylabel().endswith("own scales")


def test_norms_of_different_steps_stand_at_their_rows_and_not_as_a_range(everything):
    apart = everything.copy(deep=True)
    apart.step_norm.loc[{"iteration": 150}] = 0.5
    raw = plot(select("fig20", apart, PARAMS))[0]
    assert "‖step‖" not in raw.get_suptitle()
    assert [panel.get_ylabel().split("\n")[1] for panel in raw.axes[:8:4]] == ["‖step‖ 0.3", "‖step‖ 0.5"]
    assert "‖step‖ 0.3, " in plot(select("fig20", everything, PARAMS))[0].get_suptitle()
    beside_surrogates = plot(select("fig13", apart, PARAMS))[0]
    assert not any("‖step‖" in panel.get_ylabel() for panel in beside_surrogates.axes)
    assert sum("‖step‖ = 0.5" in panel.get_title() for panel in beside_surrogates.axes) == 2


def test_standard_error_and_range_of_a_reward_stand_above_it_in_plain_digits(everything):
    """The returns have standard deviation 8, so that 10 of them give a standard error of about 2.5."""
    few = everything.squeeze().sel(iteration=150, kind="few", budget=100)
    spread, size = float(few.reward_se.median()), float(few.reward.max() - few.reward.min())
    assert 2 < spread < 3 and 100 < size < 200
    ds = select("fig5", everything, PARAMS)
    (words,) = (panel.get_title() for panel in plot(ds)[0].axes[:1])
    numbers = f"SE {spread:.1f}, range {round(size, -1):.0f}\nnoise: < 1 % of the variance"
    assert ds.noise_share[0, 0] < 0.01
    assert words == f"100 pairs\n10 trajectories per point\n{numbers}"
    assert [number_label(value) for value in (128.3, 0.0234, 2.0, -0.09, 1234.0)] == [
        "130",
        "0.023",
        "2",
        "−0.09",
        "1200",
    ]


def test_standard_errors_are_drawn_against_the_range_of_their_row(everything):
    ds = select("fig13", everything, PARAMS)
    page = plot(ds)[2]
    meshes = [_mesh(panel) for panel in page.axes[:4]]
    for place, mesh in enumerate(meshes):
        row, column = divmod(place, 2)
        np.testing.assert_allclose(mesh.get_array(), ds.se.values[row, 2 * column + 1].T)
        rewards = ds.shown.values[row, [1, 3]]
        np.testing.assert_allclose(mesh.get_clim(), (0, np.ptp(rewards) / 4))
    np.testing.assert_array_equal(
        ds.se[1, 1], everything.squeeze().reward_se.sel(iteration=150, kind="few", budget=1000)
    )


@pytest.mark.parametrize("figure, colour", [("fig13", "surrogate"), ("fig19", "mean return")])
def test_a_page_has_one_large_surface_at_most(everything, figure, colour):
    """Of the last checkpoint, with the step from where the agent stands, and an axis that says what its height is."""
    ds = select(figure, everything, PARAMS)
    *maps, surface = plot(ds)
    assert all(panel.name != "3d" for page in maps for panel in page.axes)
    (panel,) = (panel for panel in surface.axes if panel.name == "3d")
    box = panel.get_position()
    assert box.width * box.height > 0.5
    assert panel.get_zlabel() == "mean return [reward]" and "iteration 150" in texts(surface)
    assert surface.axes[1].get_ylabel().startswith(colour)
    reward = ds.shown.values[1, 1]
    step = next(line for line in panel.get_lines() if line.get_label() == "step")
    x, y, z = step.get_data_3d()
    assert (x[0], x[-1]) == (0, 1) and not np.any(y)
    np.testing.assert_allclose((z[0], z[-1]), (reward[0, 0], reward[1, 0]))


PAGES = {"alignment": 5, "slices": 1, "promise": 2}


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_drawn_from_its_kept_data(everything, figure, tmp_path):
    ds = select(figure, everything, PARAMS)
    save_dataset(tmp_path / "kept.nc", ds)
    kept = load_dataset(tmp_path / "kept.nc")
    xr.testing.assert_equal(kept, ds)
    pages = plot(kept)
    assert len(pages) == PAGES.get(figure, 4) and all(page.axes for page in pages)


def test_points_without_a_complete_episode_are_blank_and_the_rest_is_drawn(everything):
    """As around a Hopper that never falls, at the checkpoint itself and everywhere in one plane of the last row."""
    names = ("reward", "reward_se", "reward_half")
    corner = (everything.alpha > 0) | (everything.beta > 0)
    plane = (everything.kind != "few") | (everything.iteration != 150)
    holed = everything.assign({name: everything[name].where(corner) for name in names})
    ds = select("fig13", holed, PARAMS)
    raw, _, errors, surface = plot(ds)
    for page in (raw, errors):
        page.draw_without_rendering()
    assert (
        np.ma.getmaskarray(_mesh(raw.axes[1]).get_array())[0, 0]
        and np.isfinite(_mesh(raw.axes[1]).get_array()[1:]).all()
    )
    surface.draw_without_rendering()
    without = everything.assign({name: everything[name].where(plane) for name in names})
    raw, *_, surface = plot(select("fig13", without, PARAMS))
    assert raw.axes[4].get_title().startswith("surrogate\nstep from 1M pairs\n")
    assert "step from 1M pairs" in texts(surface)
    assert surface.axes[1].get_ylim()[1] == pytest.approx(SURROGATE.max() / 5)


@pytest.mark.parametrize("figure", ["fig5", "fig13", "alignment", "slices", "promise"])
def test_no_words_are_too_small_or_too_long_for_the_page(everything, figure):
    for page in plot(select(figure, everything, PARAMS)):
        assert small_texts(page) == []
        width, height = page.bbox.width, page.bbox.height
        named = [[panel.title, panel.xaxis.label, panel.yaxis.label] for panel in page.axes]
        named += [[panel.zaxis.label] for panel in page.axes if panel.name == "3d"]
        named += [page.texts, *(legend.get_texts() for legend in page.legends)]
        words = [text for texts_of in named for text in texts_of if text.get_text().strip()]
        assert len(words) > 4
        for text in words:
            box = text.get_window_extent()
            assert box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1, text


def test_figures_are_the_same_bytes_twice(everything, tmp_path):
    for figure in ("fig13", "slices", "alignment"):
        for name in ("one", "other"):
            save(plot(select(figure, everything, PARAMS)), tmp_path / f"{name}.pdf")
        assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "other.pdf").read_bytes()


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


def test_agreement_with_fresh_batches_leads_and_noise_caps_it(everything):
    ds = select("alignment", everything, PARAMS)
    fresh, planes, own, *noise = plot(ds)
    assert "within columns\nof equal β" in texts(planes) and "fresh batches" in texts(fresh)
    for page, name in zip(noise, ("noise_share", "step_noise_share"), strict=True):
        shown = ds[name].sel(kind="few", iteration=150, budget=[100, 1000]).squeeze()
        np.testing.assert_allclose(lines(page.axes[0], "few 150")[0][:, 1], shown)
    for page, name, kinds in (
        (planes, "correlation", ("few", "many")),
        (fresh, "fresh_correlation", ("slice_few", "slice_many")),
        (own, "correlation", ("slice_few", "slice_many", "steps")),
    ):
        (panel,) = page.axes
        assert panel.get_ylim() == (-1.05, 1.05)
        ends = np.concatenate([path.vertices[:, 1] for c in panel.collections for path in c.get_paths()])
        assert len(ends) and np.abs(ends).max() <= 1
        caps = [box for box in panel.patches if np.isfinite(box.get_height())]
        for kind in kinds:
            one = ds.sel(kind=kind).squeeze()
            (points,) = lines(panel, kind)
            np.testing.assert_allclose(points[:, 1], one[name])
            ceilings = one.fresh_ceiling if page is fresh else one.ceiling
            for (x, _), ceiling in zip(points, ceilings.values, strict=True):
                over = [box for box in caps if box.get_x() < x < box.get_x() + box.get_width()]
                found = sorted(tuple(sorted((box.get_y(), box.get_y() + box.get_height()))) for box in over)
                np.testing.assert_allclose(found, [(-1, -ceiling), (ceiling, 1)])
        assert overlaps(page) == []


@pytest.mark.parametrize("num", [20, 100])
def test_the_noise_of_a_surrogate_is_the_variance_of_its_mean_over_batches(num):
    """Batches whose slopes have a mean of 1 and a standard deviation of 2: the variance of their mean is 4 / num."""
    rng, shares = np.random.default_rng(0), []
    for _ in range(300):
        batches = np.outer(ALONG, 1 + 2 * rng.standard_normal(num))
        means = [t_interval(point, 0.95) for point in batches]
        ends = xr.DataArray(
            [[one.low, one.high] for one in means], {"bound": ["low", "high"]}, ("along", "bound")
        )
        numbers = {
            "fresh": ("along", [one.value for one in means]),
            "fresh_batch": (("along", "batch"), batches),
        }
        shares.append(surrogate_noise(xr.Dataset(numbers | {"fresh_ci": ends})))
    assert np.median(shares) == pytest.approx(4 / num, rel=0.15)


def test_the_noise_along_the_step_is_that_within_columns(everything):
    """β explains most of the plane, so the share of noise along the step is larger."""
    few = select("alignment", everything, PARAMS).sel(kind="few", budget=100)
    assert (few.step_noise_share > 2 * few.noise_share).all()


def test_a_reward_that_rises_all_along_aligns_though_the_clipped_objective_falls_beyond_the_step(everything):
    """PPO's: only the unclipped surrogate on fresh batches tells."""
    clipped = -abs(everything.along - 1) + 0 * everything.slice_surrogate
    ds = select("alignment", everything.assign(slice_surrogate=clipped, slice_fresh=clipped), PARAMS)
    found = ds.squeeze().sel(kind="slice_few", iteration=0)
    assert found.fresh_correlation > 0.95 and found.correlation < 0


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
    """Steps from few and from many pairs side by side, their rewards on one axis, and the value without a step."""
    (page,) = plot(select("slices", everything, PARAMS))
    panels = np.array(page.axes).reshape(2, 4)
    for line, iteration in zip(panels, (0, 150), strict=True):
        for k, kind in enumerate(("few", "many")):
            one = everything.squeeze().sel(kind=kind, iteration=iteration)
            left, right = line[2 * k : 2 * k + 2]
            for panel, names in ((left, OF_SURROGATES), (right, ("slice_reward",))):
                for name in names:
                    values = one[name].sel(budget=30000) if "budget" in one[name].dims else one[name]
                    (curve,) = lines(panel, name)
                    np.testing.assert_allclose(curve, np.stack([ALONG, values], 1))
                    if name != "slice_surrogate":
                        ends = one[f"{name}_ci"]
                        ends = ends.sel(budget=30000) if "budget" in ends.dims else ends
                        np.testing.assert_allclose(
                            band(panel, f"{name} band"), ends.transpose("bound", "along")
                        )
            assert {0, 1, 2, 3} <= set(left.get_xticks()) and "[1]" in left.get_ylabel()
            assert right.get_ylabel() == "return [reward]"
            start = float(one.slice_reward.sel(budget=30000, along=0))
            for panel, value in ((left, 0.0), (right, start)):
                assert {y for _, y in lines(panel, "without a step")[0]} == {value}
        assert line[1].get_ylim() == line[3].get_ylim()
    assert overlaps(page) == []


def test_a_surrogate_that_clips_nothing_is_drawn_once(everything):
    ds = everything.assign(slice_fresh_unclipped=everything.slice_fresh)
    (page,) = plot(select("slices", ds, PARAMS))
    assert all(lines(panel, "slice_fresh_unclipped") == [] for panel in page.axes)
    assert "the same, unclipped" not in {text.get_text() for text in page.legends[0].get_texts()}


def test_promises_show_the_dataset(everything):
    """What was promised on the own batch and on fresh ones on one scale, and what was kept, with their intervals."""
    ds = select("promise", everything, PARAMS)
    for page in plot(ds):
        own, fresh, kept = page.axes
        for panel, name, right, reach in (
            (own, "promised", [0.1, 0.1], 0.02),
            (fresh, "promised_fresh_unclipped", [0.03, 0.03], 0.01),
            (kept, "kept", [20, -20], 5),
        ):
            (points,) = lines(panel, f"{name} trpo 0")
            np.testing.assert_allclose(points, np.stack([[0, 150], right], 1))
            (bars,) = panel.collections
            ends = np.array([path.vertices[:, 1] for path in bars.get_paths()])
            np.testing.assert_allclose(ends, np.add.outer(right, [-reach, reach]))
        assert own.get_ylim() == fresh.get_ylim()
        assert (
            own.get_lines()[-1].get_markerfacecolor()
            == "white"
            != fresh.get_lines()[-1].get_markerfacecolor()
        )
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


@pytest.mark.parametrize("figure", ["slices", "promise"])
def test_slices_without_a_complete_episode_are_one_sentence(figure):
    """From the probe's own numbers of points at which no episode ended; a checkpoint with episodes is drawn beside it."""
    rng = np.random.default_rng(0)
    checkpoint = make_checkpoint(PPO, 0, 150)
    none = _slice(checkpoint, "few", 2048, 1, rng)
    empty = _rewards(np.zeros(ALONG.size), [0], rng)
    assert np.isnan(empty["reward"].value).all() and not empty["num_trajectories"].any()
    for name, values in empty.items():
        none[f"slice_{name}"].values[...] = getattr(values, "value", values).reshape(
            none[f"slice_{name}"].shape
        )
    none.kept.values[...] = welch_interval(np.zeros(0), np.zeros(0), 0.95).value
    with pytest.raises(
        UserError, match=r"no episode ended at any point of a slice.* raise landscape\.slice_few"
    ):
        select(figure, combine({"none": none}), PARAMS)
    ended = _slice(make_checkpoint(PPO, 0, 300), "few", 2048, 1, rng)
    ds = select(figure, combine({"none": none, "ended": ended}), PARAMS)
    assert ds.iteration.values.tolist() == [300] and len(plot(ds)) == 1


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


def test_a_page_of_several_tasks_is_not_headed_by_one_of_them():
    several = combine(landscapes(tasks=("humanoid", "hopper"), iterations=(150,), kinds=("few",)))
    for ds, names in (
        (select("trajectories", several, PARAMS), {"TRPO"}),
        (select("trajectories", several.sel(task=["hopper"]), PARAMS), {"TRPO", "Hopper"}),
    ):
        for page in plot(ds):
            title = page._suptitle.get_text().replace("\n", ":").split(":")[0]
            assert set(title.split(", ")) == names


def test_the_same_landscapes_give_the_same_numbers(everything):
    xr.testing.assert_identical(
        select("alignment", everything, PARAMS), select("alignment", everything.copy(deep=True), PARAMS)
    )
