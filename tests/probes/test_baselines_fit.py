"""V* and the best baseline: what is read, that the fit is least squares, and when it stops."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward, policy_net, value_net
from pgprim.probes.fit.regression import (
    FitSettings,
    Returns,
    describe,
    fit_returns,
    merge_returns,
    predict,
    read_returns,
    rescale,
    weighted_errors,
)
from pgprim.rl.algorithms import make_settings
from tests.probes.synthetic import PPO, TRPO, everything, make_checkpoint, make_rollouts, seen_rewards

NET = value_net(1, (16, 16))
CHOSEN = FitSettings(pairs=10**6, held_out=0.2, beyond=100, batch=256, lr=1e-2, epochs=12, patience=12)


def _sample(rng, num_pairs: int) -> Returns:
    """Returns 100 + 20·sin(2x) + noise; the noise is skewed, and scores are large where it is."""
    x = torch.from_numpy(rng.uniform(-2, 2, num_pairs)).float()
    noise = torch.from_numpy(rng.exponential(5.0, num_pairs)).float()
    ret = 100 + 20 * (2 * x).sin() + noise - 5
    return Returns(x[:, None], ret, torch.full_like(ret, 90.0), 1000 * (1 + noise), 7)


def _phi(seed: int = 0) -> torch.Tensor:
    """Networks that know no more of the returns than where they lie."""
    phi = torch.from_numpy(0.5 * np.random.default_rng(seed).standard_normal((2, NET.num_params))).float()
    return rescale(NET, phi, torch.tensor(100.0), torch.tensor(15.0))


def _fit(train: Returns, held_out: Returns, settings: FitSettings = CHOSEN, phi: torch.Tensor | None = None):
    start = _phi() if phi is None else phi
    return fit_returns(NET, start, train, held_out, settings, 1e-5, np.random.default_rng(1), "fit")


def test_both_networks_find_what_least_squares_asks_for():
    """E[R|x], and E[wR|x]/E[w|x], which for weights 1 + noise is higher by Var(noise)/(1 + E noise) = 25/6."""
    rng = np.random.default_rng(0)
    train, held_out = _sample(rng, 20_000), _sample(rng, 5_000)
    fitted = _fit(train, held_out)
    x = torch.linspace(-1.9, 1.9, 50)[:, None]
    plain = 100 + 20 * (2 * x[:, 0]).sin()
    found = predict(NET, fitted.phi, x)
    assert (found[0] - plain).square().mean() ** 0.5 < 0.5
    assert (found[1] - plain - 25 / 6).square().mean() ** 0.5 < 1.0
    numbers = describe(NET, fitted, train, held_out)
    assert numbers["fit_error"] == pytest.approx(5.0, rel=0.05)  # the noise's own deviation
    assert numbers["fit_value_error"] == pytest.approx(
        (held_out.ret - 90).square().mean().item() ** 0.5, rel=1e-5
    )
    signal = 400 * (0.5 - np.sin(8) / 16)  # of 20·sin(2x) with x uniform on ±2
    assert numbers["fit_explained_variance"] == pytest.approx(1 - 25 / (signal + 25), abs=0.02)
    assert (numbers["fit_pairs"], numbers["fit_held_out_pairs"]) == (20_000, 5_000)
    assert numbers["fit_left_out"] == pytest.approx(14 / 25_014)


def test_each_network_is_taken_from_its_best_epoch():
    rng = np.random.default_rng(2)
    train, held_out = _sample(rng, 300), _sample(rng, 3_000)  # few enough pairs to be learnt by heart
    fitted = _fit(
        train,
        held_out,
        FitSettings(**vars(CHOSEN) | {"batch": 64, "epochs": 300, "patience": 20, "lr": 2e-2}),
    )
    assert len(fitted.errors) == 1 + max(fitted.epoch) + 20
    assert np.argmin(fitted.errors, axis=0).tolist() == fitted.epoch
    errors = weighted_errors(predict(NET, fitted.phi, held_out.obs), held_out)
    np.testing.assert_allclose(errors, fitted.errors.min(0), rtol=1e-4)


def test_a_fit_does_not_depend_on_the_scale_of_the_returns():
    rng = np.random.default_rng(3)
    train, held_out = _sample(rng, 2_000), _sample(rng, 500)
    larger = [
        Returns(part.obs, 64 * part.ret, part.val, part.norm, part.num_left_out) for part in (train, held_out)
    ]
    phi = rescale(NET, _phi(), torch.tensor(0.0), torch.tensor(64.0))
    one, other = _fit(train, held_out), _fit(*larger, phi=phi)
    np.testing.assert_allclose(
        predict(NET, other.phi, held_out.obs), 64 * predict(NET, one.phi, held_out.obs), rtol=1e-4
    )


def test_a_fit_goes_on_from_where_it_starts():
    """Fitted once, a network is nearly the best already; and a start that no epoch betters is what comes out."""
    rng = np.random.default_rng(4)
    train, held_out = _sample(rng, 20_000), _sample(rng, 5_000)
    first = _fit(train, held_out)
    second = _fit(train, held_out, phi=first.phi)
    np.testing.assert_allclose(second.errors[0], first.errors.min(0), rtol=1e-4)
    assert (first.errors[0] > 10 * second.errors[0]).all()
    hasty = FitSettings(**vars(CHOSEN) | {"lr": 5.0, "epochs": 2})
    kept = _fit(train, held_out, hasty, phi=first.phi)
    assert kept.epoch == [0, 0]
    np.testing.assert_allclose(kept.phi, first.phi, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("settings", [PPO, TRPO, PPO | {"semantics": "paper"}], ids=["ppo", "trpo", "paper"])
@pytest.mark.parametrize("num_pairs", [700, 900])
def test_returns_are_the_definition_and_unsettled_ones_are_left_out(tmp_path, settings, num_pairs):
    """A plain loop from the end of each stream, in double precision; by time alone a pair is left out."""
    beyond, limit, checkpoint = 40, 90, make_checkpoint(settings)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, 4, 900, end_rate=0.01, limit=limit)
    found = read_returns(
        checkpoint, rollouts.blocks(slice(1, 4), num_pairs + 1, 256), num_pairs, limit, beyond
    )
    chosen, block = make_settings(settings), everything(rollouts)
    finals = {(k, t): obs for k, t, obs in zip(*vars(block.finals).values(), strict=True)}
    net = value_net(checkpoint.num_obs, chosen.hidden)
    value = net.split(checkpoint.state.phi.double())
    policy = policy_net(checkpoint.num_obs, checkpoint.num_act, chosen.hidden)
    theta = checkpoint.state.theta.double().requires_grad_()

    def worth(obs):
        return forward(net, value, torch.from_numpy(obs.astype(np.float64))[None, None]).item()

    rew = seen_rewards(checkpoint, block.rew)
    rows, left_out = [], 0
    for stream in range(1, 4):
        of_stream, age = [], np.zeros(num_pairs, int)
        for t in range(1, num_pairs):
            age[t] = (
                0 if block.terminated[stream, t - 1] or block.truncated[stream, t - 1] else age[t - 1] + 1
            )
        for t in range(num_pairs - 1, -1, -1):
            terminated, truncated = block.terminated[stream, t], block.truncated[stream, t]
            if chosen.semantics == "paper":
                terminated, truncated = terminated or truncated, False
            if terminated:
                tail = 0.0
            elif truncated or t == num_pairs - 1:
                behind = finals.get((stream, t))
                tail = worth(block.obs[stream, t + 1] if behind is None else behind)
            tail = rew[stream, t] + chosen.gamma * tail
            if limit - age[t] < beyond or num_pairs - t < beyond:  # whether or not its episode ended before
                left_out += 1
            else:
                of_stream.append((tail, stream, t))
        rows += of_stream[::-1]
    assert found.num_left_out == left_out > 0
    np.testing.assert_allclose(found.ret, [row[0] for row in rows], rtol=1e-4, atol=1e-4)
    for k in range(0, len(rows), 97):
        _, stream, t = rows[k]
        obs = torch.from_numpy(block.obs[stream, t].astype(np.float64))
        np.testing.assert_allclose(found.obs[k], obs, atol=1e-5)
        assert found.val[k].item() == pytest.approx(worth(block.obs[stream, t]), abs=1e-4)
        parts = policy.split(theta)
        act = torch.from_numpy(block.act[stream, t].astype(np.float64))[None, None]
        logp = log_prob(forward(policy, parts, obs[None, None]), parts[-1], act).sum()
        norm = torch.autograd.grad(logp, theta)[0].square().sum().item()
        assert found.norm[k].item() == pytest.approx(norm, rel=1e-3)


def test_groups_of_streams_are_joined_in_order(tmp_path):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, 4, 600, limit=70)
    whole = read_returns(checkpoint, rollouts.blocks(), 600, 70, 50)
    parts = [read_returns(checkpoint, rollouts.blocks(slice(k, k + 2)), 600, 70, 50) for k in (0, 2)]
    joined = merge_returns(parts)
    assert joined.num_left_out == whole.num_left_out
    for name in ("obs", "ret", "val", "norm"):
        np.testing.assert_allclose(getattr(joined, name), getattr(whole, name), rtol=1e-5, atol=1e-5)


def test_a_reward_that_is_never_found_has_no_variance_to_explain():
    rng = np.random.default_rng(5)
    train, held_out = _sample(rng, 500), _sample(rng, 200)
    train, held_out = (replace(part, ret=torch.zeros_like(part.ret)) for part in (train, held_out))
    numbers = describe(NET, _fit(train, held_out), train, held_out)
    assert np.isnan(numbers["fit_explained_variance"]) and np.isnan(numbers["fit_value_explained_variance"])
    assert np.isfinite(numbers["fit_error"])


@pytest.mark.parametrize("unit", [1e-9, 1e6])
def test_returns_of_any_unit_are_fitted(unit):
    rng = np.random.default_rng(6)
    parts = [
        replace(part, ret=unit * (part.ret - 100)) for part in (_sample(rng, 5_000), _sample(rng, 1_000))
    ]
    start = rescale(NET, _phi(), torch.tensor(-100.0 * unit), torch.tensor(1.0 * unit))
    assert describe(NET, _fit(*parts, phi=start), *parts)["fit_explained_variance"] > 0.7
