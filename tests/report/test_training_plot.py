import numpy as np
import pytest
from scipy.stats import trim_mean

from pgprim.plotting.combine import combine
from pgprim.report.training.plot import plot, select
from pgprim.types.errors import UserError
from tests.plotting import drawn
from tests.plotting.synthetic import record, records

PARAMS = {"plot": {"seeds": 10, "level": 0.95, "published": {}}}


def dataset(**kwargs):
    return select("fig8", combine(records(**kwargs)), PARAMS)


def test_a_panel_per_task_with_seeds_mean_and_band_as_in_the_dataset():
    ds = dataset(iterations=30)
    panels = plot(ds).axes
    assert [panel.get_title() for panel in panels] == ["Humanoid", "Walker2d", "Hopper"]
    for panel, task in zip(panels, ds.task.values, strict=True):
        assert drawn.labels(panel) == {f"{a} {which}" for a in ("ppo", "trpo") for which in (0, 1, 2, "mean")}
        for algo in ("ppo", "trpo"):
            one = ds.sel(task=task, algo=algo)
            for seed in (0, 1, 2):
                (line,) = drawn.lines(panel, f"{algo} {seed}")
                np.testing.assert_array_equal(line[:, 1], one.return_mean.sel(seed=seed))
            (mean,) = drawn.lines(panel, f"{algo} mean")
            np.testing.assert_allclose(mean[:, 1], one.return_mean.mean("seed"))


def test_ten_seeds_have_an_interquartile_mean_with_a_band_inside_their_range():
    ds = select("fig8", combine({"a": record("hopper", "ppo", range(10), 20)}), PARAMS)
    (panel,) = plot(ds).axes
    returns = ds.return_mean.squeeze().transpose("seed", "iteration").values
    (mean,) = drawn.lines(panel, "ppo mean")
    np.testing.assert_allclose(mean[:, 1], trim_mean(returns, 0.25))
    low, high = drawn.band(panel, "ppo band")
    assert np.all(returns.min(0) <= low) and np.all(low <= mean[:, 1])
    assert np.all(mean[:, 1] <= high) and np.all(high <= returns.max(0))
    assert np.all((high - low)[1:] > 0)


def test_the_band_has_the_level_of_the_parameters():
    records = combine({"a": record("hopper", "ppo", range(10), 20)})
    widths = []
    for level in (0.5, 0.95):
        ds = select("fig8", records, PARAMS | {"plot": PARAMS["plot"] | {"level": level}})
        assert ds.attrs["level"] == level
        assert ds.seeds_mean_ci.attrs["long_name"].startswith(f"{100 * level:g} % interval")
        widths.append(ds.seeds_mean_ci.diff("bound").values)
    has_band = widths[1] > 0
    assert has_band.any() and (widths[0] < widths[1])[has_band].all()


def test_one_seed_that_failed_does_not_rule_the_mean():
    one = record("hopper", "ppo", range(10), 20)
    before = select("fig8", combine({"a": one}), PARAMS).seeds_mean.squeeze()
    worst = one.return_mean.argmin("seed")
    after = one.copy(deep=True)
    after["return_mean"] = one.return_mean.where(one.seed != one.seed[worst], -1e6)
    np.testing.assert_allclose(select("fig8", combine({"a": after}), PARAMS).seeds_mean.squeeze(), before)


def test_three_seeds_are_too_few_for_a_band():
    (panel,) = plot(select("fig8", combine({"a": record("hopper", "ppo", (0, 1, 2), 20)}), PARAMS)).axes
    assert not [c for c in panel.collections if c.get_label() == "ppo band"]
    assert "interval" not in drawn.texts(panel.figure)


def test_at_most_so_many_seeds_are_drawn_but_all_are_averaged():
    ds = select(
        "fig8",
        combine({"a": record("hopper", "ppo", range(12), 20)}),
        {"plot": PARAMS["plot"] | {"seeds": 2}},
    )
    (panel,) = plot(ds).axes
    assert drawn.labels(panel) == {"ppo 0", "ppo 1", "ppo mean"}
    (mean,) = drawn.lines(panel, "ppo mean")
    np.testing.assert_allclose(mean[:, 1], trim_mean(ds.return_mean.squeeze().transpose("seed", ...), 0.25))


def test_iterations_without_a_completed_episode_are_gaps():
    one = record("hopper", "ppo", (0, 1, 2), 20)
    one.return_mean[0, 0, 1, 5] = np.nan
    one.return_mean[0, 0, :, 7] = np.nan
    ds = select("fig8", combine({"a": one}), PARAMS)
    assert np.isnan(ds.seeds_mean.squeeze()[7]) and np.isfinite(ds.seeds_mean.squeeze()[5])
    np.testing.assert_allclose(ds.seeds_mean.squeeze()[5], ds.return_mean.squeeze()[[0, 2], 5].mean())
    (line,) = drawn.lines(plot(ds).axes[0], "ppo 1")
    assert np.isnan(line[[5, 7], 1]).all() and np.isfinite(np.delete(line, [5, 7], 0)).all()


def test_one_seed_has_no_interval():
    ds = select("fig8", combine({"a": record("hopper", "ppo", (3,), 20)}), PARAMS)
    assert ds.seeds_mean_ci.isnull().all()
    np.testing.assert_array_equal(ds.seeds_mean.squeeze(), ds.return_mean.squeeze())
    assert drawn.labels(plot(ds).axes[0]) == {"ppo 3", "ppo mean"}


def test_groups_of_seeds_and_missing_runs_fill_what_they_have():
    parts = {"a": record("hopper", "ppo", (0, 1), 20), "b": record("hopper", "ppo", (5,), 30)}
    parts["c"] = record("ant", "trpo", (0,), 20)
    hopper, ant = plot(select("fig8", combine(parts), PARAMS)).axes
    assert drawn.labels(hopper) == {"ppo 0", "ppo 1", "ppo 5", "ppo mean"}
    assert drawn.labels(ant) == {"trpo 0", "trpo mean"}


def test_words_say_which_interval_it_is():
    figure = plot(select("fig8", combine({"a": record("hopper", "ppo", range(10), 20)}), PARAMS))
    words = drawn.texts(figure)
    assert "95 % interval between agents" in words
    assert "Training iteration" in words
    assert figure.axes[0].get_ylabel().replace("\n", " ") == "Mean episode return [reward]"


@pytest.mark.parametrize(
    "tasks", [("humanoid", "walker2d", "hopper"), ("hopper",), ("ant", "hopper", "a", "b")]
)
def test_nothing_covers_anything(tasks):
    figure = plot(dataset(tasks=tasks, algos=("ppo", "ppo_m", "trpo"), iterations=20))
    assert len(figure.axes) == len(tasks)
    assert drawn.overlaps(figure) == drawn.small_texts(figure) == []


def test_other_results_are_refused():
    with pytest.raises(UserError, match="has no variable 'return_mean'"):
        select("fig8", combine({"a": record("hopper", "ppo")}).drop_vars("return_mean"), PARAMS)


def test_published_returns_are_marked_at_the_right_and_at_the_top_if_far_above():
    published = {"hopper": {"ppo": 60.0, "trpo": 1e9}}
    ds = select("fig8", combine(records(iterations=30)), {"plot": PARAMS["plot"] | {"published": published}})
    panels = plot(ds).axes
    for panel, task in zip(panels, ds.task.values, strict=True):
        marked = [label for label in drawn.labels(panel) if label.endswith("published")]
        assert sorted(marked) == (["ppo published", "trpo published"] if task == "hopper" else [])
        if marked:
            (line,) = drawn.lines(panel, "ppo published")
            np.testing.assert_array_equal(line, [[1, 60]])
            (above,) = drawn.lines(panel, "trpo published")
            np.testing.assert_array_equal(above, [[1, panel.get_ylim()[1]]])
            assert panel.get_ylim()[1] < 1e6
    assert "published for the -v2 task" in drawn.texts(plot(ds))
    assert "published for the -v2 task" not in drawn.texts(plot(dataset(iterations=30)))
