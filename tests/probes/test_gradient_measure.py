"""Gradient estimates from a pool of streams against the definition in double precision by automatic differentiation."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward, policy_net, value_net
from pgprim.core.prefix_sums import batch_gradient
from pgprim.core.returns import gae
from pgprim.core.surrogate import normalise_advantage
from pgprim.experience.rollout import sample_pool
from pgprim.probes.gradient import measure
from pgprim.probes.gradient.measure import measure_kept, pool_blocks
from pgprim.rl.algorithms import make_settings
from pgprim.store.datasets import load_dataset, open_store, save_dataset, save_store
from pgprim.store.files import Pieces
from pgprim.store.inputs import Inputs
from pgprim.store.labelled import interval
from pgprim.store.rollouts import RolloutWriter, open_rollouts
from pgprim.types.environment import Environment
from tests.probes.synthetic import (
    PPO,
    TRPO,
    everything,
    make_checkpoint,
    make_rollouts,
    measure_by,
    seen_rewards,
)

STREAMS, TRIALS, PAIRS = 9, 4, 1500
PREFIXES = [30, 100, 512, 1024, 1025, 1400, 1500]
JOINED = [2 * PAIRS]
PARAMS = {"budgets": [*PREFIXES, *JOINED, 3 * PAIRS]}  # the last gives three estimates, too few


def run(checkpoint, rollouts, params=PARAMS):
    return measure_by("gradient", checkpoint, rollouts, params, TRIALS)


def kept(checkpoint, rollouts, params=PARAMS):
    """The gradients of every stream, one by one."""
    return measure_kept(Inputs(checkpoint, rollouts), params).vectors


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
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, STREAMS, PAIRS)
    gradients, experience = kept(checkpoint, rollouts), everything(rollouts)
    np.testing.assert_array_equal(gradients.budget, PREFIXES)
    for budget in PREFIXES:
        for trial in range(0, STREAMS, 3):
            found = gradients.grad.sel(budget=budget, trial=trial).values
            assert _relative_error(found, _brute_force(checkpoint, experience, [trial], budget)) < 1e-4
    union = _brute_force(checkpoint, experience, range(STREAMS), PAIRS)
    assert _relative_error(gradients.grad_true.values, union) < 1e-4


@pytest.mark.parametrize("semantics", ["exact", "paper"])
def test_cosines_are_those_of_streams_joined_and_left_out_by_the_book(tmp_path, semantics):
    """An estimate of N pairs of one stream or of two whole ones, and a truth of all streams that it has no pair of."""
    checkpoint = make_checkpoint(PPO | {"semantics": semantics})
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, STREAMS, PAIRS)
    _, numbers = run(checkpoint, rollouts)
    numbers, experience = numbers.squeeze(drop=True), everything(rollouts)
    np.testing.assert_array_equal(numbers.budget, [*PREFIXES, *JOINED])
    for budget in (100, 1500, *JOINED):
        joined = max(1, budget // PAIRS)
        groups = [range(k * joined, (k + 1) * joined) for k in range(STREAMS // joined)]
        pool = range(len(groups) * joined)  # of an odd number of streams the last is in no pair
        trials = [_brute_force(checkpoint, experience, group, min(budget, PAIRS)) for group in groups]
        truths = [
            _brute_force(checkpoint, experience, [k for k in pool if k not in group], PAIRS)
            for group in groups
        ]
        unit, toward = (np.array([v / np.linalg.norm(v) for v in some]) for some in (trials, truths))
        here, num = numbers.sel(budget=budget), len(groups)
        assert here.num_trials == num
        matrix = unit @ unit.T
        np.testing.assert_allclose(here.cosine, matrix[np.triu_indices(num, 1)].mean(), atol=1e-4)
        np.testing.assert_allclose(here.truth_cosine_trial[:num], (unit * toward).sum(1), atol=1e-4)
        np.testing.assert_allclose(here.truth_cosine, (unit * toward).sum(1).mean(), atol=1e-4)
        np.testing.assert_allclose(here.norm[:num], np.linalg.norm(trials, axis=1), rtol=1e-4)
        assert np.isnan(here.truth_cosine_trial[num:]).all() and np.isnan(here.norm[num:]).all()
        np.testing.assert_allclose(here.noise_scale_episodes, here.noise_scale / numbers.mean_episode_length)
    union = _brute_force(checkpoint, experience, range(STREAMS), PAIRS)
    np.testing.assert_allclose(numbers.truth_norm, np.linalg.norm(union), rtol=1e-4)
    assert numbers.truth_pairs == STREAMS * PAIRS


def test_semantics_differ_and_terminations_matter(tmp_path):
    """The comparisons above would pass if the flags were ignored on both sides: they are not."""
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, STREAMS, PAIRS)
    paper = make_checkpoint(PPO | {"semantics": "paper"})
    exact, other = (kept(agent, rollouts).grad.values for agent in (checkpoint, paper))
    assert _relative_error(other, exact) > 1e-2


@pytest.mark.parametrize("budgets", [[1400], [512, 1025]])
def test_a_budget_does_not_depend_on_which_others_there_are(tmp_path, budgets):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, STREAMS, PAIRS)
    every, some = (kept(checkpoint, rollouts, {"budgets": few}).grad for few in (PREFIXES, budgets))
    for found, expected in zip(some.values, every.sel(budget=budgets).values, strict=True):
        assert _relative_error(found, expected) < 1e-4


@pytest.mark.parametrize(("block", "group"), [(64, 40), (1000, 2), (4096, 3)])
def test_the_size_of_blocks_is_a_matter_of_rounding(tmp_path, monkeypatch, block, group):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, STREAMS, PAIRS)
    usual = kept(checkpoint, rollouts)
    monkeypatch.setattr(measure, "BLOCK", block)
    monkeypatch.setattr(measure, "GROUP", group)
    other = kept(checkpoint, rollouts)
    for name in ("grad", "grad_true"):
        assert _relative_error(other[name].values, usual[name].values) < 1e-4


def _simulated(path, num_stored, num_pairs):
    """An agent in Pendulum, and the first streams of its pool in a store."""
    checkpoint = make_checkpoint(PPO, num_obs=3, num_act=1)
    checkpoint = replace(checkpoint, task="pendulum", environment=Environment("Pendulum-v1"))
    attrs = {name: getattr(checkpoint, name) for name in ("task", "env_id", "algo", "seed", "iteration")}
    with RolloutWriter(path, num_stored, num_pairs, 3, 1, attrs) as writer:
        for block in sample_pool(checkpoint, slice(0, num_stored), num_pairs, 512):
            writer.append(block)
    return checkpoint, open_rollouts(path)


def _measure(checkpoint, rollouts, num_pairs, pieces=None, deep=()):
    sample = {"streams": 12, "pairs": num_pairs, "kept": rollouts.num_streams}
    sample |= {"estimates": TRIALS, "trials": TRIALS}
    sample["deep"] = {"seeds": list(deep), "pairs": 2 * num_pairs}
    inputs = Inputs(checkpoint, rollouts, sample)
    inputs = inputs if pieces is None else replace(inputs, pieces=pieces)
    return measure.measure(inputs, {"budgets": [100, 512, 600, 1200, 2400]})


def _bytes(folder, measured):
    save_store(folder / "v.zarr", measured.vectors)
    save_dataset(folder / "n.nc", measured.numbers)
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_stored_and_simulated_streams_give_the_same_bytes(tmp_path, monkeypatch):
    """All streams from a store, most of them simulated with one group half from the store, and all simulated."""
    monkeypatch.setattr(measure, "GROUP", 5)
    monkeypatch.setattr(measure, "BLOCK", 256)
    results = []
    for num_stored in (12, 7):
        (tmp_path / f"{num_stored}").mkdir()
        checkpoint, rollouts = _simulated(tmp_path / f"{num_stored}.zarr", num_stored, 600)
        results.append(_bytes(tmp_path / f"{num_stored}", _measure(checkpoint, rollouts, 600)))
        if num_stored == 7:
            (mixed,) = list(pool_blocks(checkpoint, rollouts, slice(5, 10), 600))[2:]
            assert mixed.rew.shape == (5, 88) and mixed.finals.stream.tolist() == [0, 1, 2, 3, 4]
    checkpoint, shorter = _simulated(tmp_path / "short.zarr", 7, 300)
    (tmp_path / "live").mkdir()
    results.append(_bytes(tmp_path / "live", _measure(checkpoint, shorter, 300, deep=[checkpoint.seed])))
    assert len(results[0]) > 5 and results[0] == results[1] == results[2]


def test_a_killed_run_goes_on_from_the_groups_that_are_finished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure, "GROUP", 5)
    checkpoint, rollouts = _simulated(tmp_path / "r.zarr", 7, 600)
    for name in ("whole", "again"):
        (tmp_path / name).mkdir()
    whole = _bytes(tmp_path / "whole", _measure(checkpoint, rollouts, 600))
    groups, real = [], measure.pool_blocks

    def dying(checkpoint, rollouts, streams, num_pairs):
        groups.append(streams.start)
        if len(groups) == 2:
            raise KeyboardInterrupt
        return real(checkpoint, rollouts, streams, num_pairs)

    monkeypatch.setattr(measure, "pool_blocks", dying)
    with pytest.raises(KeyboardInterrupt), Pieces("out.nc", {}) as pieces:
        _measure(checkpoint, rollouts, 600, pieces)
    with Pieces("out.nc", {}) as pieces:
        resumed = _measure(checkpoint, rollouts, 600, pieces)
    assert groups == [0, 5, 5, 10]
    assert _bytes(tmp_path / "again", resumed) == whole


def test_deep_streams_begin_as_those_of_the_other_seeds_do(tmp_path):
    checkpoint, rollouts = _simulated(tmp_path / "r.zarr", 7, 600)
    usual, deep = (
        _measure(checkpoint, rollouts, 600, deep=seeds).numbers for seeds in ((), (checkpoint.seed,))
    )
    assert usual.budget.values.tolist() == [100, 512, 600, 1200] and deep.budget[-1] == 2400
    assert usual.num_trials.squeeze().values.tolist() == [12, 12, 12, 6]
    assert deep.num_trials.squeeze().values.tolist() == [12, 12, 12, 12, 6]
    np.testing.assert_allclose(deep.cosine[..., :3], usual.cosine[..., :3], rtol=1e-4)
    assert (deep.truth_pairs, usual.truth_pairs) == (12 * 1200, 12 * 600)


def test_gradients_can_be_had_again_from_what_is_stored(tmp_path):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, STREAMS, PAIRS)
    vectors, _ = run(checkpoint, rollouts)
    save_store(tmp_path / "g.zarr", vectors)
    stored = open_store(tmp_path / "g.zarr")
    sums = (
        stored[name].values.astype(np.float64)
        for name in ("score_sum", "score_adv_sum", "adv_sum", "adv_sq_sum")
    )
    again = batch_gradient(np.full(STREAMS, float(stored.attrs["stream_pairs"])), *sums)
    expected = kept(checkpoint, rollouts).grad.sel(budget=PAIRS).values
    assert _relative_error(again, expected) < 1e-5


def test_estimates_are_labelled(tmp_path):
    checkpoint = make_checkpoint(PPO, seed=7, iteration=300)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, STREAMS, PAIRS)
    vectors, numbers = run(checkpoint, rollouts)
    labels = ("task", "algo", "seed", "iteration")
    assert [numbers[name].item() for name in labels] == ["bandit", "ppo", 7, 300]
    assert numbers.truth_cosine_trial.dims == numbers.norm.dims == (*labels, "budget", "trial")
    for name in ("cosine", "truth_cosine", "truth_cosine_corrected", "noise_scale", "noise_scale_episodes"):
        assert numbers[name].dims == (*labels, "budget")
        value, (low, high) = numbers[name].values, (end.values for end in interval(numbers, name))
        assert (low <= value).all() and (value <= high).all()
    assert numbers.truth_norm.dims == labels
    for ds in (vectors, numbers):
        assert all(array.attrs["units"] and array.attrs["long_name"] for array in ds.data_vars.values())
    names = vectors.tensor.attrs["flag_meanings"].split()
    layout = policy_net(checkpoint.num_obs, checkpoint.num_act, (8, 8)).layout
    assert names == [name for name, _ in layout]
    assert [int((vectors.tensor == k).sum()) for k in range(len(names))] == [
        int(np.prod(s)) for _, s in layout
    ]
    json.dumps({str(k): v for k, v in vectors.attrs.items()})


def test_episodes_are_counted_whole(tmp_path):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, STREAMS, PAIRS, end_rate=0.001)
    _, numbers = run(checkpoint, rollouts)
    experience = everything(rollouts)
    lengths, returns = [], []
    for stream in range(STREAMS):
        ends = np.flatnonzero((experience.terminated | experience.truncated)[stream]) + 1
        for start, stop in zip([0, *ends], ends, strict=False):
            lengths.append(stop - start)
            returns.append(experience.rew[stream, start:stop].sum())
    assert len(lengths) > 10
    assert numbers.mean_episode_length.item() == pytest.approx(np.mean(lengths))
    assert numbers.mean_return.item() == pytest.approx(np.mean(returns))


def test_without_a_completed_episode_there_is_no_length(tmp_path):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, STREAMS, 600, end_rate=0.0)
    _, numbers = run(checkpoint, rollouts, {"budgets": [100, 600]})
    save_dataset(tmp_path / "a.nc", numbers)
    numbers = load_dataset(tmp_path / "a.nc")
    assert np.isnan(numbers.mean_episode_length) and np.isnan(numbers.noise_scale_episodes).all()
    assert np.isfinite(numbers.cosine).all()
