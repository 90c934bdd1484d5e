"""Weighted sums of scores ∇θ log π_θ(a|s), from which policy gradient estimates are computed."""

import torch
from jaxtyping import Float
from torch import Tensor

from pgprim.core.mlp import MLP, activations, product, signals


def score_sums(
    theta: Float[Tensor, "1 param"],
    net: MLP,
    obs: Float[Tensor, "stream pair obs"],
    act: Float[Tensor, "stream pair act"],
    weights: Float[Tensor, "stream pair weight"],
) -> Float[Tensor, "stream weight param"]:
    """Σ_t w_kt ∇θ log π_θ(a_t|s_t) for several weightings k at once, separately for each stream.

    No per-pair gradient is formed: where a layer computes h W + b, the score with respect to W is hᵀ g, with g the
    score with respect to the layer's output, so that the sum over pairs is the matrix product Hᵀ diag(w_k) G. The work
    is one forward and one backward pass whatever the number of weightings, and a product per layer and weighting.

    Args:
        theta: Parameters of one Gaussian policy.
        net: The policy (`core.mlp.policy_net`).
        obs: Observations as the policy sees them, normalised.
        act: Actions taken.
        weights: w_kt.

    Returns:
        The sums in the order of `net.layout`, in the precision of the arguments. A caller that adds up many blocks of
        pairs does so in double precision.
    """
    parts, streams = net.split(theta), obs.shape[:2]
    acts = activations(net, parts, obs.flatten(0, 1)[None])
    inverse = (-net.log_sigma(parts)).exp()
    z = (act.flatten(0, 1)[None] - acts[-1]) * inverse
    transposed = weights.transpose(1, 2)
    sums = []
    for layers in zip(acts, signals(net, parts, acts, z * inverse), strict=False):
        inputs, signal = (rows[0].unflatten(0, streams) for rows in layers)
        sums += [_outer_sums(inputs, signal, weights), product(transposed, signal)]
    by_sigma = (z.square() - 1) * net.log_sigma_slope(parts)
    sums.append(product(transposed, by_sigma[0].unflatten(0, streams)))
    return torch.cat(sums, dim=2)


def _outer_sums(
    inputs: Float[Tensor, "stream pair in"],
    signal: Float[Tensor, "stream pair out"],
    weights: Float[Tensor, "stream pair weight"],
) -> Float[Tensor, "stream weight in_out"]:
    """Σ_t w_kt x_t g_tᵀ, flattened as the layout has it."""
    streams, pairs, num_out = signal.shape
    weighted = (weights.unsqueeze(-1) * signal.unsqueeze(-2)).view(streams, pairs, -1)
    products = product(inputs.transpose(1, 2), weighted)
    return products.view(streams, inputs.shape[2], -1, num_out).transpose(1, 2).flatten(2)
