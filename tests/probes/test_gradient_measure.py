"""Gradient estimates from stored rollouts against the definition in double precision by automatic differentiation."""

import json

import numpy as np
import pytest
import torch

from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward, policy_net, value_net
from pgprim.core.returns import gae
from pgprim.core.surrogate import normalise_advantage
from pgprim.probes.gradient import measure
from pgprim.probes.gradient.measure import add_gradients, collect_sums, compare, stream_gradients
from pgprim.rl.algorithms import make_settings
from pgprim.store.datasets import load_dataset, open_store, save_dataset, save_store
from pgprim.store.labelled import interval
from tests.probes.synthetic import (
    PPO,
    TRPO,
    everything,
    make_checkpoint,
    make_rollouts,
    measure_by,
    seen_rewards,
)

TRIALS, TRUTH, PAIRS = 4, 5, 1500
BUDGETS = [30, 100, 512, 1024, 1025, 1400]
PARAMS = {
    "sample": {"trials": TRIALS, "truth_streams": TRUTH, "pairs": PAIRS},
    "estimate": {"gradient": {"budgets": BUDGETS, "level": 0.95}},
}


def run(checkpoint, rollouts, params):
    own = {name: value for name, value in params["estimate"]["gradient"].items() if name != "level"}
    return measure_by("gradient", checkpoint, rollouts, own, params["sample"]["trials"])


def _brute_force(checkpoint, experience, streams, num_pairs):
    """Eq. 1 on the first `num_pairs` pairs of some streams taken as one batch, by the book."""
    settings = make_settings(checkpoint.settings)
    paper = settings.semantics == "paper"

    def double(obs):
        return torch.from_numpy(obs.astype(np.float64))

    value = value_net(checkpoint.num_obs, settings.hidden)
    phi = value.split(checkpoint.state.phi.double())
    policy = policy_net(checkpoint.num_obs, checkpoint.num_act, settings.hidden)
    theta = checkpoint.state.theta.double().requires_grad_()
    finals = {(k, t): obs for k, t, obs in zip(*vars(experience.finals).values(), strict=True)}
    logps, advs = [], []
    for stream in streams:
        obs = double(experience.obs[stream])
        val = forward(value, phi, obs[None])[0, :, 0].numpy()
        terminated, truncated = (
            x[stream : stream + 1, :num_pairs] for x in (experience.terminated, experience.truncated)
        )
        next_val = np.append(val[1:], np.nan)[:num_pairs]
        for (k, t), final in finals.items():
            if k == stream and t < num_pairs:
                next_val[t] = forward(value, phi, double(final)[None, None]).item()
        if paper:
            next_val[-1] = val[num_pairs - 1]
            terminated, truncated = terminated | truncated, np.zeros_like(truncated)
        rew = seen_rewards(checkpoint, experience.rew[stream : stream + 1, :num_pairs])
        columns = (rew, val[None, :num_pairs], next_val[None], terminated, truncated)
        advs.append(gae(*columns, settings.gamma, settings.lam)[0])
        parts = policy.split(theta)
        act = torch.from_numpy(experience.act[stream, :num_pairs].astype(np.float64))
        logps.append(log_prob(forward(policy, parts, obs[None, :num_pairs]), parts[-1], act[None])[0])
    adv = normalise_advantage(torch.from_numpy(np.concatenate(advs))[None])[0]
    return torch.autograd.grad((torch.cat(logps) * adv).mean(), theta)[0][0].numpy()


def _relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("settings", [PPO, TRPO, PPO | {"semantics": "paper"}], ids=["ppo", "trpo", "paper"])
def test_every_estimate_is_the_definition(tmp_path, settings):
    checkpoint = make_checkpoint(settings)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    gradients, _ = run(checkpoint, rollouts, PARAMS)
    experience = everything(rollouts)
    for budget in BUDGETS:
        for trial in range(TRIALS):
            found = gradients.grad.sel(budget=budget, trial=trial).values
            assert _relative_error(found, _brute_force(checkpoint, experience, [trial], budget)) < 1e-4
    truth = _brute_force(checkpoint, experience, range(TRIALS, TRIALS + TRUTH), PAIRS)
    assert _relative_error(gradients.grad_true.values, truth) < 1e-4
    np.testing.assert_allclose(stream_gradients(gradients).mean(0), gradients.grad_true, atol=1e-6)


def test_semantics_differ_and_terminations_matter(tmp_path):
    """The comparison above would pass if the flags were ignored on both sides: they are not."""
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    paper = make_checkpoint(PPO | {"semantics": "paper"})
    exact, other = (run(agent, rollouts, PARAMS)[0].grad.values for agent in (checkpoint, paper))
    assert _relative_error(other, exact) > 1e-2


@pytest.mark.parametrize("budgets", [[1400], [512, 1025]])
def test_a_budget_does_not_depend_on_which_others_there_are(tmp_path, budgets):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    every = add_gradients(collect_sums(checkpoint, rollouts, BUDGETS, TRIALS))
    some = add_gradients(collect_sums(checkpoint, rollouts, budgets, TRIALS))
    for found, expected in zip(some.grad.values, every.grad.sel(budget=budgets).values, strict=True):
        assert _relative_error(found, expected) < 1e-4


@pytest.mark.parametrize(("block", "group"), [(64, 40), (1000, 2), (4096, 3)])
def test_the_size_of_blocks_is_a_matter_of_rounding(tmp_path, monkeypatch, block, group):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    usual, _ = run(checkpoint, rollouts, PARAMS)
    monkeypatch.setattr(measure, "BLOCK", block)
    monkeypatch.setattr(measure, "GROUP", group)
    other, _ = run(checkpoint, rollouts, PARAMS)
    for name in ("grad", "grad_true"):
        assert _relative_error(other[name].values, usual[name].values) < 1e-4


def test_the_same_rollouts_give_the_same_bytes(tmp_path):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    for name in ("a", "b"):
        gradients, numbers = run(checkpoint, rollouts, PARAMS)
        save_store(tmp_path / f"{name}.zarr", gradients)
        save_dataset(tmp_path / f"{name}.nc", numbers)
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()
    files = [sorted(p for p in (tmp_path / f"{name}.zarr").rglob("*") if p.is_file()) for name in ("a", "b")]
    assert [p.read_bytes() for p in files[0]] == [p.read_bytes() for p in files[1]]
    assert len(files[0]) <= 36


def test_budgets_and_normalisation_can_be_had_again_from_what_is_stored(tmp_path):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    gradients, numbers = run(checkpoint, rollouts, PARAMS)
    save_store(tmp_path / "g.zarr", gradients)
    stored = open_store(tmp_path / "g.zarr")
    again = add_gradients(stored.drop_vars(["grad", "grad_true"]))
    np.testing.assert_array_equal(again.grad, gradients.grad)
    np.testing.assert_array_equal(again.grad_true, gradients.grad_true)
    assert compare(checkpoint, stored, 0.95).identical(numbers)


def test_estimates_are_labelled(tmp_path):
    checkpoint = make_checkpoint(PPO, seed=7, iteration=300)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    gradients, numbers = run(checkpoint, rollouts, PARAMS)
    labels = ("task", "algo", "seed", "iteration")
    assert [numbers[name].item() for name in labels] == ["bandit", "ppo", 7, 300]
    assert numbers.pairwise_cosine.dims == (*labels, "budget", "trial", "trial_b")
    assert numbers.truth_cosine_trial.dims == numbers.norm.dims == (*labels, "budget", "trial")
    for name in ("cosine", "truth_cosine", "noise_scale"):
        assert numbers[name].dims == (*labels, "budget")
        value, (low, high) = numbers[name].values, (end.values for end in interval(numbers, name))
        assert (low <= value).all() and (value <= high).all()
    assert numbers.truth_norm.dims == labels
    for ds in (gradients, numbers):
        assert all(array.attrs["units"] and array.attrs["long_name"] for array in ds.data_vars.values())
    names = gradients.tensor.attrs["flag_meanings"].split()
    layout = policy_net(checkpoint.num_obs, checkpoint.num_act, (8, 8)).layout
    assert names == [name for name, _ in layout]
    assert [int((gradients.tensor == k).sum()) for k in range(len(names))] == [
        int(np.prod(s)) for _, s in layout
    ]
    json.dumps({str(k): v for k, v in gradients.attrs.items()})


def test_numbers_are_those_of_the_gradients(tmp_path):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    gradients, numbers = run(checkpoint, rollouts, PARAMS)
    numbers = numbers.squeeze(drop=True)
    for budget in BUDGETS:
        vectors = gradients.grad.sel(budget=budget).values.astype(np.float64)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        here = numbers.sel(budget=budget)
        np.testing.assert_allclose(here.pairwise_cosine, unit @ unit.T, atol=1e-12)
        np.testing.assert_allclose(
            here.cosine, (unit @ unit.T)[np.triu_indices(TRIALS, 1)].mean(), atol=1e-12
        )
        truth = gradients.grad_true.values.astype(np.float64)
        np.testing.assert_allclose(here.truth_cosine_trial, unit @ truth / np.linalg.norm(truth), atol=1e-12)
        np.testing.assert_allclose(here.norm, np.linalg.norm(vectors, axis=1))
        np.testing.assert_allclose(here.noise_scale_episodes, here.noise_scale / numbers.mean_episode_length)
    assert numbers.truth_pairs == TRUTH * PAIRS


def test_episodes_are_counted_whole(tmp_path):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS, end_rate=0.001)
    gradients, _ = run(checkpoint, rollouts, PARAMS)
    experience = everything(rollouts)
    lengths, returns = [], []
    for stream in range(TRIALS + TRUTH):
        # Of a trial stream no more is read than the largest budget and the one observation behind it.
        read = BUDGETS[-1] + 1 if stream < TRIALS else PAIRS
        ends = np.flatnonzero((experience.terminated | experience.truncated)[stream, :read]) + 1
        for start, stop in zip([0, *ends], ends, strict=False):
            lengths.append(stop - start)
            returns.append(experience.rew[stream, start:stop].sum())
    assert len(lengths) > 10
    assert gradients.attrs["mean_episode_length"] == pytest.approx(np.mean(lengths))
    assert gradients.attrs["mean_return"] == pytest.approx(np.mean(returns))


def test_without_a_completed_episode_there_is_no_length(tmp_path):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, 600, end_rate=0.0)
    params = PARAMS | {"estimate": {"gradient": {"budgets": [100, 600], "level": 0.95}}}
    _, numbers = run(checkpoint, rollouts, params)
    save_dataset(tmp_path / "a.nc", numbers)
    numbers = load_dataset(tmp_path / "a.nc")
    assert np.isnan(numbers.mean_episode_length) and np.isnan(numbers.noise_scale_episodes).all()
    assert np.isfinite(numbers.cosine).all()
