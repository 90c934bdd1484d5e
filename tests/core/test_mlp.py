"""The network: against torch's own layers, autograd and directional derivatives; the same bits in every stack."""

from itertools import pairwise

import pytest
import torch
from torch.autograd.functional import jacobian, jvp
from torch.func import functional_call

from pgprim.core.mlp import MLP, activations, backward, forward, policy_net, signals, tangent, value_net

SHAPES = [(5, 16, 8, 3), (4, 7, 1), (3, 2), (3, 1)]
UNITS = {
    "tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "elu": torch.nn.ELU, "silu": torch.nn.SiLU, "gelu": torch.nn.GELU,
    "leaky_relu": torch.nn.LeakyReLU,
}  # fmt: skip
NETS = [MLP(sizes) for sizes in SHAPES] + [
    MLP(SHAPES[0], activation=name) for name in UNITS if name != "tanh"
]
every_net = pytest.mark.parametrize("net", NETS, ids=lambda net: f"{net.activation}-{net.sizes}")


def draw(net: MLP, num_agents: int, num_pairs: int, dtype=torch.float64):
    """Parameters, inputs, cotangents and a direction."""
    rng = torch.Generator().manual_seed(num_pairs)
    normal = lambda *shape: torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype)  # noqa: E731
    return (
        0.5 * normal(num_agents, net.num_params),
        normal(num_agents, num_pairs, net.sizes[0]),
        normal(num_agents, num_pairs, net.sizes[-1]),
        normal(num_agents, net.num_params),
    )


def torch_module(net):
    layers = []
    for num_in, num_out in pairwise(net.sizes):
        layers += [torch.nn.Linear(num_in, num_out, dtype=torch.float64), UNITS[net.activation]()]
    return torch.nn.Sequential(*layers[:-1])


def output(net, flat, inputs):
    return forward(net, net.split(flat), inputs)


def test_layout_of_the_hopper_policy():
    net = policy_net(11, 3, (64, 64))
    assert net.layout == [
        ("policy.0.weight", (11, 64)), ("policy.0.bias", (64,)),
        ("policy.1.weight", (64, 64)), ("policy.1.bias", (64,)),
        ("policy.2.weight", (64, 3)), ("policy.2.bias", (3,)),
        ("log_sigma", (3,)),
    ]  # fmt: skip
    assert net.num_params == (11 * 64 + 64) + (64 * 64 + 64) + (64 * 3 + 3) + 3
    assert value_net(11, (64, 64)).num_params == (11 * 64 + 64) + (64 * 64 + 64) + (64 + 1)


def test_a_worked_number():
    """2 tanh(0.5·3 − 1) + 0.25, with numbers laid out in the order of the flat vector."""
    flat = torch.tensor([[0.5, -1.0, 2.0, 0.25]], dtype=torch.float64)
    found = output(MLP((1, 1, 1)), flat, torch.full((1, 1, 1), 3.0, dtype=torch.float64))
    assert found.item() == pytest.approx(1.1742343145200195, abs=1e-15)


def test_join_undoes_split_and_split_makes_views():
    net = policy_net(4, 2, (3,))
    flat = torch.arange(2.0 * net.num_params).view(2, -1)
    parts = net.split(flat)
    assert torch.equal(net.join(parts), flat)
    for part, (_, shape) in zip(parts, net.layout, strict=True):
        assert part.shape == (2, *shape)
    parts[-1].fill_(-1.0)
    assert torch.equal(flat[:, -2:], -torch.ones(2, 2))


@every_net
def test_forward_is_torchs_sequential(net):
    flat, inputs, _, _ = draw(net, 3, 10)
    module = torch_module(net)
    names = [name for name, _ in module.named_parameters()]
    for agent, found in enumerate(output(net, flat, inputs)):
        parts = [part[agent].mT if part.ndim == 3 else part[agent] for part in net.split(flat)]
        right = functional_call(module, dict(zip(names, parts, strict=True)), inputs[agent])
        torch.testing.assert_close(found, right, rtol=1e-13, atol=1e-13)


@every_net
def test_activations_are_what_each_layer_reads(net):
    flat, inputs, _, _ = draw(net, 2, 6)
    acts = activations(net, net.split(flat), inputs)
    assert [act.shape[-1] for act in acts] == list(net.sizes)
    assert acts[0] is inputs and torch.equal(acts[-1], output(net, flat, inputs))


@every_net
def test_backward_is_autograd(net):
    flat, inputs, cotangent, _ = draw(net, 3, 10)
    parts = net.split(flat)
    found = net.join(backward(net, parts, activations(net, parts, inputs), cotangent))
    flat.requires_grad_()
    (right,) = torch.autograd.grad((output(net, flat, inputs) * cotangent).sum(), flat)
    torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-12)


@every_net
def test_signals_are_the_bias_gradients_of_single_pairs(net):
    flat, inputs, cotangent, _ = draw(net, 1, 7)
    parts = net.split(flat)
    found = signals(net, parts, activations(net, parts, inputs), cotangent)

    def per_pair(flat):
        return (output(net, flat, inputs) * cotangent).sum(-1)[0]

    right = net.split(jacobian(per_pair, flat)[:, 0])
    for layer, signal in enumerate(found):
        torch.testing.assert_close(signal[0], right[2 * layer + 1], rtol=1e-12, atol=1e-12)


@every_net
def test_tangent_is_autograds_and_the_adjoint_of_backward(net):
    flat, inputs, cotangent, direction = draw(net, 3, 10)
    parts = net.split(flat)
    acts = activations(net, parts, inputs)
    found = tangent(net, parts, acts, net.split(direction))
    _, right = jvp(lambda flat: output(net, flat, inputs), flat, direction)
    torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-12)
    grad = net.join(backward(net, parts, acts, cotangent))
    torch.testing.assert_close((found * cotangent).sum((1, 2)), (grad * direction).sum(1))


@pytest.mark.parametrize("sigma", ["log", "linear"])
def test_log_sigma_is_what_the_policy_holds_or_its_logarithm(sigma):
    """With its derivative, from autograd."""
    net = policy_net(2, 3, (), sigma=sigma)
    flat = torch.linspace(0.5, 2, net.num_params, dtype=torch.float64)[None].requires_grad_()
    right = flat[:, -3:] if sigma == "log" else flat[:, -3:].log()
    torch.testing.assert_close(net.log_sigma(net.split(flat)), right)
    (slope,) = torch.autograd.grad(net.log_sigma(net.split(flat)).sum(), flat)
    torch.testing.assert_close(net.log_sigma_slope(net.split(flat.detach())), slope[:, -3:])


def assert_same_bits_in_every_stack(num_out: int, num_pairs: int):
    """What the update steps are made of, in single precision, for stacks of one, two and three."""
    net = MLP((11, 64, 64, num_out))
    flat, inputs, cotangent, _ = draw(net, 3, num_pairs, torch.float32)

    def results(agents):
        parts = net.split(flat[agents].clone())
        acts = activations(net, parts, inputs[agents].clone())
        return acts[-1], net.join(backward(net, parts, acts, cotangent[agents].clone()))

    whole = results(slice(0, 3))
    for agents in (slice(0, 1), slice(1, 2), slice(2, 3), slice(0, 2), slice(1, 3)):
        for found, right in zip(results(agents), whole, strict=True):
            assert torch.equal(found, right[agents])


@pytest.mark.parametrize("num_pairs", [4, 16, 64, 2048])
@pytest.mark.parametrize("num_out", [1, 3, 6, 17])
def test_an_agents_bits_do_not_depend_on_the_stack(num_out, num_pairs):
    assert_same_bits_in_every_stack(num_out, num_pairs)


def test_nor_do_they_for_odd_or_tiny_minibatches():
    for num_out, num_pairs in ((6, 15), (6, 63), (17, 2), (17, 3), (1, 1), (3, 1)):
        assert_same_bits_in_every_stack(num_out, num_pairs)


@pytest.mark.parametrize(("num_in", "num_out"), [(11, 3), (17, 6), (348, 17), (348, 1), (3, 1)])
def test_a_rows_bits_depend_on_nothing_but_the_row(num_in, num_out):
    """Neither on how many there are, nor on its place among them: of outputs, signals and tangents alike."""
    net = MLP((num_in, 64, 64, num_out))
    flat, inputs, cotangent, direction = draw(net, 1, 200, torch.float32)
    parts, along = net.split(flat), net.split(direction)

    def results(rows):
        acts = activations(net, parts, inputs[:, rows].contiguous())
        back = signals(net, parts, acts, cotangent[:, rows].contiguous())
        return acts[-1], back[0], back[1], tangent(net, parts, acts, along)

    whole = results(slice(0, 200))
    for first, last in ((0, 1), (0, 16), (3, 5), (5, 64), (7, 130), (13, 200), (199, 200)):
        for some, right in zip(results(slice(first, last)), whole, strict=True):
            assert torch.equal(some, right[:, first:last])
