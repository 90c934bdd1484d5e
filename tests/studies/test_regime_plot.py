import numpy as np
import pytest
from scipy.stats import t

from pgprim.plotting.combine import combine
from pgprim.studies.regime.plot import plot, select
from pgprim.types.errors import UserError
from tests.plotting import drawn
from tests.studies import varied

PARAMS = {"regime": {"total_pairs": 400_000, "final": 0.25}, "plot": {"level": 0.95}}


def dataset(tasks=("hopper",), **kwargs):
    parts = {name: part for task in tasks for name, part in varied.regime(task, **kwargs).items()}
    return select("sample_regime", combine(parts), PARAMS)


def test_what_runs_came_to_is_the_mean_of_their_last_quarter():
    ds = dataset()
    assert ds.num_iterations.values.tolist() == [195, 20, 4]
    parts = varied.regime()
    for pairs, last in ((2048, 49), (20000, 5), (100000, 1)):
        right = parts[f"hopper {pairs}"].return_mean.isel(iteration=slice(-last, None)).mean("iteration")
        np.testing.assert_allclose(ds.final_return.sel(pairs=pairs, task="hopper"), right.squeeze())
    values = ds.final_return.sel(pairs=2048, rate=1.0, task="hopper").values
    half = t.ppf(0.975, 2) * values.std(ddof=1) / np.sqrt(3)
    one = ds.sel(pairs=2048, rate=1.0, task="hopper")
    assert one.final_mean_ci.sel(bound="low").item() == pytest.approx(values.mean() - half)
    assert one.final_mean_ci.sel(bound="high").item() == pytest.approx(values.mean() + half)


def test_a_page_per_task_and_one_of_final_returns():
    ds = dataset(tasks=("hopper", "walker2d"))
    pages = plot(ds)
    assert [len(page.axes) for page in pages] == [9, 9, 2]
    for page in pages:
        assert drawn.overlaps(page) == []
    assert "20K pairs per iteration" in drawn.texts(pages[0])


def test_the_same_returns_stand_against_pairs_and_against_iterations():
    ds = dataset()
    axes = np.reshape(plot(ds)[0].axes, (3, 3))
    by_pairs, by_iterations, agreement = axes[:, 1]
    for pairs in (20000, 100000):
        one = ds.return_curve.sel(task="hopper", pairs=pairs, rate=1.0).dropna("iteration")
        (line,) = drawn.lines(by_pairs, str(pairs))
        np.testing.assert_allclose(line, np.stack([one.iteration * pairs, one], 1))
        (line,) = drawn.lines(by_iterations, str(pairs))
        np.testing.assert_allclose(line, np.stack([one.iteration + 1, one], 1))
        halves = ds.agreement_curve.sel(task="hopper", pairs=pairs, rate=1.0).dropna("iteration")
        (line,) = drawn.lines(agreement, str(pairs))
        np.testing.assert_allclose(line, np.stack([halves.iteration * pairs, halves], 1))


def test_other_results_are_refused():
    parts = {name: part.drop_vars("half_cosine") for name, part in varied.regime().items()}
    with pytest.raises(UserError, match="has no variable 'half_cosine'"):
        select("sample_regime", combine(parts), PARAMS)
