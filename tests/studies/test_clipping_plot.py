"""The figure `clipping`, from records whose returns, lengths and costs are known."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import t

from pgprim.plotting.combine import combine
from pgprim.studies.clipping.plot import plot, select
from pgprim.types.errors import UserError
from tests.plotting import drawn

RUNS = ("clipped 0.6", "clipped 1.0", "drawn")
BLOCK = {"rates": [0.6, 1.0], "final": 0.2}
PARAMS = {"clipping": BLOCK, "plot": {"level": 0.95, "published": {"humanoid": {"ppo": 806}}}}
POINTS = (0, 50, 85, 99)
"""Iterations in which costs are known: the last two of them are among the last fifth."""


def records(task="humanoid", version="v4", seeds=3, iterations=100) -> xr.Dataset:
    """Returns and lengths that rise; a step costs 0.2 clipped and, where actions are not clipped, from 1.5 on as drawn."""
    rng = np.random.default_rng([*task.encode(), *version.encode()])
    time = np.arange(iterations) / iterations
    shape = (1, 1, 1, len(RUNS), seeds, iterations)
    gains = np.array([1.2, 1.0, 0.6])[:, None, None]
    returns = np.broadcast_to(100 + 700 * time * gains, shape) + 20 * rng.standard_normal(shape)
    known = np.where(np.isin(np.arange(iterations), POINTS), 1.0, np.nan)
    columns = {
        "return_mean": returns,
        "length_mean": np.broadcast_to(25 + 60 * time, shape),
        "control_cost": np.broadcast_to(known * (1.5 + time), shape),
        "control_cost_clipped": np.broadcast_to(known * 0.2, shape),
    }
    where = {"task": [task], "algo": ["ppo"], "version": [version], "run": list(RUNS)}
    coords = {name: np.array(values, object) for name, values in where.items()}
    coords |= {"seed": range(seeds), "iteration": range(iterations)}
    variables = {
        name: (tuple(coords), values.copy(), {"long_name": name, "units": "reward"})
        for name, values in columns.items()
    }
    variables["diverged"] = (
        tuple(coords)[:-1],
        np.zeros(shape[:-1], np.int8),
        {"long_name": "d", "units": "1"},
    )
    return xr.Dataset(variables, coords)


def dataset(**changes):
    parts = {version: records(version=version) for version in ("v4", "v5")} | changes
    return select("clipping", combine(parts), PARAMS)


def test_runs_come_to_the_mean_of_their_last_fifth_with_an_interval_over_seeds():
    ds = dataset().sel(task="humanoid", version="v5")
    source = records(version="v5").squeeze().sel(run="drawn").isel(iteration=slice(80, None))
    one = ds.sel(run="drawn")
    values = source.return_mean.mean("iteration").values
    np.testing.assert_allclose(one.final_return, values)
    half = t.ppf(0.975, 2) * values.std(ddof=1) / np.sqrt(3)
    assert one.final_return_mean == pytest.approx(values.mean())
    np.testing.assert_allclose(one.final_return_mean_ci, [values.mean() - half, values.mean() + half])
    np.testing.assert_allclose(one.final_length, 25 + 60 * np.arange(80, 100).mean() / 100)
    # costs are known in iterations 85 and 99 of the last fifth: a step's cost times that iteration's length
    np.testing.assert_allclose(one.final_cost, (2.35 * 76 + 2.49 * 84.4) / 2)
    np.testing.assert_allclose(one.final_cost_clipped, 0.2 * (76 + 84.4) / 2)
    assert one.rate == 1 and one.is_clipped == 0


def test_a_run_that_diverged_counts_with_its_first_iteration():
    fallen = records(version="v4")
    where = {"run": 1, "seed": 2}
    for name in ("return_mean", "length_mean", "control_cost", "control_cost_clipped"):
        fallen[name][where | {"iteration": slice(60, None)}] = np.nan
    fallen.diverged[where] = 1
    one = dataset(v4=fallen).sel(task="humanoid", version="v4", run="clipped 1.0", seed=2)
    assert one.final_return == fallen.return_mean.squeeze()[1, 2, 0]
    assert one.final_length == 25
    assert one.final_cost == pytest.approx(1.5 * 25)


def test_pages_show_every_run_its_median_and_what_was_published():
    ds = dataset()
    pages = plot(ds)
    assert [len(page.axes) for page in pages] == [2, 4]
    for page in pages:
        assert drawn.overlaps(page) == []
        assert drawn.small_texts(page) == []
    for panel, version in zip(pages[0].axes, ("v4", "v5"), strict=True):
        assert panel.get_title() == f"Humanoid-{version}"
        for run in RUNS:
            curves = ds.return_curve.sel(task="humanoid", version=version, run=run)
            (median,) = drawn.lines(panel, run)
            np.testing.assert_allclose(median, np.stack([curves.iteration, np.median(curves, 0)], 1))
            assert len(drawn.lines(panel, f"{run} seed")) == 3
        (level,) = drawn.lines(panel, "published")
        assert set(level[:, 1]) == {806}
    source = records(version="v4").return_mean.squeeze().sel(run="drawn")
    pairs = source.values.reshape(3, 50, 2).mean(2)
    np.testing.assert_allclose(ds.return_curve.sel(task="humanoid", version="v4", run="drawn"), pairs)
    for panel, name in zip(pages[1].axes, ("return", "length", "cost_clipped", "cost"), strict=True):
        means = np.concatenate(drawn.lines(panel, "mean"))
        np.testing.assert_allclose(means[:, 0], ds[f"final_{name}_mean"].values.ravel())
        assert means[:, 1].tolist() == list(range(6))
    labels = [label.get_text() for label in pages[1].axes[0].get_yticklabels()]
    assert labels[2:4] == ["-v4, not clipped, rate × 1", "-v5, clipped, rate × 0.6"]


def test_another_task_is_a_row_and_needs_no_published_return():
    ds = dataset(ant=records("ant", "v4"), ant_v5=records("ant", "v5"))
    curves, finals = plot(ds)
    assert [len(curves.axes), len(finals.axes)] == [4, 8]
    assert drawn.overlaps(curves) == drawn.overlaps(finals) == []
    assert {axes.get_title() for axes in curves.axes} >= {"Ant-v4", "Humanoid-v5"}
    assert sum(len(drawn.lines(axes, "published")) for axes in curves.axes) == 2


def test_other_results_are_refused():
    with pytest.raises(UserError, match="has no variable 'control_cost'"):
        select("clipping", records().drop_vars("control_cost"), PARAMS)
