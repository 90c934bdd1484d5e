"""Statistics of estimates: worked numbers, identities, and the coverage that the intervals really have."""

import numpy as np
import pytest
from scipy import stats

from pgprim.core.statistics import (
    between_agents,
    correct_for_noisy_truth,
    cosine_excess,
    cosines,
    expected_cosine,
    gram,
    jackknife,
    mean_cosine,
    mean_cosine_bootstrap,
    noise_scale,
    pair_mean,
    pair_mean_leave_one_out,
    reliability,
    squared_signal,
    trace_noise,
    trial_mean,
)

LEVEL = 0.95
REPEATS = 1000
TRIALS = 10
DIM = 300
THREE_ERRORS = 3 * np.sqrt(LEVEL * (1 - LEVEL) / REPEATS)


def _synthetic_gradients(cosine, *, repeats=REPEATS, trials=TRIALS, decay=0.0, seed=0):
    """Trials whose pairwise cosine is about `cosine`: a signal of norm 1 and noise of trace 1/cosine − 1.

    `decay` makes the noise's eigenvalues fall as k^(−decay). Without signal the noise has trace 1.
    """
    rng = np.random.default_rng([seed, int(1000 * cosine), trials])
    spectrum = np.arange(1, DIM + 1.0) ** -decay
    spectrum /= spectrum.sum()
    signal = rng.standard_normal(DIM) * np.sqrt(spectrum)
    signal *= (cosine > 0) / np.linalg.norm(signal)
    trace = 1 / cosine - 1 if cosine > 0 else 1.0
    return signal, signal + rng.standard_normal((repeats, trials, DIM)) * np.sqrt(spectrum * trace)


def _expected_mean_cosine(draws):
    """The expectation of the mean pairwise cosine, from all pairs of all repeats at once."""
    unit = (draws / np.linalg.norm(draws, axis=-1, keepdims=True)).reshape(-1, DIM)
    total = unit.sum(0)
    return (total @ total - len(unit)) / (len(unit) * (len(unit) - 1))


def _coverage(intervals, target):
    return np.mean([low <= target <= high for _, low, high in intervals])


def _all_cosines(draws):
    return [cosines(gram(trials)) for trials in draws]


# --- worked numbers and identities -----------------------------------------------------------------------------------


def test_cosines_by_hand():
    products = gram(np.array([[3.0, 4.0], [4.0, 3.0], [0.0, 0.0], [-3.0, -4.0]]))
    expected = [[1, 0.96, np.nan, -1], [0.96, 1, np.nan, -0.96], [np.nan] * 4, [-1, -0.96, np.nan, 1]]
    np.testing.assert_allclose(cosines(products), expected, atol=1e-15)


def test_pair_mean_counts_every_pair_once():
    kernel = np.array([[9.0, 1, 2], [1, 9, 6], [2, 6, 9]])
    assert pair_mean(kernel) == pytest.approx(3)
    np.testing.assert_allclose(pair_mean_leave_one_out(kernel), [6, 2, 1])


def test_leaving_out_is_what_it_says():
    rng = np.random.default_rng(0)
    kernel = gram(rng.standard_normal((6, 4)))
    direct = [pair_mean(np.delete(np.delete(kernel, i, 0), i, 1)) for i in range(6)]
    np.testing.assert_allclose(pair_mean_leave_one_out(kernel), direct)


def test_jackknife_of_a_mean_is_the_t_interval():
    values = np.random.default_rng(1).standard_normal(8)
    left_out = (values.sum() - values) / 7
    _, low, high = jackknife(values.mean(), left_out, LEVEL)
    expected = stats.t.interval(LEVEL, 7, values.mean(), stats.sem(values))
    np.testing.assert_allclose((low, high), expected)
    np.testing.assert_allclose(between_agents(values, LEVEL)[1:], expected)


def test_between_agents_needs_two():
    value, low, high = between_agents(np.array([0.3]), LEVEL)
    assert value == 0.3 and np.isnan(low) and np.isnan(high)


def test_identical_trials_agree_perfectly():
    matrix = cosines(gram(np.tile([1.0, 2.0], (5, 1))))
    value, low, high = mean_cosine(matrix, LEVEL)
    assert value == pytest.approx(1) and low == pytest.approx(1) and high <= 1 + 1e-12
    assert noise_scale(gram(np.tile([1.0, 2.0], (5, 1))), 10, LEVEL).value == pytest.approx(0, abs=1e-9)


def test_intervals_of_cosines_stay_cosines():
    for cosine in (0.0, 0.5, 0.99):
        _, draws = _synthetic_gradients(cosine, repeats=50, trials=4)
        for matrix in _all_cosines(draws):
            value, low, high = mean_cosine(matrix, LEVEL)
            assert -1 <= low <= value <= high <= 1


def test_signal_and_noise_by_hand():
    products = gram(np.array([[1.0, 1, 0], [1, 0, 1], [1, 0, 0]]))
    assert squared_signal(products) == pytest.approx(1)
    assert trace_noise(products) == pytest.approx(5 / 3 - 1)
    assert noise_scale(products, 12, LEVEL).value == pytest.approx(8)


def test_signal_and_noise_are_unbiased():
    signal, draws = _synthetic_gradients(0.05)
    signals, traces = np.array([(squared_signal(gram(d)), trace_noise(gram(d))) for d in draws]).T
    for values, truth in ((signals, signal @ signal), (traces, 1 / 0.05 - 1)):
        assert abs(values.mean() - truth) < 4 * stats.sem(values)


def test_no_signal_is_an_infinite_noise_scale():
    products = gram(np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]))
    value, low, high = noise_scale(products, 100, LEVEL)
    assert value == np.inf and high == np.inf and low > 0
    assert np.isnan(noise_scale(np.zeros((4, 4)), 100, LEVEL)).all()


def test_noise_scale_predicts_the_cosine():
    """The mean pairwise cosine of N-pair estimates is N/(N + B), the cosine to the truth its root."""
    signal, draws = _synthetic_gradients(0.3)
    budget, scale = 200, 200 * (1 / 0.3 - 1)
    expected = expected_cosine(np.array([budget]), scale)[0]
    assert expected == pytest.approx(0.3)
    assert _expected_mean_cosine(draws) == pytest.approx(expected, abs=0.01)
    to_truth = (draws @ signal / np.linalg.norm(draws, axis=-1)).mean()
    assert to_truth == pytest.approx(np.sqrt(expected), abs=0.01)


# --- coverage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("cosine", [0.5, 0.9, 0.97])
def test_mean_cosine_covers_95_percent_where_there_is_signal(cosine, decay):
    _, draws = _synthetic_gradients(cosine, decay=decay)
    covered = _coverage([mean_cosine(m, LEVEL) for m in _all_cosines(draws)], _expected_mean_cosine(draws))
    assert abs(covered - LEVEL) <= THREE_ERRORS


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("cosine", [0.0, 0.05, 0.2])
def test_mean_cosine_is_on_the_safe_side_where_there_is_little(cosine, decay):
    _, draws = _synthetic_gradients(cosine, decay=decay)
    intervals = [mean_cosine(m, LEVEL) for m in _all_cosines(draws)]
    target = _expected_mean_cosine(draws)
    assert _coverage(intervals, target) >= LEVEL - THREE_ERRORS
    # Safe, but not idle: a true standard error's interval is at most √2 shorter (Efron & Stein).
    width = np.mean([high - low for _, low, high in intervals])
    exact = 2 * stats.t.ppf(0.975, TRIALS - 1) * np.std([value for value, _, _ in intervals])
    assert width < 1.05 * np.sqrt(2) * exact * np.sqrt(TRIALS / (TRIALS - 2))


@pytest.mark.parametrize(("cosine", "at_most"), [(0.05, 0.90), (0.2, 0.80), (0.5, 0.70), (0.9, 0.70)])
def test_a_bootstrap_over_pairs_covers_too_rarely(cosine, at_most):
    """The trap: the 45 cosines are dependent, and resampling them as if they were not gives far too short intervals."""
    _, draws = _synthetic_gradients(cosine)
    rng = np.random.default_rng(1)
    upper = np.triu_indices(TRIALS, 1)
    intervals = []
    for matrix in _all_cosines(draws):
        pairs = matrix[upper]
        means = rng.choice(pairs, (300, len(pairs))).mean(1)
        intervals.append((pairs.mean(), *np.quantile(means, [0.025, 0.975])))
    assert _coverage(intervals, _expected_mean_cosine(draws)) < at_most


def test_a_bootstrap_that_keeps_self_pairs_is_worse():
    """A trial drawn twice agrees with itself: the interval shifts up and covers next to nothing."""
    _, draws = _synthetic_gradients(0.2)
    rng = np.random.default_rng(2)
    intervals = []
    for matrix in _all_cosines(draws[:300]):
        picks = rng.integers(TRIALS, size=(300, TRIALS))
        means = [pair_mean(matrix[np.ix_(pick, pick)]) for pick in picks]
        intervals.append((0.0, *np.quantile(means, [0.025, 0.975])))
    assert _coverage(intervals, _expected_mean_cosine(draws)) < 0.5


@pytest.mark.parametrize("cosine", [0.0, 0.2, 0.5, 0.9])
def test_the_bootstrap_over_trials_is_near_nominal(cosine):
    """The second opinion, without self-pairs: near 95 %, and never as far off as the bootstrap over pairs."""
    _, draws = _synthetic_gradients(cosine, repeats=300)
    rng = np.random.default_rng(3)
    intervals = [mean_cosine_bootstrap(m, LEVEL, rng, 500) for m in _all_cosines(draws)]
    assert _coverage(intervals, _expected_mean_cosine(draws)) > 0.85


@pytest.mark.parametrize("cosine", [0.0, 0.05, 0.3, 0.9])
def test_cosine_to_a_fixed_vector_covers_95_percent(cosine):
    signal, draws = _synthetic_gradients(cosine)
    truth = signal if cosine > 0 else np.eye(DIM)[0]
    to_truth = draws @ truth / (np.linalg.norm(draws, axis=-1) * np.linalg.norm(truth))
    covered = _coverage([trial_mean(values, LEVEL) for values in to_truth], to_truth.mean())
    assert abs(covered - LEVEL) <= THREE_ERRORS


@pytest.mark.parametrize(("cosine", "nominal"), [(0.05, False), (0.2, False), (0.6, True), (0.95, True)])
def test_noise_scale_covers(cosine, nominal):
    _, draws = _synthetic_gradients(cosine)
    scale = 64 * (1 / cosine - 1)
    covered = _coverage([noise_scale(gram(trials), 64, LEVEL) for trials in draws], scale)
    assert covered >= LEVEL - THREE_ERRORS
    assert covered <= LEVEL + THREE_ERRORS or not nominal


@pytest.mark.parametrize("cosine", [0.05, 0.2, 0.6])
def test_reliability_is_the_share_of_signal_in_the_mean(cosine):
    streams = 40
    _, draws = _synthetic_gradients(cosine, trials=streams, repeats=400)
    truth = 1 / (1 + (1 / cosine - 1) / streams)
    estimates = [reliability(gram(vectors), LEVEL) for vectors in draws]
    assert np.median([value for value, _, _ in estimates]) == pytest.approx(truth, rel=0.02)
    assert _coverage(estimates, truth) >= LEVEL - 3 * np.sqrt(LEVEL * (1 - LEVEL) / 400)


def test_correction_for_a_noisy_truth_recovers_the_cosine():
    """Trials against the mean of 20 noisy streams: attenuated as such, right once corrected."""
    signal, trials = _synthetic_gradients(0.3, seed=1)
    _, streams = _synthetic_gradients(0.1, trials=20, seed=2)
    direction = np.linalg.norm(signal)
    right = (trials @ signal / (np.linalg.norm(trials, axis=-1) * direction)).mean()
    streams = streams - streams.mean((0, 1)) + signal  # the same signal behind both
    raw, corrected = [], []
    for own, other in zip(trials, streams, strict=True):
        truth = other.mean(0)
        cosine = (own @ truth / (np.linalg.norm(own, axis=-1) * np.linalg.norm(truth))).mean()
        raw.append(cosine)
        corrected.append(correct_for_noisy_truth(cosine, reliability(gram(other), LEVEL).value))
    assert np.mean(raw) < 0.9 * right
    assert np.mean(corrected) == pytest.approx(right, rel=0.01)
    assert np.isnan(correct_for_noisy_truth(0.2, -0.1))


# --- the built-in check ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cosine", [0.0, 0.3, 0.9])
def test_squared_cosine_to_truth_does_not_exceed_the_pairwise_cosine(cosine):
    """ρ − c² is 0 for the true direction, so that the interval rejects it in one tail only: 2.5 % of the time."""
    signal, draws = _synthetic_gradients(cosine)
    truth = signal if cosine > 0 else np.eye(DIM)[0]
    to_truth = draws @ truth / (np.linalg.norm(draws, axis=-1) * np.linalg.norm(truth))
    checks = [cosine_excess(m, c, LEVEL) for m, c in zip(_all_cosines(draws), to_truth, strict=True)]
    assert np.mean([high < 0 for _, _, high in checks]) <= 0.025 + THREE_ERRORS


def test_a_direction_that_is_not_the_gradients_leaves_an_excess():
    signal, draws = _synthetic_gradients(0.5)
    rotated = signal + np.linalg.norm(signal) * np.eye(DIM)[0]
    to_truth = draws @ rotated / (np.linalg.norm(draws, axis=-1) * np.linalg.norm(rotated))
    checks = [cosine_excess(m, c, LEVEL) for m, c in zip(_all_cosines(draws), to_truth, strict=True)]
    assert np.mean([low > 0 for _, low, _ in checks]) > 0.9


def test_a_truth_that_shares_samples_with_the_trials_is_caught():
    _, draws = _synthetic_gradients(0.02, repeats=100)
    caught = []
    for trials in draws:
        truth = trials.mean(0)
        to_truth = trials @ truth / (np.linalg.norm(trials, axis=1) * np.linalg.norm(truth))
        caught.append(cosine_excess(cosines(gram(trials)), to_truth, LEVEL).high < 0)
    assert np.mean(caught) > 0.9
