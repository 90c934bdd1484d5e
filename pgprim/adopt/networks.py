"""Networks from state dicts: names and tensors in, layers out; everything else is refused."""

import re
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import torch

from pgprim.adopt.foreign import Network, OptimiserState, SavedNormaliser
from pgprim.types.errors import UserError

_REASONS = {
    r"lstm|gru|rnn|memory": "a recurrent policy (parameter {}), but an action may depend on one observation only",
    r"shared|trunk|encoder|extractor\.(?!policy_net|value_net)|cnn|conv": (
        "layers before policy and value network ({}), but each network must read the observation itself: a shared trunk "
        "or a features extractor with weights cannot be represented"
    ),
    r"norm": "a normalisation layer ({}), but between affine layers there may be an activation only",
    r"q_net|qf\d|critic_target|actor\.(mu|latent_pi)": (
        "a network of an off-policy algorithm ({}), but only agents of PPO and TRPO can be represented"
    ),
}
"""Kinds of agent that cannot be represented, by what the names of their parameters tell of them."""


def refuse(where: str, reason: str) -> NoReturn:
    """Say why a file cannot be adopted.

    Raises:
        UserError: Always.
    """
    raise UserError(f"{where}: {reason}")


def to_numpy(tensor: Any, where: str) -> np.ndarray:
    """A tensor as an array, weights transposed to [input, output]; in double precision where single does not hold it.

    Raises:
        UserError: It is no tensor of finite numbers.
    """
    if not isinstance(tensor, torch.Tensor):
        refuse(where, f"is a {type(tensor).__name__}, but must be a tensor")
    narrow = tensor.dtype in (torch.float32, torch.float16, torch.bfloat16)
    array = tensor.detach().to(torch.float32 if narrow else torch.float64).numpy()
    if not np.isfinite(array).all():
        refuse(where, "holds numbers that are not finite")
    return np.ascontiguousarray(array.T)


def sequential(tensors: dict[str, Any], prefix: str, where: str) -> list[str]:
    """Names of the affine layers of a sequence in which they alternate with activations: PREFIX.0, PREFIX.2, ...

    Raises:
        UserError: Something else stands between them.
    """
    pattern = re.compile(rf"{re.escape(prefix)}\.(\d+)\.weight")
    places = sorted(int(match[1]) for name in tensors if (match := pattern.fullmatch(name)))
    if places != list(range(0, 2 * len(places), 2)):
        refuse(
            where,
            f"the layers of {prefix} stand at places {places}, but affine layers must alternate with activations: 0, 2, 4",
        )
    return [f"{prefix}.{place}" for place in places]


def take_network(tensors: dict[str, Any], names: Sequence[str], activation: str, where: str) -> Network:
    """The network of some affine layers, whose tensors are taken out of the state dict.

    Raises:
        UserError: A layer is missing, is no affine layer, or does not fit the one before it.
    """
    layers: list[tuple[np.ndarray, np.ndarray]] = []
    for name in names:
        parts = []
        for part, dims in (("weight", 2), ("bias", 1)):
            key = f"{name}.{part}"
            if key not in tensors:
                refuse(where, f"has no {key}, but every layer must have weight and bias")
            parts.append(to_numpy(tensors.pop(key), f"{where}: {key}").astype(np.float32))
            if parts[-1].ndim != dims:
                refuse(where, f"{key} has {parts[-1].ndim} dimensions, but an affine layer's has {dims}")
        layers.append((parts[0], parts[1]))
    return make_network(layers, activation, where)


def make_network(layers: Sequence[tuple[np.ndarray, np.ndarray]], activation: str, where: str) -> Network:
    """A network of layers that fit each other.

    Raises:
        UserError: They do not.
    """
    if not layers:
        refuse(where, "holds no layer of policy or value network under a name that pgprim knows")
    width = layers[0][0].shape[0]
    for number, (weight, bias) in enumerate(layers):
        if weight.shape != (width, len(bias)):
            refuse(
                where,
                f"layer {number} has weight [input, output] {list(weight.shape)} and {len(bias)} biases, but is given "
                f"{width} inputs",
            )
        width = len(bias)
    return Network(tuple(layers), activation)


def check_pair(policy: Network, value: Network, sigma: np.ndarray, where: str) -> None:
    """Refuse networks that cannot belong to one agent with a state-independent σ.

    Raises:
        UserError: They do not fit.
    """
    if policy.num_outputs == 2 * len(sigma):
        refuse(where, "the policy's network puts out σ as well, but σ must be the same in every state")
    if policy.num_outputs != len(sigma):
        refuse(where, f"the policy puts out {policy.num_outputs} numbers, but has {len(sigma)} deviations")
    if value.num_outputs != 1:
        refuse(where, f"the value network puts out {value.num_outputs} numbers, but must put out one")
    if policy.num_inputs != value.num_inputs:
        refuse(
            where,
            f"the policy reads {policy.num_inputs} observations and the value network {value.num_inputs}, but both must "
            "read the same",
        )


def refuse_leftovers(names: Sequence[str], where: str) -> None:
    """Refuse parameters that no network uses: their effect would be lost.

    Raises:
        UserError: There are some.
    """
    for pattern, reason in _REASONS.items():
        for name in names:
            if re.search(pattern, name, re.IGNORECASE):
                refuse(where, f"has {reason.format(name)}")
    if names:
        refuse(where, f"has a parameter {names[0]} that belongs to no network pgprim knows")


def read_adam(
    optimiser: Any,
    order: Sequence[str],
    names: tuple[Sequence[str], str, Sequence[str]],
    agent: tuple[Network, np.ndarray, Network],
) -> tuple[OptimiserState | None, list[str]]:
    """The moments of torch's Adam for some parameters, and what of the optimiser cannot be represented.

    Args:
        optimiser: Its state dict, if it is saved.
        order: Names of all parameters, in the order in which the optimiser was given them.
        names: Names there of the policy's layers, of σ's parameter, and of the value network's layers.
        agent: Policy, σ's parameter and value network.
    """
    wanted, shapes = parameter_names(*names), parameter_shapes(*agent)
    if optimiser is None:
        return None, ["The optimiser is not saved: Adam starts anew."]
    try:
        state, groups = optimiser["state"], optimiser["param_groups"]
        index = dict(zip(order, (number for group in groups for number in group["params"]), strict=True))
        steps = {int(state[index[name]]["step"]) for name in wanted if index[name] in state}
        if not steps:
            return None, []
        m, v = (
            tuple(
                to_numpy(state[index[name]][key], name).astype(np.float32) if index[name] in state else None
                for name in wanted
            )
            for key in ("exp_avg", "exp_avg_sq")
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None, ["The optimiser is not torch's Adam: its state is left out, and Adam starts anew."]
    for array, shape in zip([*m, *v], [*shapes, *shapes], strict=True):
        if array is not None and array.shape != shape:
            return None, ["The optimiser's arrays do not fit the parameters: Adam starts anew."]
    odd = [
        name for name in ("weight_decay", "amsgrad", "maximize") if any(group.get(name) for group in groups)
    ]
    if any(tuple(group.get("betas", ())) != (0.9, 0.999) for group in groups):
        odd.append("betas other than (0.9, 0.999)")
    left_out = [f"Adam's {', '.join(odd)}: updates are made without."] if odd else []
    return OptimiserState(m, v, max(steps)), left_out


def parameter_shapes(policy: Network, sigma: np.ndarray, value: Network) -> list[tuple[int, ...]]:
    """Shapes in the order of `foreign.OptimiserState`."""
    arrays = [
        *(part for layer in policy.layers for part in layer),
        sigma,
        *(part for layer in value.layers for part in layer),
    ]
    return [array.shape for array in arrays]


def parameter_names(policy: Sequence[str], sigma: str, value: Sequence[str]) -> list[str]:
    """Names in the order of `foreign.OptimiserState`, from those of the layers."""
    policy, value = (
        [f"{name}.{part}" for name in names for part in ("weight", "bias")] for names in (policy, value)
    )
    return [*policy, sigma, *value]


def own_names(policy: Network, value: Network) -> list[str]:
    """Names of the parameters in the documented file, in the order of `foreign.OptimiserState`."""
    layers = (
        [f"{name}.{k}" for k in range(len(net.layers))]
        for name, net in (("policy", policy), ("value", value))
    )
    return parameter_names(next(layers), "log_sigma", next(layers))


def last_rates(optimiser: Any) -> dict[str, float]:
    """Learning rates of policy and value network, which share an optimiser; 1e-3 where its state does not say it.

    Args:
        optimiser: The state dict of the optimiser, if the file has one.
    """
    try:
        rate = float(optimiser["param_groups"][0]["lr"])
    except (KeyError, IndexError, TypeError, ValueError):
        rate = 1e-3
    return {"policy_lr": rate, "value_lr": rate}


def fold_inputs(network: Network, own: SavedNormaliser | None, other: SavedNormaliser | None) -> Network:
    """The network that gives, for observations normalised by `other`, its outputs for those normalised by `own`.

    Without clipping both are affine, and the change goes into the first layer: with x = z s + m the old input is
    (z s + m − m_own)/s_own.
    """
    weight, bias = (part.astype(np.float64) for part in network.layers[0])
    mean, scale = (other.mean, other.scale) if other else (0.0, np.ones(len(weight)))
    own_mean, own_scale = (own.mean, own.scale) if own else (0.0, np.ones(len(weight)))
    moved = bias + ((mean - own_mean) / own_scale) @ weight
    first = ((scale / own_scale)[:, None] * weight).astype(np.float32), moved.astype(np.float32)
    return Network((first, *network.layers[1:]), network.activation)


def scale_output(network: Network, mean: float, scale: float) -> Network:
    """The network with its output multiplied by `scale` and shifted by `mean`."""
    weight, bias = network.layers[-1]
    last = (weight * np.float32(scale)), (bias * np.float32(scale) + np.float32(mean))
    return Network((*network.layers[:-1], last), network.activation)
