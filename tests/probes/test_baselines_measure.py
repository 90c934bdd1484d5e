"""Estimates with three baselines against the definition in double precision by automatic differentiation."""

import numpy as np
import pytest
import torch

from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward, policy_net, value_net
from pgprim.core.surrogate import normalise_advantage
from pgprim.probes.baselines import measure
from pgprim.probes.baselines.measure import BASELINES, SUBTRACTED, pair_variances
from pgprim.rl.algorithms import make_settings
from pgprim.store.datasets import load_dataset, open_store, save_dataset, save_store
from pgprim.types.fit import NUMBERS, Fit
from tests.probes.synthetic import (
    PPO,
    TRPO,
    everything,
    make_checkpoint,
    make_rollouts,
    measure_by,
    seen_rewards,
)

TRIALS, TRUTH, PAIRS = 4, 5, 1100
BUDGETS = [30, 512, 1000]
LAMBDAS = [0.0, 0.9, 1.0]
PARAMS = {"budgets": BUDGETS, "lambdas": LAMBDAS, "pairs": 700, "beyond": 60}
LIMIT = 100


def run(checkpoint, fit, rollouts, params):
    return measure_by("baselines", checkpoint, rollouts, params, TRIALS, LIMIT, fit=fit)


def make_fit(checkpoint):
    """V* and b* with random weights: the estimates must be right whatever they are."""
    rng = np.random.default_rng(7)
    shape = tuple(checkpoint.state.phi.shape)
    networks = [torch.from_numpy(0.5 * rng.standard_normal(shape)).float() for _ in range(2)]
    identity = {name: getattr(checkpoint, name) for name in ("task", "env_id", "algo", "seed", "iteration")}
    return Fit(
        **identity, true=networks[0], optimal=networks[1], numbers=dict.fromkeys(NUMBERS, 1.0), made_from={}
    )


class _ByTheBook:
    """One stream in double precision: values, returns by plain loops, gradients by automatic differentiation."""

    def __init__(self, checkpoint, fit, experience, stream):
        self.settings = make_settings(checkpoint.settings)
        self.paper = self.settings.semantics == "paper"
        net = value_net(checkpoint.num_obs, self.settings.hidden)

        self.obs = torch.from_numpy(experience.obs[stream].astype(np.float64))
        self.act = torch.from_numpy(experience.act[stream].astype(np.float64))
        self.rew = seen_rewards(checkpoint, experience.rew)[stream]
        self.terminated, self.truncated = experience.terminated[stream], experience.truncated[stream]
        if self.paper:
            self.terminated, self.truncated = self.terminated | self.truncated, np.zeros_like(self.truncated)
        self.val, self.next_val = {}, {}
        for name, phi in (("value", checkpoint.state.phi), ("true", fit.true), ("optimal", fit.optimal)):
            parts = net.split(phi.double())
            self.val[name] = forward(net, parts, self.obs[None])[0, :, 0].numpy()
            behind = np.append(self.val[name][1:], np.nan)
            finals = experience.finals
            for k, t, obs in zip(finals.stream, finals.t, finals.obs, strict=True):
                if k == stream:
                    behind[t] = forward(
                        net, parts, torch.from_numpy(obs.astype(np.float64))[None, None]
                    ).item()
            self.next_val[name] = behind
        self.policy = policy_net(checkpoint.num_obs, checkpoint.num_act, self.settings.hidden)
        self.theta = checkpoint.state.theta.double().requires_grad_()

    def logp(self, num_pairs):
        parts = self.policy.split(self.theta)
        return log_prob(
            forward(self.policy, parts, self.obs[None, :num_pairs]), parts[-1], self.act[None, :num_pairs]
        )[0]

    def advantage(self, baseline, lam, num_pairs):
        """Σ (γλ)^k δ_{t+k}; without a baseline γλ = γ and δ is the reward, V standing at cuts alone."""
        name = "value" if baseline == "zero" else baseline
        gamma = self.settings.gamma
        adv, after = np.zeros(num_pairs), 0.0
        for t in range(num_pairs - 1, -1, -1):
            last = t == num_pairs - 1
            behind = 0.0 if self.terminated[t] else self.next_val[name][t]
            if self.paper and last and not self.terminated[t]:
                behind = self.val[name][t]
            ended = self.terminated[t] or self.truncated[t]
            if baseline == "zero":
                adv[t] = self.rew[t] + gamma * (behind if ended or last else after)
                after = adv[t]
            else:
                after = 0.0 if ended else after
                adv[t] = self.rew[t] + gamma * behind - self.val[name][t] + gamma * lam * after
                after = adv[t]
        return adv

    def normalised(self, adv):
        """Eqs. 1 and 15."""
        scaled = normalise_advantage(torch.from_numpy(adv)[None])[0]
        return torch.autograd.grad((self.logp(len(adv)) * scaled).mean(), self.theta)[0][0].numpy()

    def centred(self, adv):
        weights = torch.from_numpy(adv - adv.mean()) / (len(adv) - 1)
        return torch.autograd.grad((self.logp(len(adv)) * weights).sum(), self.theta)[0][0].numpy()


def _relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.fixture(
    scope="module", params=[PPO, TRPO, PPO | {"semantics": "paper"}], ids=["ppo", "trpo", "paper"]
)
def measured(request, tmp_path_factory):
    checkpoint = make_checkpoint(request.param)
    path = tmp_path_factory.mktemp("baselines") / "r.zarr"
    rollouts = make_rollouts(path, checkpoint, TRIALS + TRUTH, PAIRS, limit=LIMIT)
    fit = make_fit(checkpoint)
    books = [_ByTheBook(checkpoint, fit, everything(rollouts), k) for k in range(TRIALS + TRUTH)]
    return checkpoint, fit, rollouts, *run(checkpoint, fit, rollouts, PARAMS), books


@pytest.mark.parametrize("baseline", BASELINES)
def test_every_estimate_is_the_definition(measured, baseline):
    _, _, _, vectors, _, books = measured
    for budget in BUDGETS:
        for trial in range(TRIALS):
            adv = books[trial].advantage(baseline, books[trial].settings.lam, budget)
            found = vectors.grad.sel(baseline=baseline, budget=budget)[trial].values
            assert _relative_error(found, books[trial].normalised(adv)) < 1e-4


def test_estimates_over_lambda_are_the_definition(measured):
    _, _, _, vectors, _, books = measured
    for lam in LAMBDAS:
        for stream in range(TRUTH):
            adv = books[TRIALS + stream].advantage("value", lam, 700)
            found = vectors.lam_grad.sel(lam=lam)[stream].values
            assert _relative_error(found, books[TRIALS + stream].centred(adv)) < 1e-4


def test_estimates_from_returns_differ_by_what_is_subtracted(measured):
    _, _, _, vectors, _, books = measured
    for trial in range(TRIALS):
        ret = books[trial].advantage("zero", 1.0, 700)
        for k, name in enumerate(SUBTRACTED):
            less = ret - (0.0 if name == "zero" else books[trial].val[name][:700])
            found = vectors.return_grad[k, trial].values
            assert _relative_error(found, books[trial].centred(less)) < 1e-4


def test_the_variance_per_pair_is_the_definition(measured):
    """Over the settled pairs: found by a plain loop, ‖s‖² by automatic differentiation of a few single pairs."""
    _, _, _, vectors, numbers, books = measured
    kept = {name: [] for name in SUBTRACTED}
    weights = []
    for book in books[:TRIALS]:
        length = BUDGETS[-1]
        elapsed = 0
        ret = book.advantage("zero", 1.0, length)
        for t in range(length):
            has_room = elapsed + 60 <= LIMIT and t + 60 <= length
            elapsed = 0 if book.terminated[t] or book.truncated[t] else elapsed + 1
            if not has_room:
                continue
            logp = book.logp(length)[t] if t % 250 == 0 else None
            weights.append(
                None if logp is None else torch.autograd.grad(logp, book.theta)[0].square().sum().item()
            )
            for name in SUBTRACTED:
                kept[name].append(ret[t] - (0.0 if name == "zero" else book.val[name][t]))
    for k, name in enumerate(SUBTRACTED):
        sums = vectors.residual_sums.values[k].sum(0)
        assert sums[0] == len(kept[name])
        assert sums[1] == pytest.approx(np.sum(kept[name]), rel=1e-4)
    some = [w for w in weights if w is not None]
    assert 0.5 < np.mean(some) / (sums[2] / sums[0]) < 2  # exactly so in tests/core/test_score_norms.py
    np.testing.assert_allclose(numbers.pair_variance.sel(subtracted="zero"), 1.0)
    np.testing.assert_allclose(
        numbers.gain_share.sel(subtracted=["zero", "optimal"]).squeeze(), [0, 1], atol=1e-12
    )


def test_the_variance_is_of_weighted_squares_and_constants_do_not_matter():
    rng = np.random.default_rng(0)
    weight, ret = rng.uniform(1, 3, (3, 50)), rng.standard_normal((3, 50))
    residuals = [ret + 5, ret - 0.2 * weight + 7, ret - 0.3 * weight, 0.1 * ret]

    def sums(errors):
        rows = [[np.ones_like(e), e, weight, weight * e, weight * e**2] for e in errors]
        return np.array(rows).sum(-1).swapaxes(1, 2)

    ratios, shares = pair_variances(sums(residuals), 0.95)
    variance = [(weight * (e - e.mean()) ** 2).mean() for e in residuals[:3]]
    variance.append((weight * residuals[3] ** 2).mean())
    np.testing.assert_allclose([ratio.value for ratio in ratios], np.array(variance) / variance[0])
    expected = (variance[0] - np.array(variance)) / (variance[0] - variance[3])
    np.testing.assert_allclose([share.value for share in shares], expected, atol=1e-12)
    moved = [e + shift for e, shift in zip(residuals, (100, -3, 2, 0), strict=True)]
    np.testing.assert_allclose(
        np.array(pair_variances(sums(moved), 0.95)), np.array((ratios, shares)), atol=1e-8
    )


def test_returns_that_never_vary_leave_nothing_to_reduce():
    """Without variance there is no share of it: NaN, not a plausible number of rounding."""
    rng = np.random.default_rng(0)
    weight, ret = rng.uniform(1, 3, (3, 50)), np.full((3, 50), 0.1)
    residuals = [ret, ret - 0.3 * weight, ret, ret - 0.1]
    rows = [[np.ones_like(e), e, weight, weight * e, weight * e**2] for e in residuals]
    ratios, shares = pair_variances(np.array(rows).sum(-1).swapaxes(1, 2), 0.95)
    assert np.isnan(np.array(ratios)).all() and np.isnan(np.array(shares)).all()


def test_baselines_that_are_the_same_agree_to_the_bit(tmp_path):
    """With V in place of V*: no difference, and no interval around it."""
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS, limit=LIMIT)
    phi = checkpoint.state.phi
    same = Fit(**vars(make_fit(checkpoint)) | {"true": phi, "optimal": phi})
    vectors, numbers = run(checkpoint, same, rollouts, PARAMS)
    _, value, true = vectors.grad.values
    np.testing.assert_array_equal(true, value)
    gap = numbers.sel(difference="true-value")
    for name in ("cosine_difference", "cosine_difference_ci"):
        np.testing.assert_array_equal(gap[name], 0.0)
    other = numbers.sel(difference=["value-zero", "true-zero"]).cosine_difference.squeeze()
    np.testing.assert_array_equal(other[0], other[1])
    assert (other != 0).all()


@pytest.mark.parametrize(("block", "group"), [(64, 40), (4096, 3)])
def test_the_size_of_blocks_is_a_matter_of_rounding(tmp_path, monkeypatch, block, group):
    checkpoint = make_checkpoint(TRPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS, limit=LIMIT)
    usual, _ = run(checkpoint, make_fit(checkpoint), rollouts, PARAMS)
    monkeypatch.setattr(measure, "BLOCK", block)
    monkeypatch.setattr(measure, "GROUP", group)
    other, _ = run(checkpoint, make_fit(checkpoint), rollouts, PARAMS)
    for name in ("grad", "lam_grad", "return_grad", "residual_sums"):
        assert _relative_error(other[name].values, usual[name].values) < 1e-4


def test_results_are_described_and_come_back_the_same(measured, tmp_path):
    checkpoint, fit, rollouts, vectors, numbers, _ = measured
    again = run(checkpoint, fit, rollouts, PARAMS)
    for k, (one, other) in enumerate(zip((vectors, numbers), again, strict=True)):
        for copy, ds in (("one", one), ("other", other)):
            (save_dataset if k else save_store)(tmp_path / f"{copy}{k}", ds)
    assert (tmp_path / "one1").read_bytes() == (tmp_path / "other1").read_bytes()
    assert open_store(tmp_path / "one0").equals(open_store(tmp_path / "other0"))
    read = load_dataset(tmp_path / "one1")
    assert dict(read.sizes) == dict(numbers.sizes)
    assert (
        read.cosine_difference_ci.attrs["long_name"]
        == "95 % interval of the difference of mean pairwise cosines"
    )


def test_without_a_settled_return_there_is_no_variance(tmp_path):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, 300, end_rate=0.0)
    chosen = PARAMS | {"budgets": [100, 300], "pairs": 200, "beyond": 101}
    _, numbers = run(checkpoint, make_fit(checkpoint), rollouts, chosen)
    assert np.isnan(numbers.gain_share).all() and np.isnan(numbers.pair_variance).all()
    assert np.isfinite(numbers.cosine).all() and np.isfinite(numbers.lam_error).all()
