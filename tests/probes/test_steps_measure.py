"""Update steps from stored rollouts against the algorithms' own updates on batches put together by hand."""

import numpy as np
import pytest
import torch

from pgprim.core.mlp import forward, value_net
from pgprim.core.returns import gae
from pgprim.core.seeding import generator
from pgprim.probes.steps import measure
from pgprim.probes.steps.measure import compare
from pgprim.rl.algorithms import algorithm, make_settings
from pgprim.rl.batch import Batch
from pgprim.store.datasets import load_dataset, save_dataset, save_store
from tests.probes.synthetic import (
    PPO,
    TRPO,
    everything,
    make_checkpoint,
    make_rollouts,
    measure_by,
    seen_rewards,
)

TRIALS, TRUTH, PAIRS = 4, 5, 900
BUDGETS = [64, 600, 900]
PARAMS = {"budgets": BUDGETS}


def run(checkpoint, rollouts, params):
    return measure_by("steps", checkpoint, rollouts, params, TRIALS)


def _batch(checkpoint, experience, streams, num_pairs):
    """A batch by the book: everything of a stream at once, then cut."""
    settings = make_settings(checkpoint.settings)
    net = value_net(checkpoint.num_obs, settings.hidden)
    phi = net.split(checkpoint.state.phi)

    finals = {(k, t): obs for k, t, obs in zip(*vars(experience.finals).values(), strict=True)}
    found = []
    for stream in streams:
        obs = torch.from_numpy(experience.obs[stream])
        val = forward(net, phi, obs[None])[0, :, 0].double().numpy()
        next_val = np.append(val[1:], np.nan)[:num_pairs]
        for (k, t), final in finals.items():
            if k == stream and t < num_pairs:
                next_val[t] = forward(net, phi, torch.from_numpy(final)[None, None]).item()
        row = slice(stream, stream + 1)
        flags = (experience.terminated[row, :num_pairs], experience.truncated[row, :num_pairs])
        val = val[:num_pairs]
        if settings.semantics == "paper":
            flags = (flags[0] | flags[1], np.zeros_like(flags[0]))
            next_val[-1] = val[-1]
        rew = seen_rewards(checkpoint, experience.rew[row, :num_pairs])
        adv = gae(rew, val[None], next_val[None], *flags, settings.gamma, settings.lam)[0]
        found.append((obs[:num_pairs], experience.act[stream, :num_pairs], adv, val + adv, val))
    arrays = (
        torch.cat([torch.as_tensor(np.asarray(x)) for x in parts])[None].float()
        for parts in zip(*found, strict=True)
    )
    return Batch(*arrays)


def _step(checkpoint, batch, *purpose):
    settings = make_settings(checkpoint.settings)
    name = ("steps", checkpoint.env_id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    rngs = [generator(*name, *purpose, "policy update")]
    update = algorithm(settings.algorithm).update
    new = update(checkpoint.state, batch, settings, checkpoint.iteration, rngs)
    return (new.theta - checkpoint.state.theta)[0].numpy()


def _relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("settings", [PPO, TRPO, PPO | {"semantics": "paper"}], ids=["ppo", "trpo", "paper"])
def test_steps_are_those_of_the_algorithm(tmp_path, settings):
    checkpoint = make_checkpoint(settings)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    vectors, _ = run(checkpoint, rollouts, PARAMS)
    experience = everything(rollouts)
    for budget in BUDGETS:
        for trial in range(TRIALS):
            batch = _batch(checkpoint, experience, [trial], budget)
            expected = _step(checkpoint, batch, "trial", trial, budget)
            assert np.linalg.norm(expected) > 0
            assert _relative_error(vectors.step.sel(budget=budget, trial=trial).values, expected) < 1e-3
    batch = _batch(checkpoint, experience, range(TRIALS, TRIALS + TRUTH), PAIRS)
    assert _relative_error(vectors.step_true.values, _step(checkpoint, batch, "truth")) < 1e-3
    batch = _batch(checkpoint, experience, range(TRIALS + 2, TRIALS + 4), PAIRS)
    assert _relative_error(vectors.step_half.values[1], _step(checkpoint, batch, "truth", 1)) < 1e-3


def test_a_trial_does_not_depend_on_which_are_held_beside_it(tmp_path, monkeypatch):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    together, _ = run(checkpoint, rollouts, PARAMS)
    monkeypatch.setattr(
        measure, "HELD_BYTES", 4 * checkpoint.num_obs * 1900
    )  # two or three of the larger batches
    apart, numbers = run(checkpoint, rollouts, PARAMS)
    assert _relative_error(apart.step.values, together.step.values) < 1e-4
    assert numbers.truth_pairs == 1900 // TRUTH * TRUTH


def test_numbers_are_labelled_and_are_those_of_the_steps(tmp_path):
    checkpoint = make_checkpoint(PPO, seed=3)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    vectors, numbers = run(checkpoint, rollouts, PARAMS)
    save_dataset(tmp_path / "a.nc", numbers)
    save_store(tmp_path / "a.zarr", vectors)
    numbers = load_dataset(tmp_path / "a.nc")
    assert numbers.cosine.dims == ("task", "algo", "seed", "iteration", "budget")
    assert numbers.pairwise_cosine.dims[-3:] == ("budget", "trial", "trial_b")
    assert (numbers.num_steps == TRIALS).all() and numbers.truth_pairs == TRUTH * PAIRS
    here = numbers.squeeze(drop=True)
    for k in range(len(BUDGETS)):
        steps = vectors.step.values[k].astype(np.float64)
        unit = steps / np.linalg.norm(steps, axis=1, keepdims=True)
        assert here.cosine[k] == pytest.approx((unit @ unit.T)[np.triu_indices(TRIALS, 1)].mean())
        truth = vectors.step_true.values.astype(np.float64)
        np.testing.assert_allclose(here.truth_cosine_trial[k], unit @ truth / np.linalg.norm(truth))
    one, other = vectors.step_half.values.astype(np.float64)
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert here.truth_reliability == pytest.approx(2 * cosine / (1 + cosine))
    assert here.truth_cosine_corrected[0] == pytest.approx(here.truth_cosine[0] / here.truth_reliability**0.5)


def test_updates_that_move_nothing_are_counted_and_left_out(tmp_path):
    checkpoint = make_checkpoint(PPO)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    vectors, whole = run(checkpoint, rollouts, PARAMS)
    vectors.step.values[0, 1] = 0
    vectors.step.values[1, :3] = 0
    numbers = compare(checkpoint, vectors, 0.95).squeeze(drop=True)
    np.testing.assert_array_equal(numbers.num_steps, [TRIALS - 1, 1, TRIALS])
    assert np.isfinite(numbers.cosine[0]) and numbers.cosine[0] != whole.squeeze().cosine[0]
    assert np.isnan(numbers.cosine[1]) and numbers.truth_cosine_ci[1].isnull().all()
    assert np.isnan(numbers.pairwise_cosine[0, 1]).all() and np.isfinite(numbers.pairwise_cosine[0, 0, 2])
    assert numbers.cosine[2] == whole.squeeze().cosine[2]


def test_annealed_to_the_end_there_is_no_step(tmp_path):
    checkpoint = make_checkpoint(PPO, iteration=500)
    rollouts = make_rollouts(tmp_path / "r.zarr", checkpoint, TRIALS + TRUTH, PAIRS)
    _, numbers = run(checkpoint, rollouts, PARAMS)
    assert (numbers.num_steps == 0).all() and (numbers.norm == 0).all() and np.isnan(numbers.cosine).all()
