"""An agent as its file describes it, whichever library wrote the file."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32

Layers = tuple[tuple[np.ndarray, np.ndarray], ...]
"""Weight [input, output] and bias [output] of each affine layer, inputs first, single precision."""


@dataclass(frozen=True)
class Network:
    """A multi-layer perceptron.

    Attributes:
        layers: Its affine layers.
        activation: Name of the function between them; none follows the last.
    """

    layers: Layers
    activation: str

    @property
    def hidden(self) -> list[int]:
        """Units of each hidden layer."""
        return [len(bias) for _, bias in self.layers[:-1]]

    @property
    def num_inputs(self) -> int:
        """Length of the input."""
        return self.layers[0][0].shape[0]

    @property
    def num_outputs(self) -> int:
        """Length of the output."""
        return len(self.layers[-1][1])


@dataclass(frozen=True)
class SavedNormaliser:
    """Running statistics by which observations are centred and scaled, or rewards scaled.

    Attributes:
        mean: Of the observations; of the discounted reward sums, by which nothing is centred.
        var: Population variance.
        count: Values seen.
        eps: Guards against division by 0.
        eps_of: Whether the divisor is √(var + ε) (`var`) or √var + ε (`std`).
        clip: Bound on the absolute normalised value, if any.
    """

    mean: Float[np.ndarray, " dim"]
    var: Float[np.ndarray, " dim"]
    count: float
    eps: float
    eps_of: Literal["var", "std"]
    clip: float | None

    @property
    def scale(self) -> Float[np.ndarray, " dim"]:
        """The divisor."""
        if self.eps_of == "var":
            return np.sqrt(self.var + self.eps)
        return np.sqrt(self.var) + self.eps


NotSaved = Literal["not saved"]
"""Mark of a missing normaliser: the agent had one, but its file does not have it."""


@dataclass(frozen=True)
class OptimiserState:
    """Adam's state: arrays in the order and shapes of the parameters, policy first, then σ's, then value.

    Attributes:
        m: Running mean of gradients; None for a parameter that Adam has not updated.
        v: Running mean of squared gradients.
        count: Updates so far.
    """

    m: tuple[np.ndarray | None, ...]
    v: tuple[np.ndarray | None, ...]
    count: int


@dataclass(frozen=True)
class ForeignAgent:
    """One agent at one moment of its training.

    Attributes:
        path: Its file.
        written_by: The library or format.
        policy: The network of the mean action.
        value: The network of V.
        sigma: The policy's parameters for the standard deviation, the same in every state.
        sigma_kind: Whether they are log σ (`log`) or σ itself (`linear`).
        observations: Their normaliser, if the agent has one.
        rewards: Their normaliser, if the agent was trained on normalised rewards.
        clip_actions: Whether the task sees actions clipped to its bounds.
        settings: What the file says of its training, by the names of `types.agent.Settings` and its algorithm's.
        adam: The optimiser's state.
        iteration: Updates made; None where the file does not say.
        assumed: Sentences on settings that the file lacks, and their assumed values.
        left_out: Sentences on parts that pgprim cannot represent and that do not change policy and value.
    """

    path: str
    written_by: str
    policy: Network
    value: Network
    sigma: Float32[np.ndarray, " act"]
    sigma_kind: Literal["log", "linear"] = "log"
    observations: SavedNormaliser | NotSaved | None = None
    rewards: SavedNormaliser | NotSaved | None = None
    clip_actions: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    adam: OptimiserState | None = None
    iteration: int | None = None
    assumed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def num_obs(self) -> int:
        """Length of an observation."""
        return self.policy.num_inputs

    @property
    def num_act(self) -> int:
        """Length of an action."""
        return len(self.sigma)
