"""Adam: against torch.optim, against the paper's first step, and agent by agent."""

import numpy as np
import pytest
import torch

from pgprim.core.adam import Adam, adam_init
from pgprim.types.checkpoint import AdamState


def gradients(dtype, num_steps=50, num_agents=3, num_params=40):
    """Of widely differing scales, some zero."""
    rng = torch.Generator().manual_seed(0)
    scale = 10.0 ** torch.arange(-6, 4, dtype=torch.float64).repeat(num_params // 10)
    drawn = scale * torch.randn(num_steps, num_agents, num_params, generator=rng, dtype=torch.float64)
    drawn[:, :, 0] = 0
    return drawn.to(dtype)


def run(grads, lr, eps):
    params = torch.ones_like(grads[0])
    adam = Adam(params, adam_init(params), eps)
    for grad in grads:
        adam.step(grad.unbind(), lr)
    return params, adam.state


@pytest.mark.parametrize("eps", [1e-8, 1e-5, 1.0])
def test_fifty_steps_are_torchs(eps):
    grads = gradients(torch.float64)
    found, state = run(grads, 1e-2, eps)
    right = torch.nn.Parameter(torch.ones_like(grads[0]))
    peer = torch.optim.Adam([right], lr=1e-2, eps=eps)
    for grad in grads:
        right.grad = grad
        peer.step()
    torch.testing.assert_close(found, right.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state.m, peer.state[right]["exp_avg"])
    torch.testing.assert_close(state.v, peer.state[right]["exp_avg_sq"])
    assert state.count.tolist() == [50] * 3


def test_the_first_step_is_lr_times_the_gradient_over_its_size_plus_eps():
    """The bias corrections undo the decay, and ε is added after them."""
    grads = gradients(torch.float64, num_steps=1)
    found, _ = run(grads, 0.1, 0.5)
    torch.testing.assert_close(found, 1 - 0.1 * grads[0] / (grads[0].abs() + 0.5))


def test_a_constant_gradient_moves_by_the_learning_rate():
    grads = torch.tensor([[[1e-3, -5.0]]], dtype=torch.float64).expand(20, 1, 2)
    torch.testing.assert_close(run(grads, 0.01, 1e-12)[0], torch.tensor([[0.8, 1.2]], dtype=torch.float64))


def test_an_agents_bits_do_not_depend_on_the_stack():
    grads = gradients(torch.float32)
    whole, state = run(grads, 1e-2, 1e-5)
    for agent in range(3):
        alone, own = run(grads[:, agent : agent + 1].clone(), 1e-2, 1e-5)
        for one, other in ((alone, whole), (own.m, state.m), (own.v, state.v)):
            assert torch.equal(one[0], other[agent])


def test_it_writes_where_it_says_and_nowhere_else():
    params, grad = torch.ones(1, 3), torch.full((1, 3), 2.0)
    state = adam_init(params)
    adam = Adam(params, state, 1e-8)
    adam.step(grad.unbind(), 0.1)
    assert (state.count, adam.state.count) == (0, 1) and not state.m.any() and not state.v.any()
    assert torch.equal(grad, torch.full((1, 3), 2.0)) and (params < 1).all()


def test_agents_need_not_have_made_the_same_number_of_steps():
    """One that is some steps ahead goes on as it would alone."""
    grads = gradients(torch.float32, num_steps=9)
    ahead, first = run(grads[:5, :1], 1e-2, 1e-5)
    params, fresh = torch.cat([ahead, torch.ones_like(ahead)]), adam_init(ahead)
    state = AdamState(
        torch.cat([first.m, fresh.m]),
        torch.cat([first.v, fresh.v]),
        np.concatenate([first.count, fresh.count]),
    )
    adam = Adam(params, state, 1e-5)
    for grad in grads[5:]:
        adam.step(grad[:1].expand(2, -1).unbind(), 1e-2)
    assert torch.equal(params[:1], run(grads[:, :1], 1e-2, 1e-5)[0])
    assert torch.equal(params[1:], run(grads[5:, :1], 1e-2, 1e-5)[0])
    assert adam.state.count.tolist() == [9, 4]
