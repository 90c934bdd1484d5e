"""Networks in training: the pure functions of `core.mlp` again, whatever came before, and agent by agent."""

import numpy as np
import pytest
import torch

from pgprim.core.adam import Adam, adam_init
from pgprim.core.learner import Learner, clip_gradients
from pgprim.core.mlp import activations, backward, policy_net

ACTIVATIONS = ("tanh", "relu", "elu", "silu", "gelu", "leaky_relu")


def draw(net, num_agents=2, num_pairs=12, dtype=torch.float64, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((net.num_params,), (num_pairs, net.sizes[0]), (num_pairs, net.sizes[-1]), (net.extra[0][1],))
    return [torch.from_numpy(0.6 * rng.standard_normal((num_agents, *shape))).to(dtype) for shape in shapes]


def learner(net, params):
    return Learner(net, params, adam_init(params), 1e-5)


@pytest.mark.parametrize("hidden", [(7, 6), ()])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_passes_are_those_of_the_pure_functions(activation, hidden):
    """After minibatches of another size, and again after a step."""
    net = policy_net(5, 3, hidden, activation)
    params, *_ = draw(net)
    one = learner(net, params)
    for num_pairs in (12, 5, 12):
        _, obs, cotangent, extra = draw(net, num_pairs=num_pairs, seed=num_pairs)
        acts = activations(net, net.split(one.params), obs)
        torch.testing.assert_close(one.forward(obs), acts[-1], rtol=1e-12, atol=1e-12)
        one.backward(cotangent, extra)
        right = net.join([*backward(net, net.split(one.params), acts, cotangent), extra])
        torch.testing.assert_close(one.grad, right, rtol=1e-12, atol=1e-12)
        one.step(1e-2)
    assert one.adam.count.tolist() == [3, 3]


def test_a_step_is_adams_and_the_caller_keeps_what_it_gave():
    net = policy_net(5, 3, (7,))
    params, obs, cotangent, extra = draw(net)
    before, one = params.clone(), learner(net, params)
    one.forward(obs)
    one.backward(cotangent, extra)
    one.step(1e-2)
    right = params.clone()
    Adam(right, adam_init(right), 1e-5).step(one.grad.unbind(), 1e-2)
    assert torch.equal(one.params, right) and torch.equal(params, before)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("num_obs", "num_act"), [(11, 3), (17, 6), (348, 17), (3, 1)])
def test_an_agents_bits_do_not_depend_on_the_stack(num_obs, num_act, activation):
    net = policy_net(num_obs, num_act, (64, 64), activation)
    params, obs, cotangent, extra = draw(net, 3, 64, torch.float32)

    def train(pick):
        one = learner(net, params[pick])
        for size in (64, 37):
            one.forward(obs[pick, :size].contiguous())
            one.backward(cotangent[pick, :size].contiguous(), extra[pick])
            clip_gradients([one], 5.0)
            one.step(1e-3)
        return one.params

    whole = train(slice(0, 3))
    for pick in (slice(0, 1), slice(1, 2), slice(2, 3), slice(0, 2), slice(1, 3)):
        assert torch.equal(train(pick), whole[pick])


@pytest.mark.parametrize("most", [0.5, 1e9])
def test_gradients_are_clipped_as_torch_does(most):
    """By the norm over both networks, agent by agent."""
    net = policy_net(4, 2, (3,))
    pair = [learner(net, draw(net, seed=seed)[0]) for seed in (1, 2)]
    for k, one in enumerate(pair):
        one.grad[:] = draw(net, seed=3 + k)[0] * torch.tensor([[1.0], [1e-3]])
    right = [one.grad.clone() for one in pair]
    for agent in range(2):
        leaves = [torch.nn.Parameter(torch.zeros_like(grad[agent])) for grad in right]
        for leaf, grad in zip(leaves, right, strict=True):
            leaf.grad = grad[agent]
        torch.nn.utils.clip_grad_norm_(leaves, most)
    clip_gradients(pair, most)
    for one, grad in zip(pair, right, strict=True):
        torch.testing.assert_close(one.grad, grad)
