import numpy as np
import pytest
from scipy.stats import t

from pgprim.plotting.combine import combine
from pgprim.report.training.plot import plot, select
from pgprim.types.errors import UserError
from tests.plotting import drawn
from tests.plotting.synthetic import record, records

PARAMS = {"plot": {"seeds": 10, "published": {}}}


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
            low, high = drawn.band(panel, f"{algo} band")
            half = t.ppf(0.975, 2) * one.return_mean.std("seed", ddof=1) / np.sqrt(3)
            np.testing.assert_allclose(low, mean[:, 1] - half)
            np.testing.assert_allclose(high, mean[:, 1] + half)


def test_at_most_so_many_seeds_are_drawn_but_all_are_averaged():
    ds = select(
        "fig8",
        combine({"a": record("hopper", "ppo", range(12), 20)}),
        {"plot": {"seeds": 2, "published": {}}},
    )
    (panel,) = plot(ds).axes
    assert drawn.labels(panel) == {"ppo 0", "ppo 1", "ppo mean"}
    (mean,) = drawn.lines(panel, "ppo mean")
    np.testing.assert_allclose(mean[:, 1], ds.return_mean.mean("seed").squeeze())


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
    figure = plot(dataset(iterations=20))
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
    assert drawn.overlaps(figure) == []


def test_other_results_are_refused():
    with pytest.raises(UserError, match="has no variable 'return_mean'"):
        select("fig8", combine({"a": record("hopper", "ppo")}).drop_vars("return_mean"), PARAMS)


def test_published_returns_are_dotted_lines_unless_far_above():
    published = {"hopper": {"ppo": 60.0, "trpo": 1e9}}
    ds = select("fig8", combine(records(iterations=30)), {"plot": {"seeds": 10, "published": published}})
    panels = plot(ds).axes
    for panel, task in zip(panels, ds.task.values, strict=True):
        marked = [label for label in drawn.labels(panel) if label.endswith("published")]
        assert sorted(marked) == (["ppo published", "trpo published"] if task == "hopper" else [])
        if marked:
            (line,) = drawn.lines(panel, "ppo published")
            assert set(line[:, 1]) == {60.0}
            assert panel.get_ylim()[1] < 1e6
    assert "published for the -v2 task" in drawn.texts(plot(ds))
    assert "published for the -v2 task" not in drawn.texts(plot(dataset(iterations=30)))
