"""Networks in training: forward and backward passes over minibatches in arrays that are allocated once.

`core.mlp` has the same passes as pure functions; a test checks that the two agree. Here every minibatch reuses the
arrays of the previous one, products and tanh are numpy's, which for 64 pairs take half of torch's time, and gradients
are written where the optimiser reads them. Each agent's products are computed separately, so that none depends on its
neighbours.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.core.activations import BY_INPUT, activate, slope, slope_at
from pgprim.core.adam import Adam
from pgprim.core.mlp import MLP
from pgprim.types.checkpoint import AdamState

NORM_EPS = 1e-6
"""Added to a gradient's norm before it is divided by, as `torch.nn.utils.clip_grad_norm_` does."""


class Learner:
    """One network of every agent of a stack, and its optimiser.

    Attributes:
        params: Parameters, a copy of those given.
        parts: Views of them as `MLP.split` gives them.
        grad: The last gradient.
    """

    def __init__(
        self, net: MLP, params: Float[Tensor, "agent param"], adam: AdamState, adam_eps: float
    ) -> None:
        """Copy parameters and optimiser, which stay as they are."""
        self.net, self.params = net, params.clone()
        self.parts = net.split(self.params)
        self.grad = torch.zeros_like(params)
        self._grad_rows = self.grad.unbind()
        self._adam = Adam(self.params, adam, adam_eps)
        self._parts = [part.numpy() for part in self.parts]
        self._grads = [part.numpy() for part in net.split(self.grad)]
        self._arrays: dict[int, _Arrays] = {}

    def forward(self, inputs: Float[Tensor, "agent pair input"]) -> Float[Tensor, "agent pair output"]:
        """The network's output, valid until the next call."""
        num_pairs = inputs.shape[1]
        if num_pairs not in self._arrays:
            self._arrays[num_pairs] = _Arrays(self.net, len(self.params), num_pairs, self.params.dtype)
        arrays = self._now = self._arrays[num_pairs]
        arrays.acts[0] = inputs.numpy()
        for layer in range(self.net.num_layers):
            out = arrays.acts[layer + 1]
            np.matmul(arrays.acts[layer], self._parts[2 * layer], out=out)
            out += self._parts[2 * layer + 1][:, None]
            if layer < self.net.num_layers - 1:
                self._activate(arrays, layer + 1)
        return torch.from_numpy(arrays.acts[-1])

    def backward(
        self,
        cotangent: Float[Tensor, "agent pair output"],
        extra: Float[Tensor, "agent _"] | None = None,
    ) -> None:
        """Write into `grad` the gradient of Σ cotangent·output at the inputs of the last `forward`.

        Args:
            cotangent: Derivative of the loss with respect to each output.
            extra: Derivative of the loss with respect to the parameters after the layers'.
        """
        arrays, signal = self._now, cotangent.numpy()
        if extra is not None:
            self._grads[-1][...] = extra.numpy()
        for layer in range(self.net.num_layers - 1, -1, -1):
            np.matmul(arrays.acts[layer].swapaxes(1, 2), signal, out=self._grads[2 * layer])
            np.matmul(arrays.ones, signal, out=self._grads[2 * layer + 1][:, None])
            if layer > 0:
                back = arrays.signals[layer]
                np.matmul(signal, self._parts[2 * layer].swapaxes(1, 2), out=back)
                back *= self._slope(arrays, layer)
                signal = back

    def step(self, lr: float) -> None:
        """Descend along `grad`."""
        self._adam.step(self._grad_rows, lr)

    @property
    def adam(self) -> AdamState:
        """The optimiser as it is now."""
        return self._adam.state

    def _activate(self, arrays: "_Arrays", layer: int) -> None:
        out, name = arrays.acts[layer], self.net.activation
        if name == "tanh":
            np.tanh(out, out=out)
            return
        if name in BY_INPUT:
            arrays.slopes[layer][...] = slope_at(name, torch.from_numpy(out)).numpy()
        out[...] = activate(name, torch.from_numpy(out)).numpy()

    def _slope(self, arrays: "_Arrays", layer: int) -> Float[np.ndarray, "agent pair _"]:
        act, out, name = arrays.acts[layer], arrays.slopes[layer], self.net.activation
        if name == "tanh":
            np.multiply(act, act, out=out)
            np.subtract(1, out, out=out)
        elif name not in BY_INPUT:
            out[...] = slope(name, torch.from_numpy(act)).numpy()
        return out


class _Arrays:
    """Arrays for minibatches of one size: per layer its inputs, the activation's derivative and the signal."""

    def __init__(self, net: MLP, num_agents: int, num_pairs: int, dtype: torch.dtype) -> None:
        def empty(width: int) -> np.ndarray:
            return torch.empty(num_agents, num_pairs, width, dtype=dtype).numpy()

        widths = net.sizes[1:]
        self.ones = torch.ones(1, num_pairs, dtype=dtype).numpy()
        self.acts = [None, *map(empty, widths)]
        self.slopes = [None, *map(empty, widths[:-1])]
        self.signals = [None, *map(empty, widths[:-1])]


def clip_gradients(learners: list[Learner], most: float) -> None:
    """Scale each agent's gradients, of all its networks together, to a Euclidean norm of at most `most`."""
    square = sum(learner.grad.square().sum(1, keepdim=True) for learner in learners)
    factor = (most / (torch.from_numpy(np.sqrt(square.numpy())) + NORM_EPS)).clamp(max=1)
    for learner in learners:
        learner.grad *= factor
