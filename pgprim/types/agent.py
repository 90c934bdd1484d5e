"""Settings of one agent's training, each declared once with its meaning, range and default."""

from dataclasses import MISSING, dataclass, field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pgprim.types.errors import UserError

Activation = Literal["tanh", "relu", "elu", "silu", "gelu", "leaky_relu"]


def setting(
    meaning: str,
    default: Any = MISSING,
    *,
    at_least: int | float | None = None,
    above: int | float | None = None,
    at_most: int | float | None = None,
    below: int | float | None = None,
    off: str = "none",
) -> Any:
    """A field of settings.

    Args:
        meaning: Its meaning, with its unit.
        default: Value if it is absent; a setting without default must be given.
        at_least: Smallest value.
        above: Exclusive lower bound.
        at_most: Largest value.
        below: Exclusive upper bound.
        off: Meaning of null, if the setting may be null.
    """
    bounds = {"minimum": at_least, "exclusiveMinimum": above, "maximum": at_most, "exclusiveMaximum": below}
    bounds = {name: bound for name, bound in bounds.items() if bound is not None}
    return field(default=default, metadata={"meaning": meaning, "bounds": bounds, "off": off})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings that every algorithm has; a subclass beside each algorithm's update has its own settings.

    A setting at its default is absent from checkpoints, keys and records unless it is given explicitly, so a new
    setting does not invalidate existing results.
    """

    algorithm: str = setting("module of pgprim.rl.algorithms")
    anneal_over: int = setting("iterations after which annealed learning rates have reached 0", at_least=1)
    pairs: int = setting("state-action pairs per iteration, T", at_least=2)
    semantics: Literal["exact", "paper"] = setting("how time limits and cuts are handled")
    gamma: float = setting("discount γ", at_least=0, at_most=1)
    lam: float = setting("λ of generalised advantage estimation", at_least=0, at_most=1)
    hidden: tuple[int, ...] = setting("units per hidden layer of both networks", at_least=1)
    minibatches: int = setting("minibatches per epoch", at_least=1)
    value_epochs: int = setting("passes over the batch that fit the value network", at_least=1)
    adam_eps: float = setting("Adam's ε", above=0)
    # Single precision must hold an action's distance from the mean: at σ = e⁻⁷ = 0.001 it does so to 1e-4 of σ.
    log_sigma: float = setting("initial log σ", at_least=-7, at_most=5)
    init: Literal["orthogonal", "xavier"] = setting("initialisation of the weights")
    anneal: bool = setting("whether learning rates fall linearly to 0")
    rew_norm: bool = setting("whether rewards are divided by the deviation of their discounted sum")
    rew_clip: float | None = setting("bound on the absolute normalised reward", above=0, off="no clipping")
    obs_clip: float | None = setting(
        "bound on the absolute normalised observation", above=0, off="no clipping"
    )
    value_lr: float = setting("learning rate of the value network", above=0, at_most=1)
    value_clip: float | None = setting(
        "half-width of the interval around V_old that values are clipped to", None, above=0, off="no clipping"
    )

    policy_hidden: tuple[int, ...] | None = setting("units of the policy, if not `hidden`", None, at_least=1)
    value_hidden: tuple[int, ...] | None = setting(
        "units of the value network, if not `hidden`", None, at_least=1
    )
    policy_activation: Activation = setting("activation of the policy's hidden layers", "tanh")
    value_activation: Activation = setting("activation of the value network's hidden layers", "tanh")
    sigma: Literal["log", "linear"] = setting("whether θ holds log σ or σ itself", "log")
    envs: int = setting("environments per iteration, each of pairs/envs pairs", 1, at_least=1)
    minibatch_size: int | None = setting("pairs per minibatch, instead of `minibatches`", None, at_least=1)
    max_grad_norm: float | None = setting(
        "bound on the norm of a minibatch's gradient, of both networks together where one optimiser has both",
        None, above=0, off="no bound",
    )  # fmt: skip
    value_coef: float = setting("factor of the value network's mean squared error", 1.0, above=0)
    value_clip_max: bool = setting(
        "whether the larger of clipped and plain squared error counts, or the clipped one alone", True
    )
    obs_norm: bool = setting("whether observations are normalised", True)
    obs_eps: float = setting("added to the variance (or deviation) of observations", 0.0, at_least=0)
    obs_eps_of: Literal["var", "std"] = setting("what `obs_eps` is added to", "var")
    rew_eps: float = setting("added to the variance of the discounted reward sum", 0.0, at_least=0)

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            UserError: A sentence that completes "FILE: ".
        """
        if self.pairs % self.envs:
            raise UserError(f"envs is {self.envs}, but must divide pairs ({self.pairs})")


TRAINING_ONLY = ("iterations", "snapshot_every")
"""Keys of the `train` section that say how long to train and which snapshots to keep, not how to train."""


def settings_of(params: dict, task: str, algo: str) -> dict:
    """The settings of one agent as a plain dict, from the sections `train` and `agents` of the parameters.

    Raises:
        UserError: The parameters have no such agent.
    """
    try:
        agent = params["agents"][algo]
        own = agent[task]
    except KeyError as error:
        raise UserError(
            f"params.yaml: agents.{algo}.{task} is missing ({error} not found); add the agent's numbers"
        ) from None
    train = {key: value for key, value in params["train"].items() if key not in TRAINING_ONLY}
    return train | agent["all"] | own


def schema_of(settings: type[Settings]) -> dict[str, Any]:
    """JSON schema of settings: an object whose descriptions complete "KEY is VALUE, but must be ..."."""
    types = get_type_hints(settings)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [each.name for each in fields(settings) if each.default is MISSING],
        "properties": {
            each.name: {"title": each.metadata["meaning"]}
            | _value_schema(types[each.name], each.metadata["bounds"], each.metadata["off"])
            for each in fields(settings)
        },
    }


def _value_schema(kind: Any, bounds: dict[str, int | float], off: str) -> dict[str, Any]:
    options = get_args(kind)
    if get_origin(kind) is Literal:
        *first, last = options
        return {"description": f"{', '.join(first)} or {last}", "enum": list(options)}
    if NoneType in options:
        schema = _value_schema(next(option for option in options if option is not NoneType), bounds, off)
        return schema | {
            "description": f"null for {off}, or {schema['description']}", "type": [schema["type"], "null"]
        }  # fmt: skip
    if get_origin(kind) is tuple:
        widths = _value_schema(options[0], bounds, off)
        return {"description": "a list of layer widths, such as [64, 64]", "type": "array", "items": widths}
    if kind is bool:
        return {"description": "true or false", "type": "boolean"}
    if kind is str:
        return {"description": "a name", "type": "string"}
    noun, name = ("a whole number", "integer") if kind is int else ("a number", "number")
    return {"description": f"{noun}{_range(bounds)}", "type": name} | bounds


def _range(bounds: dict[str, int | float]) -> str:
    match bounds:
        case {"minimum": low, "maximum": high}:
            return f" between {low} and {high}"
        case {"minimum": low}:
            parts = [f"at least {low}"]
        case {"exclusiveMinimum": low}:
            parts = [f"above {low}"]
        case _:
            parts = []
    if "maximum" in bounds:
        parts.append(f"at most {bounds['maximum']}")
    if "exclusiveMaximum" in bounds:
        parts.append(f"below {bounds['exclusiveMaximum']}")
    return f" {' and '.join(parts)}" if parts else ""
