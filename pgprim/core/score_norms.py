"""Squared norms of scores, pair by pair: the weights of the best baseline."""

from jaxtyping import Float
from torch import Tensor

from pgprim.core.mlp import MLP, activations, signals


def squared_score_norms(
    theta: Float[Tensor, "1 param"],
    net: MLP,
    obs: Float[Tensor, "stream pair obs"],
    act: Float[Tensor, "stream pair act"],
) -> Float[Tensor, "stream pair"]:
    """‖∇θ log π_θ(a|s)‖² of each pair.

    No per-pair gradient is formed: the score with respect to a layer's weight is the outer product h gᵀ of the
    layer's input and the score with respect to its output, so weight and bias together add (‖h‖² + 1)‖g‖².

    Args:
        theta: Parameters of one Gaussian policy.
        net: The policy (`core.mlp.policy_net`).
        obs: Observations as the policy sees them, normalised.
        act: Actions taken.
    """
    parts = net.split(theta)
    inverse = (-net.log_sigma(parts)).exp()
    acts = activations(net, parts, obs.flatten(0, 1)[None])
    z = (act.flatten(0, 1)[None] - acts[-1]) * inverse
    norms = ((z.square() - 1) * net.log_sigma_slope(parts)).square().sum(-1)
    for read, signal in zip(acts, signals(net, parts, acts, z * inverse), strict=False):
        norms = norms + (read.square().sum(-1) + 1) * signal.square().sum(-1)
    return norms.view(obs.shape[:2])
