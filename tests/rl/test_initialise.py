"""New agents: the two initialisations by their definitions, and seeds that depend on the purpose alone."""

import numpy as np
import pytest
import torch
from scipy import stats

from pgprim.core.mlp import policy_net, value_net
from pgprim.rl.initialise import make_agent
from tests.rl.examples import settings

NUM_OBS, NUM_ACT = 17, 6
NETS = {"theta": policy_net(NUM_OBS, NUM_ACT, (64, 64)), "phi": value_net(NUM_OBS, (64, 64))}


def parts(network: str, *purpose, **changes) -> dict[str, np.ndarray]:
    """Parameters by name."""
    state = make_agent(settings(**changes), NUM_OBS, NUM_ACT, *purpose)
    net = NETS[network]
    pieces = net.split(getattr(state, network))
    return {name: piece[0].numpy() for (name, _), piece in zip(net.layout, pieces, strict=True)}


@pytest.mark.parametrize(
    ("network", "gains"),
    [
        ("theta", {"policy.0.weight": 2**0.5, "policy.1.weight": 2**0.5, "policy.2.weight": 0.01}),
        ("phi", {"value.0.weight": 2**0.5, "value.1.weight": 2**0.5, "value.2.weight": 1.0}),
    ],
)
def test_orthogonal_weights_are_orthonormal_times_their_gain(network, gains):
    """Along their shorter side: √2 for hidden layers, 0.01 for the policy's head, 1 for the value network's."""
    found = parts(network, "test", init="orthogonal")
    assert [name for name in found if name.endswith("weight")] == list(gains)
    for name, gain in gains.items():
        weight = found[name].astype(np.float64)
        narrow = weight if weight.shape[0] >= weight.shape[1] else weight.T
        right = gain**2 * np.eye(narrow.shape[1])
        np.testing.assert_allclose(narrow.T @ narrow, right, rtol=0, atol=1e-6 * gain**2)


def test_orthogonal_weights_favour_no_rotation():
    """Each entry of a rotation of n dimensions has mean 0 and mean square 1/n, whichever entry it is."""
    drawn = np.stack([parts("theta", "test", k, init="orthogonal")["policy.1.weight"] for k in range(150)])
    entries = drawn[:, :3, :3].reshape(150, 9) / 2**0.5
    assert (np.abs(entries.mean(0)) < 4 / (64 * 150) ** 0.5).all()
    assert (np.abs(64 * np.square(entries).mean(0) - 1) < 4 * (2 / 150) ** 0.5).all()


@pytest.mark.parametrize("network", ["theta", "phi"])
def test_xavier_weights_are_uniform_within_their_bound(network):
    for name, weight in parts(network, "test", init="xavier").items():
        if name.endswith("weight"):
            bound = (6 / sum(weight.shape)) ** 0.5
            assert np.abs(weight).max() < bound
            assert stats.kstest(weight.ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


@pytest.mark.parametrize("init", ["orthogonal", "xavier"])
def test_the_rest_starts_at_zero_and_sigma_where_it_is_told(init):
    found = parts("theta", "test", init=init, log_sigma=-0.5) | parts("phi", "test", init=init)
    for name, values in found.items():
        if not name.endswith("weight"):
            assert (values == (-0.5 if name == "log_sigma" else 0)).all(), name
    state = make_agent(settings(init=init), NUM_OBS, NUM_ACT, "test")
    for adam, params in ((state.policy_adam, state.theta), (state.value_adam, state.phi)):
        assert adam.count == 0 and adam.m.shape == params.shape and not adam.m.any() and not adam.v.any()
    assert (state.obs_moments.count, state.obs_moments.mean.shape) == (0, (1, NUM_OBS))
    assert (state.rew_moments.count, state.rew_moments.mean.shape) == (0, (1, 1))
    assert state.theta.dtype == state.phi.dtype == torch.float32


@pytest.mark.parametrize("init", ["orthogonal", "xavier"])
def test_a_purpose_has_weights_of_its_own(init):
    draw = lambda *purpose: make_agent(settings(init=init), NUM_OBS, NUM_ACT, *purpose)  # noqa: E731
    one, same, other = draw("train", "hopper", 0), draw("train", "hopper", 0), draw("train", "hopper", 1)
    assert torch.equal(one.theta, same.theta) and torch.equal(one.phi, same.phi)
    assert not torch.equal(one.theta, other.theta) and not torch.equal(one.phi, other.phi)
    weights = [net.split(getattr(one, name))[0].flatten().numpy() for name, net in NETS.items()]
    assert abs(np.corrcoef(*weights)[0, 1]) < 4 / len(weights[0]) ** 0.5
