"""Adam (Kingma & Ba 2015) on stacked flat parameters."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.types.checkpoint import AdamState

BETA1, BETA2 = 0.9, 0.999


def adam_init(params: Float[Tensor, "agent param"]) -> AdamState:
    """The state before the first update."""
    counts = np.zeros(len(params), np.int64)
    return AdamState(torch.zeros_like(params), torch.zeros_like(params), counts)


class Adam:
    """Adam for a stack of agents; changes their parameters in place.

    The arithmetic is torch's fused kernel, called separately for each agent, so that no agent's bits depend on its
    place in the stack. `torch.optim.Adam(fused=True)` calls the same kernel and takes 30 µs longer per step.
    """

    def __init__(self, params: Float[Tensor, "agent param"], state: AdamState, eps: float) -> None:
        """Copy the state; the parameters are the caller's.

        Args:
            params: Parameters, which `step` changes.
            state: Moments and counts, left as they are.
            eps: Added to the root of the second moment (after bias correction, as in the paper).
        """
        self._m, self._v, self._eps = state.m.clone(), state.v.clone(), eps
        self._counts = torch.from_numpy(state.count.astype(np.float32))
        self._rows = [rows.unbind() for rows in (params, self._m, self._v, self._counts)]

    def step(self, grad: Sequence[Float[Tensor, " param"]], lr: float) -> None:
        """Take one descent step per agent, against the gradient of the loss."""
        params, m, v, counts = self._rows
        self._counts += 1
        torch._fused_adam_(
            params, grad, m, v, [], counts, lr=lr, beta1=BETA1, beta2=BETA2,
            weight_decay=0.0, eps=self._eps, amsgrad=False, maximize=False,
        )  # fmt: skip

    @property
    def state(self) -> AdamState:
        """Moments and counts as they are now."""
        return AdamState(self._m, self._v, self._counts.numpy().astype(np.int64))
