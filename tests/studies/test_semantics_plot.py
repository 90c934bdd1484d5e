import numpy as np
import pytest
from scipy.stats import t

from pgprim.plotting.combine import combine
from pgprim.store.labelled import BOUNDS
from pgprim.studies.semantics.plot import plot, row_text, select
from pgprim.types.errors import UserError
from tests.plotting import drawn
from tests.studies import varied

TASKS = ("hopper", "walker2d")
PARAMS = {
    "train": {"semantics": "exact"},
    "plot": {"budget": 2048, "level": 0.95},
    "semantics": {
        "tasks": list(TASKS),
        "algos": ["ppo"],
        "train_iterations": 40,
        "final": 0.2,
        "level": 0.95,
    },
}


def results(tasks=TASKS, with_value=True) -> dict:
    parts = {}
    for task in tasks:
        parts[task] = varied.training(task)
        parts[f"{task} other"] = varied.training(task, iterations=40, prefix="other_", shift=30.0)
        for iteration in (0, 150):
            parts[f"{task} {iteration}"] = varied.comparison(task, iteration=iteration)
            parts[f"{task} {iteration} steps"] = varied.comparison(
                task, "steps", iteration=iteration, budgets=(500, 2048)
            )
        if with_value:
            parts[f"{task} value"] = varied.value_errors(task)
    return parts


def dataset(**kwargs):
    return select("semantics", combine(results(**kwargs)), PARAMS)


def table(ds, quantity, name, task="hopper"):
    array = ds.table_difference_ci.sel(bound=name) if name in BOUNDS else ds[f"table_{name}"]
    return array.sel(quantity=quantity, task=task, algo="ppo").item()


def test_training_is_compared_over_the_iterations_that_both_have():
    ds = dataset()
    assert ds.training_iteration.size == 40 and ds.semantics.values.tolist() == ["exact", "paper"]
    both = [
        varied.training("hopper", prefix=p, shift=s, iterations=n)
        for p, s, n in (("", 0, 60), ("other_", 30.0, 40))
    ]
    right = [
        one[name].squeeze().isel(iteration=slice(32, 40)).mean("iteration").values
        for one, name in zip(both, ("return_mean", "other_return_mean"), strict=True)
    ]
    assert table(ds, "training: final return", "exact") == pytest.approx(right[0].mean())
    assert table(ds, "training: final return", "paper") == pytest.approx(right[1].mean())
    difference = right[1] - right[0]
    half = t.ppf(0.975, 2) * difference.std(ddof=1) / np.sqrt(3)
    assert table(ds, "training: final return", "low") == pytest.approx(difference.mean() - half)


def test_which_semantics_are_the_other_follows_from_training():
    swapped = select("semantics", combine(results()), PARAMS | {"train": {"semantics": "paper"}})
    ds = dataset()
    for name in ("return_mean", "value_loss"):
        np.testing.assert_array_equal(swapped[name].sel(semantics="exact"), ds[name].sel(semantics="paper"))


def test_probes_stand_in_the_table_at_the_pairs_of_an_iteration():
    ds = dataset()
    both = np.mean([2048 / (2048 + 2000 * (1 + k)) for k in (0, 1)])
    assert table(ds, "gradient at 2K pairs: pairwise cosine", "exact") == pytest.approx(both)
    assert table(ds, "gradient at 2K pairs: pairwise cosine", "difference") == pytest.approx(-0.1)
    assert np.isnan(table(ds, "gradient at 2K pairs: pairwise cosine", "low"))  # one seed
    assert table(ds, "GAE MRE, held-out pairs", "exact") == pytest.approx(0.4)
    assert table(ds, "GAE MRE, held-out pairs", "paper") == pytest.approx(0.9)


def test_without_value_errors_the_table_is_shorter():
    names = dataset(with_value=False).quantity.values
    assert not any("MRE" in name for name in names) and len(names) == 7


def test_three_pages_show_what_the_dataset_says():
    ds = dataset()
    training, estimates, page = plot(ds)
    assert len(training.axes) == 3 * 2 and len(estimates.axes) == 4 * 2
    assert training.axes[0].get_title() == "Walker2d"
    (line,) = drawn.lines(training.axes[1], "paper")
    np.testing.assert_allclose(
        line[:, 1], ds.return_mean.sel(task="hopper", algo="ppo", semantics="paper").mean("seed")
    )
    exact, paper = drawn.lines(estimates.axes[3], "ppo 150")
    np.testing.assert_allclose(exact[:, 1] - paper[:, 1], 0.1)
    words = drawn.texts(page)
    assert "steps at 2K pairs: cosine to the truth" in words and "Hopper, PPO" in words
    assert drawn.overlaps(training) == [] and drawn.overlaps(estimates) == []


def test_cells_of_the_table():
    assert row_text(1234.5, 0.012345, -3.0, -4.0, -2.0) == ("1234", "0.0123", "−3 [−4, −2]")
    assert row_text(1.0, 2.0, 1.0, np.nan, np.nan) == ("1", "2", "+1")
    assert row_text(np.nan, np.nan, np.nan, np.nan, np.nan) == ("–", "–", "–")


def test_other_results_are_refused():
    with pytest.raises(UserError, match="has no variable 'other_return_mean'"):
        select("semantics", combine({"a": varied.training("hopper")}), PARAMS)
