"""Reliability: runs of other step sizes, seeds beside their primitives, the figure's statistics, and what it shows."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from pgprim.commands.params import load
from pgprim.plotting.combine import combine
from pgprim.store.records import LABELS
from pgprim.studies.reliability.plot import plot, select
from pgprim.studies.reliability.seeds import PRIMITIVES, relate_seeds
from pgprim.types.agent import settings_of
from pgprim.types.errors import UserError
from pgprim.types.variants import make_runs
from tests.plotting import drawn
from tests.studies import varied

TASKS, ALGOS, SEEDS = ("hopper", "humanoid"), ("ppo", "trpo"), 10
LEVEL, PUBLISHED = 0.95, {"hopper": {"ppo": 2500, "trpo": 2000}, "humanoid": {"ppo": 800}}
PARAMS = {"plot": {"level": LEVEL, "published": PUBLISHED}, "reliability": {"final": 0.2}}
MULTIPLES, FACTORS, NOISE = (0.5, 1.0, 2.0), (0.7, 1.0, 1.4), (0.0, 0.2)


@pytest.fixture(scope="module")
def params():
    return load(Path(__file__).parents[2] / "workflow/scales/default.yaml")


@pytest.mark.parametrize(("algo", "knob"), [("ppo", "policy_lr"), ("ppo_m", "policy_lr"), ("trpo", "delta")])
def test_a_run_changes_how_far_updates_go_and_when_annealing_ends(params, algo, knob):
    params = params | {"reliability": params["reliability"] | {"algos": [algo], "iterations": 7}}
    own = settings_of(params, "walker2d", algo)
    runs = make_runs(params, "reliability", "walker2d", algo)
    assert [run.labels["multiple"] for run in runs] == params["reliability"]["multiples"]
    assert len({run.purpose for run in runs}) == len(runs)
    for run in runs:
        changed = {name for name in own if run.values[name] != own[name]}
        assert changed == {"anneal_over"} | ({knob} if run.labels["multiple"] != 1 else set())
        assert run.values[knob] == pytest.approx(run.labels["multiple"] * own[knob])
        assert run.iterations == run.values["anneal_over"] == 7 and set(run.labels) <= set(LABELS)


def test_an_algorithm_that_is_not_studied_is_refused(params):
    with pytest.raises(
        UserError, match=r"--variant ppo_m: not one of reliability.algos in params.yaml, ppo, trpo"
    ):
        make_runs(params, "reliability", "hopper", "ppo_m")


def records(task, algo, finals):
    """Training records that reach the given final returns in the last fifth of the iterations."""
    ds = varied.training(task, algo, seeds=len(finals), iterations=10)
    values = np.broadcast_to(np.arange(10) * 10.0, (len(finals), 10)).copy()
    values[:, 8:] = np.array(finals)[:, None] + [-5, 5]
    return ds.assign(return_mean=(ds.return_mean.dims, values[None, None], ds.return_mean.attrs))


def estimates(dims, values, name, **coords):
    """One variable over the coordinates of one agent and others."""
    where = {"task": ["hopper"], "algo": ["ppo"], "seed": range(3), "iteration": [0, 5, 9]}
    return xr.Dataset({name: (dims, values, {"long_name": name, "units": "1"})}, where | coords)


def test_seeds_stand_beside_the_means_of_their_primitives_at_trained_checkpoints():
    dims, rng = ("task", "algo", "seed", "iteration"), np.random.default_rng(0)
    training = combine({algo: records("hopper", algo, [100.0, 300, 200, 50]) for algo in ALGOS})
    cosine, error, promised = (rng.random((1, 1, 3, 3)) for _ in range(3))
    gradient = estimates((*dims, "budget"), np.stack([0 * cosine, cosine], -1), "cosine", budget=[10, 20])
    value = estimates(
        (*dims, "part", "target", "definition"), np.stack([0 * error, error], -1)[..., None, :, None], "total_re",
        part=["held_out"], target=["gae", "returns"], definition=["exact"],
    )  # fmt: skip
    landscape = estimates(
        (*dims, "kind"), np.stack([promised, 0 * promised], -1), "promised", kind=["few", "many"]
    )
    ds = relate_seeds(training, gradient, value, landscape, 20, 0.2)
    for algo in ALGOS:
        np.testing.assert_allclose(ds.seed_return.sel(task="hopper", algo=algo), [100, 300, 200, 50])
    one = ds.sel(task="hopper", algo="ppo")
    for name, values in zip(PRIMITIVES, (cosine, error, promised), strict=False):
        np.testing.assert_allclose(one[name], [*values[0, 0, :, 1:].mean(-1), np.nan])
    assert (
        np.isnan(one.seed_promised_fresh_unclipped).all()
        and np.isnan(ds.seed_agreement.sel(algo="trpo")).all()
    )
    with pytest.raises(
        UserError, match=r"no gradient estimate is of plot.budget \(30\) pairs, but of 10, 20"
    ):
        relate_seeds(training, gradient, value, landscape, 30, 0.2)
    with pytest.raises(UserError, match="no training records"):
        relate_seeds(None, gradient, value, landscape, 20, 0.2)


def seeds():
    """Seeds whose returns fall with the value error, rise with agreement within kinds, and know nothing of promises."""
    rng = np.random.default_rng(1)
    where = {"task": list(TASKS), "algo": list(ALGOS), "seed": range(SEEDS)}
    base = np.array([[2000.0, 1500], [700, 500]])[..., None]
    final = base * (1 + 0.3 * rng.standard_normal((2, 2, SEEDS)))
    agreement = final / base + np.array([0.0, 5])[:, None, None]
    agreement[..., 3:] = np.nan
    primitives = [agreement, -final, rng.random(final.shape), np.full(final.shape, np.nan)]
    numbers = {"seed_return": final} | dict(zip(PRIMITIVES, primitives, strict=True))
    attrs = {"long_name": "a number", "units": "1"}
    return xr.Dataset({name: (tuple(where), values, attrs) for name, values in numbers.items()}, where)


def steps(task, algo):
    """Records of a study in which half a step earns half, and one seed diverges with a double one."""
    coords = {
        "task": [task],
        "algo": [algo],
        "multiple": list(MULTIPLES),
        "seed": range(5),
        "iteration": range(10),
    }
    noise = np.random.default_rng(2).standard_normal(5)
    earned = np.array([500.0, 1000, 900])[:, None] + 50 * noise
    returns = np.repeat(earned[..., None], 10, -1)
    returns[..., 0] = 20
    diverged = np.zeros((3, 5), np.int8)
    diverged[2, 4] = 1
    variables = {
        "return_mean": (tuple(coords), returns[None, None]),
        "diverged": (tuple(coords)[:-1], diverged[None, None]),
    }
    ds = xr.Dataset(variables, coords)
    for array in ds.data_vars.values():
        array.attrs = {"long_name": "a number", "units": "1"}
    return ds


def tried(task, algo, seed, iteration):
    """An agent that keeps a share of its return that is the weaker of the factor and its inverse."""
    where = {"task": [task], "algo": [algo], "seed": [seed], "iteration": [iteration]}
    kept = np.minimum(np.array(FACTORS), 1 / np.array(FACTORS)) ** (1 + seed)
    coords = where | {"quantity": ["mass", "gravity"], "factor": list(FACTORS), "noise": list(NOISE)}
    variables = {
        "scaled_retained": (
            (*where, "quantity", "factor"),
            np.stack([kept, kept**2])[None, None, None, None],
        ),
        "noisy_retained": ((*where, "noise"), np.exp(-np.array(NOISE))[None, None, None, None]),
    }
    ds = xr.Dataset(variables, coords)
    for array in (*ds.data_vars.values(), *ds.coords.values()):
        array.attrs = {"long_name": "a number", "units": "1"}
    return ds


@pytest.fixture(scope="module")
def ds():
    parts = {"seeds": seeds()}
    parts |= {f"steps {algo}": steps("hopper", algo) for algo in ALGOS}
    agents = product(TASKS, ALGOS, range(3), (100, 450))
    parts |= {f"tried {agent}": tried(*agent) for agent in agents}
    return select("reliability", combine(parts), PARAMS)


def test_statistics_of_repeated_runs(ds):
    final = seeds().seed_return
    for task, algo in product(TASKS, ALGOS):
        values, one = np.sort(final.sel(task=task, algo=algo)), ds.sel(task=task, algo=algo)
        assert float(one.return_iqm) == pytest.approx(stats.trim_mean(values, 0.25))
        assert values[0] <= one.return_iqm_ci[0] < one.return_iqm < one.return_iqm_ci[1] <= values[-1]
        pairs = [abs(a - b) for k, a in enumerate(values) for b in values[:k]]
        assert float(one.difference) == pytest.approx(np.mean(pairs) / values.mean())
        at = one.profile_at.values
        np.testing.assert_allclose(one.profile, [(values > threshold).mean() for threshold in at])
        assert one.profile[0] == 1 and one.profile[-1] == 0
        exact = stats.binomtest(int(10 * one.profile[50]), 10).proportion_ci(LEVEL, "exact")
        np.testing.assert_allclose(one.profile_ci[50], exact, atol=1e-12)
    scores = [
        final.sel(algo="trpo", task=task).values / best
        for task, best in (("hopper", 2500), ("humanoid", 800))
    ]
    pooled = stats.trim_mean(np.concatenate(scores), 0.25)
    assert float(ds.score_iqm.sel(algo="trpo")) == pytest.approx(pooled)
    assert ds.task.values.tolist() == ["humanoid", "hopper"] and np.isnan(
        ds.published.sel(task="humanoid", algo="trpo")
    )


def test_the_bootstrap_resamples_seeds_within_tasks(ds):
    """Scores of both tasks, resampled by hand: nearly the percentiles that the expanded interval comes from."""
    rng = np.random.default_rng(3)
    best = np.array([2500, 800])[:, None]
    scores = seeds().seed_return.sel(algo="ppo").values / best
    means = [
        stats.trim_mean(np.concatenate([rng.choice(one, SEEDS) for one in scores]), 0.25) for _ in range(4000)
    ]
    reach = stats.t.ppf(0.975, 18) * np.sqrt(10 / 9)
    ends = np.quantile(means, stats.norm.cdf([-reach, reach]))
    width = ends[1] - ends[0]
    np.testing.assert_allclose(ds.score_iqm_ci.sel(algo="ppo"), ends, atol=0.12 * width)


def test_statistics_of_other_step_sizes(ds):
    one = ds.sel(task="hopper", algo="trpo")
    earned = steps("hopper", "trpo").return_mean.values[0, 0, :, :, -1]
    earned[2, 4] = 20  # diverged: the return of an untrained agent
    np.testing.assert_allclose(one.tuned_return.sel(seed=range(5)), earned)
    np.testing.assert_allclose(one.tuned_iqm, stats.trim_mean(earned, 0.25, axis=1))
    np.testing.assert_allclose(one.tuned_change, earned.mean(1) - earned[1].mean())
    welch = stats.ttest_ind(earned[0], earned[1], equal_var=False).confidence_interval(LEVEL)
    np.testing.assert_allclose(one.tuned_change_ci.sel(multiple=0.5), welch)
    assert np.isnan(ds.tuned_return.sel(task="humanoid")).all()


def test_statistics_of_perturbed_tasks_are_those_of_the_last_checkpoint(ds):
    kept = 0.7 ** np.arange(1, 4)
    one = ds.sel(task="humanoid", algo="ppo", quantity="mass", factor=0.7)
    np.testing.assert_allclose(one.scaled_retained.sel(seed=range(3)), kept)
    np.testing.assert_allclose(one.scaled_mean_ci, stats.t.interval(LEVEL, 2, kept.mean(), stats.sem(kept)))
    assert ds.attrs["iteration"] == 450


def test_primitives_are_correlated_within_kinds(ds):
    agreement, error, promise, _ = ds.primitive.values
    np.testing.assert_allclose(ds.correlation.sel(primitive=error), -1)
    np.testing.assert_allclose(ds.correlation.sel(primitive=agreement), 1)
    assert np.isnan(ds.correlation_ci.sel(primitive=agreement)).all()  # three seeds
    assert ds.pooled.sel(primitive=agreement) == pytest.approx(1)
    final = seeds()
    one = final.sel(task="hopper", algo="ppo")
    right = stats.spearmanr(one.seed_return, one.seed_promised).statistic
    assert float(ds.correlation.sel(primitive=promise, task="hopper", algo="ppo")) == pytest.approx(right)
    assert ds.num_seeds.sel(primitive=agreement).values.tolist() == [[3, 3], [3, 3]]


def test_four_pages_that_show_the_numbers(ds):
    pages = plot(ds)
    assert [len(page.axes) for page in pages] == [6, 1, 6, 1]
    for page in pages:
        assert drawn.overlaps(page) == []
    humanoid, hopper = pages[0].axes[3], pages[0].axes[4]
    for panel, task in ((humanoid, "humanoid"), (hopper, "hopper")):
        (line,) = drawn.lines(panel, "ppo")
        np.testing.assert_allclose(
            line, np.stack([ds.profile_at.sel(task=task), ds.profile.sel(task=task, algo="ppo")], 1)
        )
    (line,) = drawn.lines(pages[1].axes[0], "ppo")
    np.testing.assert_allclose(line[:, 1], ds.tuned_iqm.sel(task="hopper", algo="ppo"))
    (line,) = drawn.lines(pages[2].axes[0], "trpo")
    np.testing.assert_allclose(line[:, 1], ds.scaled_mean.sel(task="humanoid", algo="trpo", quantity="mass"))
    (panel,) = pages[3].axes
    points = np.concatenate(drawn.lines(panel, "correlation"))  # of the error, then of the promise
    assert points[:4, 0] == pytest.approx([-1] * 4)
    names = [text.get_text() for text in panel.get_yticklabels()]
    kinds = [f"{task}, {algo}" for task in ("Humanoid", "Hopper") for algo in ("PPO", "TRPO")]
    agreement, error, promise, fresh = (
        f"{words}; kinds pooled"
        for words in ("Gradient agreement", "Value error", "Promise, own batch", "Promise, fresh batches")
    )
    assert names == [
        agreement,
        error,
        *kinds,
        promise,
        *kinds,
        fresh,
    ]  # the agreement is known of three seeds
    assert [names[int(place)] for place in points[:, 1]] == [*kinds, *kinds]
    pooled = np.concatenate(drawn.lines(panel, "pooled"))
    np.testing.assert_allclose(pooled[:, 0], ds.pooled[:3])
    assert "fewer than 5 seeds" in drawn.texts(pages[3])
    assert "interquartile mean" in drawn.texts(pages[0])


def test_other_results_are_refused():
    with pytest.raises(UserError, match="has no variable 'seed_return'"):
        select("reliability", steps("hopper", "ppo"), PARAMS)
