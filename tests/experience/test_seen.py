"""Values and advantages of experience: two semantics of cuts and time limits by hand, blocks, several agents."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pgprim.core.mlp import value_net
from pgprim.core.returns import gae
from pgprim.experience.rollout import collect
from pgprim.experience.seen import (
    advantages,
    cut_gain,
    episode_ends,
    join,
    make_batch,
    returns,
    revalue,
    see,
    see_agents,
    see_iteration,
)
from pgprim.rl.algorithms import make_settings
from pgprim.rl.normalise import normalise_rew_running
from pgprim.rl.value import values
from pgprim.types.rollouts import Finals, Rollout
from tests.probes.synthetic import PPO, everything, make_checkpoint, make_rollouts
from tests.rl import examples
from tests.rl.examples import HOPPER, new_agents, settings

IDENTITY = torch.tensor([[1.0, 0.0]])
"""V(s) = s."""
NAMES = ("obs", "act", "rew", "rew_norm", "val", "next_val", "terminated", "truncated")


def chosen_for(semantics):
    return settings(hidden=[], gamma=0.5, lam=0.5, semantics=semantics, rew_norm=False)


def seen_by(semantics, terminated=(0, 0, 0, 1, 0), truncated=(0, 1, 0, 0, 0)):
    """States 1 … 5, rewards 1; behind the second and the last step an observation that no pair holds, 10 and 20."""
    finals = Finals(np.zeros(2, np.int32), np.array([1, 4], np.int32), np.array([[10], [20]], np.float32))
    if not truncated[1]:
        finals = Finals(finals.stream[1:], finals.t[1:], finals.obs[1:])
    rollout = Rollout(
        0,
        np.arange(1, 6, dtype=np.float32)[None, :, None],
        np.zeros((1, 5, 1), np.float32),
        np.ones((1, 5)),
        np.array([terminated], bool),
        np.array([truncated], bool),
        finals,
    )
    (seen,) = see_agents(IDENTITY, np.ones(1), [rollout], chosen_for(semantics))
    return seen


def batch_of(semantics, *ends):
    return make_batch(seen_by(semantics, *ends), chosen_for(semantics))


def row(*numbers):
    return torch.tensor([numbers])


def test_exact_semantics_by_hand():
    """A time limit after the second step, a fall after the fourth, the cut after the last."""
    batch = batch_of("exact")
    delta = (1 + 2 / 2 - 1, 1 + 10 / 2 - 2, 1 + 4 / 2 - 3, 1 - 4, 1 + 20 / 2 - 5)
    right = row(delta[0] + delta[1] / 4, delta[1], delta[2] + delta[3] / 4, delta[3], delta[4])
    assert torch.equal(batch.adv, right)
    assert torch.equal(batch.val_old, row(1.0, 2.0, 3.0, 4.0, 5.0))
    assert torch.equal(batch.target, batch.val_old + right)
    assert batch.weight is None


def test_paper_semantics_differ_exactly_as_documented():
    """The time limit loses γ·V(10), the cut is worth V(5) instead of V(20), and ended pairs do not count in V's loss."""
    exact, paper = batch_of("exact"), batch_of("paper")
    assert torch.equal(exact.adv - paper.adv, row(5 / 4, 5.0, 0.0, 0.0, (20 - 5) / 2))
    assert torch.equal(exact.target - paper.target, exact.adv - paper.adv)
    assert torch.equal(paper.weight, row(1.0, 0.0, 1.0, 0.0, 1.0))
    for name in ("obs", "act", "val_old"):
        assert torch.equal(getattr(exact, name), getattr(paper, name))


@pytest.mark.parametrize("semantics", ["exact", "paper"])
def test_a_batch_that_ends_with_a_fall_is_the_same_either_way(semantics):
    batch = batch_of(semantics, (0, 1, 0, 0, 1), (0, 0, 0, 0, 0))
    delta = (1 + 2 / 2 - 1, 1 - 2, 1 + 4 / 2 - 3, 1 + 5 / 2 - 4, 1 - 5)
    right = (
        delta[0] + delta[1] / 4,
        delta[1],
        delta[2] + delta[3] / 4 + delta[4] / 16,
        delta[3] + delta[4] / 4,
        delta[4],
    )
    assert torch.equal(batch.adv, row(*right))


def test_a_fall_on_the_very_step_of_the_time_limit_is_worth_nothing():
    both = batch_of("exact", (0, 1, 0, 1, 0), (0, 1, 0, 0, 0))
    assert torch.equal(both.adv, batch_of("exact", (0, 1, 0, 1, 0), (0, 0, 0, 0, 0)).adv)


def test_returns_and_the_gain_of_a_cut_by_hand():
    exact, paper = seen_by("exact"), seen_by("paper")
    np.testing.assert_array_equal(
        returns(exact, chosen_for("exact"), cut=True), [[1 + 6 / 2, 1 + 10 / 2, 1 + 1 / 2, 1, 1 + 20 / 2]]
    )
    np.testing.assert_array_equal(
        returns(paper, chosen_for("paper"), cut=True), [[1 + 1 / 2, 1, 1 + 1 / 2, 1, 1 + 5 / 2]]
    )
    for last in range(5):
        assert cut_gain(exact, last, chosen_for("exact")) == 0
    gains = [float(cut_gain(paper, last, chosen_for("paper"))[0]) for last in range(5)]
    assert gains == [(1 - 2) / 2, 0, (3 - 4) / 2, 0, (5 - 20) / 2]
    assert [flags.sum() for flags in episode_ends(paper, chosen_for("paper"))] == [2, 0]
    assert [flags.sum() for flags in episode_ends(exact, chosen_for("exact"))] == [1, 1]


@pytest.mark.parametrize("semantics", ["exact", "paper"])
def test_lambda_and_pieces(semantics):
    """λ = 1 is the return less V; a piece cut at its end is a batch of its own."""
    seen, chosen = seen_by(semantics), chosen_for(semantics)
    adv = advantages(seen, chosen, lam=1.0, cut=True)
    np.testing.assert_allclose(adv, returns(seen, chosen, cut=True) - seen.val)
    piece = seen.piece(slice(2, 4))
    right = gae(
        piece.rew_norm, piece.val, piece.next_val, piece.terminated, piece.truncated, chosen.gamma, chosen.lam
    )
    np.testing.assert_array_equal(advantages(piece, chosen, cut=True), right)  # it ends with a fall
    assert piece.start == 2


# --- rollouts of a checkpoint -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    checkpoint = make_checkpoint(PPO)
    return checkpoint, make_rollouts(tmp_path_factory.mktemp("seen") / "r.zarr", checkpoint, 3, 700)


def test_a_frozen_agent_sees_normalised_rewards_and_its_own_values(stored):
    checkpoint, rollouts = stored
    raw = everything(rollouts)
    (seen,) = see(checkpoint, [raw])
    scale = np.sqrt(checkpoint.state.rew_moments.m2[0, 0] / 999)
    np.testing.assert_allclose(seen.rew_norm, np.clip(raw.rew / scale, -2, 2))
    net = value_net(checkpoint.num_obs, (8, 8))
    val = values(net, checkpoint.state.phi, torch.from_numpy(raw.obs.reshape(1, -1, 5)))[0].reshape(3, -1)
    np.testing.assert_allclose(seen.val, val, rtol=1e-5, atol=1e-6)
    following = np.concatenate([val[:, 1:], np.full((3, 1), np.nan)], axis=1)
    behind = values(net, checkpoint.state.phi, torch.from_numpy(raw.finals.obs)[None])[0]
    following[raw.finals.stream, raw.finals.t] = behind
    following[raw.terminated] = np.nan
    np.testing.assert_allclose(seen.next_val, following, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(seen.next_val), raw.terminated)
    for name in ("obs", "act", "rew", "terminated", "truncated"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(raw, name))


def test_blocks_are_joined_where_they_were_cut(stored):
    """Values behind the last pair of a block are those of the next block's first, whatever the blocks."""
    checkpoint, rollouts = stored
    whole, joined = (join(see(checkpoint, rollouts.blocks(size=size))) for size in (700, 512))
    for name in NAMES:
        np.testing.assert_allclose(getattr(joined, name), getattr(whole, name), rtol=1e-5, atol=1e-6)
    first = join(see(checkpoint, rollouts.blocks(stop=601)), 600)
    np.testing.assert_allclose(first.next_val, whole.next_val[:, :600], rtol=1e-5, atol=1e-6)
    assert first.finals.t.max() < 600


def test_another_value_function_of_the_same_pairs(stored):
    checkpoint, rollouts = stored
    phi = checkpoint.state.phi * 0.5
    own = join(see(checkpoint, rollouts.blocks()))
    other = revalue(own, phi, make_settings(checkpoint.settings))
    right = join(see(checkpoint, rollouts.blocks(), phi))
    for name in NAMES:
        np.testing.assert_allclose(getattr(other, name), getattr(right, name), rtol=1e-5, atol=1e-6)
    assert np.abs(other.val - own.val).max() > 0.1


def test_a_missing_final_observation_is_noticed(stored):
    checkpoint, rollouts = stored
    raw = everything(rollouts)
    none = Finals(raw.finals.stream[:0], raw.finals.t[:0], raw.finals.obs[:0])
    with pytest.raises(ValueError, match="behind a truncated pair is missing"):
        list(see(checkpoint, [replace(raw, finals=none)]))


# --- training -----------------------------------------------------------------------------------------------------------


def test_in_training_rewards_are_normalised_along_the_way_by_each_agents_own_network():
    chosen = settings(pairs=120)
    state, purposes = new_agents(HOPPER, chosen, [0, 1, 2])
    rollout, _ = collect(HOPPER, state, chosen, purposes)
    seen = see_iteration(rollout, state, chosen)
    running, _ = normalise_rew_running(rollout.rew, rollout.ended, state.rew_moments, chosen)
    np.testing.assert_array_equal(seen.rew_norm, running)
    whole = make_batch(seen, chosen)
    for pick in examples.stacks():
        own, names = new_agents(HOPPER, chosen, list(range(3)[pick]))
        alone = make_batch(see_iteration(collect(HOPPER, own, chosen, names)[0], own, chosen), chosen)
        for name in ("obs", "act", "adv", "target", "val_old"):
            assert torch.equal(getattr(alone, name), getattr(whole, name)[pick]), name
    doubled = replace(seen, rew_norm=2 * seen.rew_norm)
    assert not torch.equal(make_batch(doubled, chosen).adv, whole.adv)
    other = replace(seen, rew=np.full_like(seen.rew, np.nan))
    assert torch.equal(make_batch(other, chosen).adv, whole.adv)
