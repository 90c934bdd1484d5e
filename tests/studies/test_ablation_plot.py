import numpy as np
import pytest
from ruamel.yaml import YAML

from pgprim.plotting.combine import combine
from pgprim.plotting.intervals import ends_of
from pgprim.studies.ablation.plot import plot, select
from pgprim.types.errors import UserError
from tests.plotting import drawn
from tests.studies import varied

PARAMS = {
    "ablation": {
        "switches": {name: [False, True] for name in varied.SWITCHES}, "choose": [0, 1], "final": 0.2,
    },
    "plot": {"level": 0.95},
}  # fmt: skip


def dataset(tasks=("hopper",), **kwargs):
    parts = {task: varied.ablation(task, **kwargs) for task in tasks}
    return select("ablation", combine(parts), PARAMS)


def test_known_effects_are_found_within_their_intervals():
    """The best rate gives effects as they are; the mean over rates shrinks them by the mean gain."""
    ds = dataset(noise=20.0, seeds=8)
    main = ds.isel(effect=slice(0, 4), task=0)
    assert main.effect.values.tolist() == list(varied.SWITCHES)
    for rule, factor in (("best", 1.0), ("mean", np.mean(varied.GAINS))):
        one = main.sel(rule=rule)
        known = factor * np.array(varied.EFFECTS)
        np.testing.assert_allclose(one.effect_size, known, atol=40)
        assert (
            (one.effect_size_ci.sel(bound="low") < known) & (known < one.effect_size_ci.sel(bound="high"))
        ).mean() >= 0.75
        assert (np.abs(ds.sel(rule=rule).isel(effect=slice(4, None)).effect_size) < 40).all()
    assert (ds.best_rate == 1.0).all()


def test_the_best_rate_is_reported_on_seeds_that_did_not_choose():
    """Where nothing but chance tells rates apart, the best one earns no more than another."""
    parts = varied.ablation(noise=0.0)
    chooses = parts.seed.isin([0, 1])
    rigged = parts.return_mean.where(~(chooses & (parts.rate == 0.3)), 1e5)
    ds = select("ablation", combine({"a": parts.assign(return_mean=rigged)}), PARAMS)
    assert (ds.best_rate == 0.3).all()
    best = ds.effect_size.sel(rule="best", effect="rew_norm").item()
    assert best == pytest.approx(0.5 * varied.EFFECTS[0])


def test_a_run_that_diverged_counts_as_untrained():
    parts = varied.ablation(noise=0.0)
    run = {"cell": 15, "rate": 1, "seed": 4}
    parts.diverged[{"task": 0, "algo": 0, **run}] = 1
    parts.return_mean[{"task": 0, "algo": 0, **run, "iteration": slice(3, None)}] = np.nan
    ds = select("ablation", combine({"a": parts}), PARAMS)
    first = parts.return_mean.isel(iteration=0, task=0, algo=0, **run)
    assert ds.final_return.isel(task=0, **run).item() == pytest.approx(first.item())
    assert "1 of 240 runs diverged" in drawn.texts(plot(ds)[1])


def test_a_run_in_which_no_episode_ended_does_not_count():
    parts = varied.ablation(noise=0.0)
    parts.return_mean[{"cell": 3, "seed": 2}] = np.nan
    ds = select("ablation", combine({"a": parts}), PARAMS)
    np.testing.assert_allclose(ds.effect_size.sel(rule="best", task="hopper")[:4], varied.EFFECTS)


def test_effects_are_drawn_with_their_intervals_and_named():
    ds = dataset(tasks=("hopper", "walker2d"))
    effects, distributions = plot(ds)
    assert [panel.get_title() for panel in effects.axes] == ["Walker2d", "Hopper"]
    words = drawn.texts(effects)
    assert "reward normalisation × annealing" in words
    assert "each cell's best rate, 3 seeds" in words and "mean over rates, 5 seeds" in words
    assert "share of runs with\nat most this return" in distributions.axes[0].get_ylabel()
    for panel, task in zip(effects.axes, ds.task.values, strict=True):
        for container, rule in zip(panel.containers, ("best", "mean"), strict=True):
            one = ds.sel(task=task, rule=rule)
            np.testing.assert_allclose(np.asarray(container.lines[0].get_xdata(), float), one.effect_size)
            (bars,) = container.lines[2]
            ends = np.array([path.vertices[:, 0] for path in bars.get_paths()])
            np.testing.assert_allclose(ends, ends_of(one, "effect_size").T)
    assert drawn.overlaps(effects) == []
    assert len(distributions.axes) == 2 * 4


def test_distributions_are_split_by_each_switch():
    ds = dataset()
    _, figure = plot(ds)
    for place, panel in enumerate(figure.axes):
        for level in ("off", "on"):
            (points,) = drawn.lines(panel, level)
            cells = [cell for cell in varied.CELLS if (cell[place] == "1") == (level == "on")]
            values = np.sort(ds.final_return.sel(cell=cells).values.ravel())
            np.testing.assert_allclose(points[1:, 0], values)
            assert points[-1, 1] == pytest.approx(1)
    assert drawn.overlaps(figure) == []


def test_one_seed_left_has_effects_without_intervals():
    ds = dataset(seeds=3)
    assert np.isfinite(ds.effect_size).all()
    assert (
        np.isnan(ds.effect_size_ci.sel(bound="low").sel(rule="best")).all()
        and np.isfinite(ds.effect_size_ci.sel(bound="low").sel(rule="mean")).all()
    )
    plot(ds)


def test_other_results_are_refused():
    with pytest.raises(UserError, match="has no variable 'diverged'"):
        select("ablation", combine({"a": varied.ablation().drop_vars("diverged")}), PARAMS)


def test_the_synthetic_block_is_shaped_as_the_default_set_s():
    with open("workflow/scales/default.yaml") as file:
        block = YAML(typ="safe", pure=True).load(file)["ablation"]
    assert PARAMS["ablation"].keys() <= block.keys()
    assert list(block["switches"]) == list(varied.SWITCHES)
