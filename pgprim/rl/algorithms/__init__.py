"""Stand-in for the algorithms' records until branch `algo` is merged, whose file of this name takes its place."""

from typing import Any

from pgprim.types.schema import (
    CLOSED_FRACTION,
    COUNT,
    LEARNING_RATE,
    OPEN_FRACTION,
    POSITIVE,
    SHARE,
    SWITCH,
    at_least,
)  # fmt: skip

_CLIP = POSITIVE | {"description": "null for no clipping, or a number above 0", "type": ["number", "null"]}
_COMMON = {
    "anneal_over": COUNT, "pairs": at_least(2), "semantics": {"description": "exact or paper", "enum": ["exact", "paper"]},
    "gamma": CLOSED_FRACTION, "lam": CLOSED_FRACTION,
    "hidden": {"description": "a list of layer widths, such as [64, 64]", "type": "array", "items": COUNT},
    "minibatches": COUNT, "value_epochs": COUNT, "adam_eps": POSITIVE,
    "log_sigma": {"description": "a number between -10 and 5", "type": "number", "minimum": -10, "maximum": 5},
    "init": {"description": "orthogonal or xavier", "enum": ["orthogonal", "xavier"]},
    "anneal": SWITCH, "rew_norm": SWITCH, "rew_clip": _CLIP, "obs_clip": _CLIP, "value_lr": LEARNING_RATE, "value_clip": _CLIP,
}  # fmt: skip
_OWN = {
    "ppo": {"policy_lr": LEARNING_RATE, "policy_epochs": COUNT, "eps": OPEN_FRACTION},
    "trpo": {
        "delta": POSITIVE, "fisher_fraction": SHARE, "cg_steps": COUNT,
        "cg_damping": {"description": "a number at least 0", "type": "number", "minimum": 0},
        "backtracks": COUNT, "backtrack_factor": OPEN_FRACTION,
        "accept_ratio": {"description": "a number at least 0 and below 1", "type": "number", "minimum": 0, "exclusiveMaximum": 1},
    },
}  # fmt: skip


def algorithm_names() -> list[str]:
    """Names of all algorithms there are."""
    return sorted(_OWN)


def settings_schema(name: str) -> dict[str, Any]:
    """JSON schema of all settings of one algorithm."""
    kind = {"description": f"one of {', '.join(_OWN)}", "enum": list(_OWN)}
    properties = {"algorithm": kind} | _COMMON | _OWN[name]
    required = [key for key in properties if key != "value_clip"]
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def common_schema() -> dict[str, Any]:
    """JSON schema of the settings that every algorithm has."""
    required = [key for key in _COMMON if key != "value_clip"]
    return {"type": "object", "additionalProperties": False, "required": required, "properties": _COMMON}
