"""Planes and what is measured on them: the very updates of training, a surrogate that starts at 0 with the gradient's slope."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pgprim.core.gaussian import log_prob
from pgprim.core.mlp import forward, policy_net
from pgprim.experience.rollout import collect, frozen_policies, run_policies
from pgprim.experience.seen import make_batch, see, see_iteration
from pgprim.experience.train import take_steps, train_iteration
from pgprim.probes.landscape import points as landscape
from pgprim.probes.landscape.points import (
    landscape_purpose,
    plane,
    random_direction,
    run_points,
    sample_batch,
    surrogate_gain,
    surrogate_gains,
)
from pgprim.rl.algorithms import make_settings
from pgprim.rl.batch import as_one_agent
from pgprim.rl.initialise import make_agent
from pgprim.types.checkpoint import Checkpoint, Moments
from pgprim.types.rollouts import Rollout
from tests.rl.examples import ALGOS, HOPPER

SMALL = {"pairs": 256, "minibatches": 4, "policy_epochs": 2}
AXIS = np.linspace(0, 3, 4)


def make_checkpoint(algo="ppo", dtype=torch.float32, iteration=0, **changes) -> Checkpoint:
    """An agent that has seen something."""
    values = ALGOS[algo] | {name: value for name, value in SMALL.items() if name in ALGOS[algo]} | changes
    state = make_agent(make_settings(values), 11, 3, "landscape", algo)
    rng = np.random.default_rng(0)
    moments = Moments(100, 0.1 * rng.standard_normal((1, 11)), rng.uniform(50, 200, (1, 11)))
    theta = state.theta + 0.1 * torch.from_numpy(rng.standard_normal(state.theta.shape)).float()
    state = replace(state, theta=theta.to(dtype), obs_moments=moments)
    return Checkpoint("hopper", HOPPER, algo, 0, iteration, 11, 3, values, state)


def as_double(batch):
    return type(batch)(
        *(getattr(batch, name).double() for name in ("obs", "act", "adv", "target", "val_old"))
    )


@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_the_step_is_the_one_that_training_takes(algo):
    """Training's own batch of an iteration, with its random numbers, gives training's own new parameters to the bit."""
    checkpoint = make_checkpoint(algo)
    settings, purpose = make_settings(checkpoint.settings), ("test", algo, 0)
    new, _ = train_iteration(HOPPER, checkpoint.state, settings, [purpose], 0)
    rollout, _ = collect(HOPPER, checkpoint.state, settings, [purpose])
    batch = make_batch(see_iteration(rollout, checkpoint.state, settings), settings)
    step = take_steps(checkpoint, batch, [purpose])
    assert step.abs().max() > 0
    torch.testing.assert_close(step, new.theta - checkpoint.state.theta, rtol=0, atol=0)


def frozen_stream(checkpoint: Checkpoint, purpose, num_pairs: int) -> Rollout:
    """One stream of the checkpoint's own policy."""
    return next(
        run_policies(checkpoint.environment, frozen_policies(checkpoint), [purpose], num_pairs, num_pairs)
    )


@pytest.mark.parametrize("semantics", ["exact", "paper"])
def test_the_batch_is_that_of_the_frozen_policy(semantics):
    """Values, advantages and flags as `make_batch` has them for the same pairs, with the normalisers as they are."""
    checkpoint = make_checkpoint("trpo", semantics=semantics, pairs=300)
    purpose = landscape_purpose(checkpoint, "few", "batch")
    batch = sample_batch(checkpoint, 2, 300, purpose)
    assert batch.adv.shape == (2, 300)
    one = frozen_stream(checkpoint, (*purpose, 1), 300)
    np.testing.assert_array_equal(batch.act[1], one.act[0])
    np.testing.assert_array_equal(batch.obs[1], one.obs[0])
    (seen,) = see(checkpoint, [one])
    expected = make_batch(seen, make_settings(checkpoint.settings))
    torch.testing.assert_close(batch.val_old[1:], expected.val_old, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(batch.adv[1:], expected.adv, rtol=1e-4, atol=1e-5)


def test_the_plane_has_its_origin_and_its_step():
    checkpoint = make_checkpoint()
    theta = checkpoint.state.theta
    step = 0.01 * torch.randn(theta.shape[1], generator=torch.Generator().manual_seed(0))
    direction = random_direction(checkpoint, 2.0)
    points = plane(theta, step, direction, AXIS).view(4, 4, -1)
    torch.testing.assert_close(points[0, 0], theta[0], rtol=0, atol=0)
    torch.testing.assert_close(points[2, 3], theta[0] + 2 * step + 3 * direction)
    assert direction.double().norm() == pytest.approx(2.0, rel=1e-6)
    kurtosis = ((direction / direction.std()) ** 4).mean()
    assert abs(kurtosis - 3) < 4 * np.sqrt(96 / len(direction))  # as of a Gaussian
    torch.testing.assert_close(direction, random_direction(checkpoint, 2.0), rtol=0, atol=0)
    other = random_direction(replace(checkpoint, seed=1), 2.0)
    assert abs(torch.cosine_similarity(direction, other, dim=0)) < 0.1


@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_the_surrogate_is_exactly_zero_at_the_origin(algo):
    checkpoint = make_checkpoint(algo)
    purpose = landscape_purpose(checkpoint, "few", "batch")
    batch = as_one_agent(sample_batch(checkpoint, 3, 700, purpose))
    step = take_steps(checkpoint, batch, [purpose])[0]
    points = plane(checkpoint.state.theta, step, random_direction(checkpoint, 2.0), AXIS)
    gain = surrogate_gain(checkpoint, points, batch)
    assert gain[0] == 0
    assert gain[4] > 0, "the step raises what it maximises"
    assert np.unique(gain).size == 16


def _objective(checkpoint, batch, theta, clipped=True):
    """Eq. 17 of PPO or Eq. 14 in double precision, written out."""
    eps = checkpoint.settings.get("eps") if clipped else None
    net = policy_net(11, 3, (64, 64))
    adv = (batch.adv - batch.adv.mean()) / batch.adv.std()

    def logp(theta):
        parts = net.split(theta)
        return log_prob(forward(net, parts, batch.obs), parts[-1], batch.act)

    rho = (logp(theta) - logp(checkpoint.state.theta)).exp()
    if eps is None:
        return (rho * adv).mean()
    return torch.minimum(rho * adv, rho.clamp(1 - eps, 1 + eps) * adv).mean()


@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_the_surrogate_s_slope_along_the_step_is_the_estimated_gradient_s(algo):
    """∇θ of the mean of log π·Â, by autograd, times the step; and at any point the surrogate is Eq. 14 or Eq. 17."""
    single = make_checkpoint(algo)
    purpose = landscape_purpose(single, "few", "batch")
    sampled = as_one_agent(sample_batch(single, 2, 256, purpose))
    step = take_steps(single, sampled, [purpose])[0].double()
    checkpoint, batch = make_checkpoint(algo, torch.float64), as_double(sampled)

    theta = checkpoint.state.theta.clone().requires_grad_()
    net = policy_net(11, 3, (64, 64))
    parts = net.split(theta)
    adv = (batch.adv - batch.adv.mean()) / batch.adv.std()
    (log_prob(forward(net, parts, batch.obs), parts[-1], batch.act) * adv).mean().backward()
    expected = (theta.grad[0] @ step).item()

    small = 1e-5
    ends = torch.stack([theta.detach()[0] - small * step, theta.detach()[0] + small * step])
    low, high = surrogate_gain(checkpoint, ends, batch)
    assert (high - low) / (2 * small) == pytest.approx(expected, rel=1e-4)
    assert expected > 0

    far = theta.detach() + 2 * step
    gain = surrogate_gain(checkpoint, far, batch)[0]
    assert gain == pytest.approx(_objective(checkpoint, batch, far).item(), rel=1e-6)
    both = surrogate_gains(checkpoint, far, batch)[:, 0]
    assert both[0] == gain
    assert both[1] == pytest.approx(_objective(checkpoint, batch, far, clipped=False).item(), rel=1e-6)
    assert (both[1] == both[0]) if algo == "trpo" else (both[1] > both[0])


def test_each_step_is_judged_on_its_own_batch():
    checkpoint = make_checkpoint()
    purpose = landscape_purpose(checkpoint, "steps")
    batch = sample_batch(checkpoint, 3, 256, purpose)
    purposes = [(*purpose, k) for k in range(3)]
    steps = take_steps(checkpoint, batch, purposes)
    together = surrogate_gain(checkpoint, checkpoint.state.theta + steps, batch)
    for k in range(3):
        own = sample_batch(checkpoint, 3, 256, purpose)
        own = type(own)(
            *(getattr(own, name)[k : k + 1] for name in ("obs", "act", "adv", "target", "val_old"))
        )
        alone = take_steps(checkpoint, own, purposes[k : k + 1])
        torch.testing.assert_close(alone[0], steps[k], rtol=0, atol=0)
        gain = surrogate_gain(checkpoint, checkpoint.state.theta + alone, own)
        np.testing.assert_array_equal(gain, together[k : k + 1])


def test_a_point_does_not_depend_on_which_others_are_measured_beside_it():
    checkpoint = make_checkpoint()
    step = 0.05 * torch.ones(checkpoint.state.theta.shape[1])
    theta = plane(checkpoint.state.theta, step, random_direction(checkpoint, 2.0), AXIS).numpy()
    purposes = [("test", k) for k in range(16)]

    def rewards(some):
        blocks = run_points(checkpoint, theta[some], [purposes[k] for k in some], 200)
        return np.concatenate([block.rew for block in blocks], axis=1)

    together = rewards(list(range(16)))
    np.testing.assert_array_equal(rewards([5]), together[[5]])
    np.testing.assert_array_equal(rewards([3, 9, 15]), together[[3, 9, 15]])


def test_a_point_earns_what_its_policy_earns_alone():
    """The stream of the stepping loop with the same random numbers, up to the last bits of a product of another shape."""
    checkpoint, num_pairs = make_checkpoint(iteration=2), landscape.BLOCK + 88
    theta = checkpoint.state.theta.numpy() + np.array([[0.0], [0.01]], np.float32)
    blocks = list(run_points(checkpoint, theta, [("test", k) for k in range(2)], num_pairs))
    assert [block.rew.shape for block in blocks] == [(2, landscape.BLOCK), (2, 88)]
    rew, ended = (np.concatenate([getattr(b, name) for b in blocks], axis=1) for name in ("rew", "ended"))
    for k in range(2):
        state = replace(checkpoint.state, theta=torch.from_numpy(theta[[k]]))
        alone = frozen_stream(replace(checkpoint, state=state), ("test", k), num_pairs)
        few = slice(0, 40)  # later, the last bits have grown: falls come a step sooner or later
        np.testing.assert_allclose(rew[k, few], alone.rew[0, few], rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(ended[k, few], alone.ended[0, few])
        assert alone.terminated.sum() > 3 and abs(ended[k].sum() - alone.terminated.sum()) <= 3


def test_common_random_numbers_are_those_of_one_purpose():
    """Two points that are one get one stream with them, and two without."""
    checkpoint = make_checkpoint()
    twice = np.repeat(checkpoint.state.theta.numpy(), 2, axis=0)
    common = next(run_points(checkpoint, twice, [("test", 0)] * 2, 50)).rew
    np.testing.assert_array_equal(common[0], common[1])
    apart = next(run_points(checkpoint, twice, [("test", 0), ("test", 1)], 50)).rew
    assert np.abs(apart[0] - apart[1]).max() > 0


def test_no_other_probe_shares_its_random_numbers():
    purpose = landscape_purpose(make_checkpoint(iteration=3), "few")
    assert purpose == ("landscape", HOPPER.id, "ppo", 0, 3, "few")
    assert landscape.landscape_purpose(make_checkpoint(iteration=4), "few") != purpose
