"""Agents of stable-baselines3 and sb3-contrib: the zip that `save` writes, and VecNormalize's pickle.

Of the zip's members `data` is JSON, in which fields that JSON cannot hold stand twice: as text, and as a pickle in
base 64 that is never loaded here. The others are files of `torch.save`.
"""

import io
import json
import math
import re
import zipfile
from typing import Any

import numpy as np

from pgprim.adopt.foreign import ForeignAgent, SavedNormaliser
from pgprim.adopt.networks import (
    check_pair,
    read_adam,
    refuse,
    refuse_leftovers,
    sequential,
    take_network,
    to_numpy,
)
from pgprim.adopt.safe import LARGEST_FILE, Inert, as_array, constants, load_inert, load_tensors

ACTIVATIONS = {
    "Tanh": "tanh", "ReLU": "relu", "ELU": "elu", "SiLU": "silu", "GELU": "gelu", "LeakyReLU": "leaky_relu",
}  # fmt: skip
"""Torch's classes of activations."""

MEMBERS = ("data", "policy.pth", "policy.optimizer.pth", "_stable_baselines3_version")
"""Members of the zip that are read; no other is."""

DEFAULT_LR, DEFAULT_CLIP = 3e-4, 0.2
"""PPO's defaults in stable-baselines3."""

POLICIES = "stable_baselines3.common.policies"
"""Module of the one class of policy whose parts are known: ActorCriticPolicy."""


def is_zip(data: bytes) -> bool:
    """Whether a file is a zip with the members of an agent."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return "data" in archive.namelist()
    except Exception:  # damaged archives end in many kinds of error
        return False


def read_zip(data: bytes, path: str) -> ForeignAgent:
    """An agent of PPO or TRPO from the zip of `save`, which has no normalisers.

    Raises:
        UserError: The file is damaged, or the agent cannot be represented.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = [info for info in archive.infolist() if info.filename in MEMBERS]
            if any(info.file_size > LARGEST_FILE for info in infos):
                raise ValueError
            members = {info.filename: archive.read(info) for info in infos}
        config = json.loads(members["data"])
        if not isinstance(config, dict):
            raise ValueError
    except Exception:  # as above
        refuse(path, "a damaged zip, or not one that stable-baselines3 wrote")
    _check_kind(config, path)
    if "policy.pth" not in members:
        refuse(path, "has no member policy.pth, but an agent that stable-baselines3 saved has one")
    tensors = load_tensors(members["policy.pth"], f"{path}, policy.pth")
    if not isinstance(tensors, dict):
        refuse(path, "policy.pth holds no state dict")
    order = list(tensors)
    where = f"{path}, policy.pth"
    activation = _activation(config, path)
    names = {
        "policy": [*sequential(tensors, "mlp_extractor.policy_net", where), "action_net"],
        "value": [*sequential(tensors, "mlp_extractor.value_net", where), "value_net"],
    }
    if "log_std" not in tensors:
        refuse_leftovers(
            [name for name in order if not re.match(r"mlp_extractor|action_net|value_net", name)], where
        )
        refuse(where, "has no log_std, but actions must be continuous with a Gaussian policy")
    sigma = to_numpy(tensors.pop("log_std"), f"{where}: log_std").astype(np.float32)
    policy = take_network(tensors, names["policy"], activation, where)
    value = take_network(tensors, names["value"], activation, where)
    refuse_leftovers(list(tensors), where)
    if sigma.ndim != 1:
        refuse(
            where,
            "log_std is a matrix: gSDE's deviation depends on the state, but σ must be the same in every state",
        )
    check_pair(policy, value, sigma, where)
    optimiser = None
    if "policy.optimizer.pth" in members:
        optimiser = load_tensors(members["policy.optimizer.pth"], f"{path}, policy.optimizer.pth")
    names_there = (names["policy"], "log_std", names["value"])
    adam, left_out = read_adam(optimiser, order, names_there, (policy, sigma, value))
    settings, assumed = _settings(config, optimiser, path)
    if settings["algorithm"] == "trpo" and not config.get("normalize_advantage", True):
        left_out.append("normalize_advantage is off, but TRPO's update normalises advantages.")
    pairs = settings["pairs"]
    return ForeignAgent(
        path=path,
        written_by=_version(members),
        policy=policy,
        value=value,
        sigma=sigma,
        clip_actions=True,
        settings=settings,
        adam=adam,
        iteration=round(config.get("num_timesteps", 0) / pairs),
        assumed=tuple(assumed),
        left_out=tuple(left_out),
    )


def read_vecnormalize(
    data: bytes, path: str
) -> tuple[SavedNormaliser | None, SavedNormaliser | None, dict[str, Any]]:
    """The normalisers of observations and rewards that VecNormalize's `save` wrote, and the γ of the latter.

    Raises:
        UserError: The file is damaged, is of another class, or normalises dictionaries of observations.
    """
    pickled = load_inert(data, path)
    if not isinstance(pickled, Inert) or not pickled.named.endswith(".VecNormalize"):
        kind = getattr(pickled, "named", type(pickled).__name__)
        refuse(path, f"holds a {kind}, but must hold stable-baselines3's VecNormalize")
    state = pickled.state
    if not isinstance(state, dict):
        refuse(path, "a damaged VecNormalize")
    if isinstance(state.get("obs_rms"), dict):
        refuse(path, "normalises a dictionary of observations, but an observation must be one vector")
    try:
        eps = float(state["epsilon"])
        observations = rewards = None
        if state["norm_obs"]:
            observations = _running(state["obs_rms"], eps, float(state["clip_obs"]), f"{path}: obs_rms")
        if state["norm_reward"]:
            rewards = _running(state["ret_rms"], eps, float(state["clip_reward"]), f"{path}: ret_rms")
        return observations, rewards, {"gamma": float(state["gamma"])}
    except (KeyError, TypeError, ValueError):
        refuse(path, "a damaged VecNormalize, or of a version that pgprim does not know")


def _running(rms: Any, eps: float, clip: float, where: str) -> SavedNormaliser:
    if not isinstance(rms, Inert) or not isinstance(rms.state, dict):
        refuse(where, "is not stable-baselines3's RunningMeanStd")
    mean, var, count = (as_array(rms.state[name], f"{where}.{name}") for name in ("mean", "var", "count"))
    if mean.ndim > 1 or mean.shape != var.shape:
        refuse(where, f"has shape {list(mean.shape)}, but an observation must be one vector")
    mean, var = np.atleast_1d(mean), np.atleast_1d(var)
    if not (np.isfinite(mean).all() and np.isfinite(var).all() and (var >= 0).all()):
        refuse(where, "holds numbers that are not finite, or negative variances")
    return SavedNormaliser(mean, var, float(count), eps, "var", clip)


def _version(members: dict[str, bytes]) -> str:
    version = members.get("_stable_baselines3_version", b"").decode("ascii", "replace").strip()
    return f"stable-baselines3 {version}".strip()


def _check_kind(config: dict[str, Any], path: str) -> None:
    """Refuse agents that `data` says cannot be represented, before their tensors are looked at."""
    policy = config.get("policy_class")
    module = policy.get("__module__", "") if isinstance(policy, dict) else ""
    if "recurrent" in module:
        refuse(path, "has a recurrent policy, but an action may depend on one observation only")
    if config.get("use_sde"):
        refuse(path, "uses gSDE, whose deviation depends on the state, but σ must be the same in every state")
    for name, wanted in (("action_space", "actions"), ("observation_space", "observations")):
        space = config.get(name)
        kind = str(space.get(":type:", "")) if isinstance(space, dict) else ""
        if not re.search(r"spaces\.box\.Box", kind):
            refuse(path, f"{name} is {kind or 'missing'}, but {wanted} must be a Box, a vector of numbers")
        if len(space.get("_shape", [0])) != 1:
            refuse(path, f"{name} has shape {space['_shape']} (pixels?), but must be a vector")
    if module != POLICIES:
        refuse(
            path,
            f"its policy is of a class of {module or 'an unknown module'}, but must be the plain MlpPolicy",
        )
    kwargs = config.get("policy_kwargs") or {}
    if kwargs.get("squash_output"):
        refuse(path, "squashes its actions, but log π must be that of a plain Gaussian")
    if "cg_max_steps" not in config and "clip_range" not in config:
        refuse(path, "is no agent of PPO or TRPO, whose updates are the only ones that can be represented")


def _activation(config: dict[str, Any], path: str) -> str:
    name = re.search(r"(\w+)'?>?$", str((config.get("policy_kwargs") or {}).get("activation_fn", "Tanh")))
    if name is None or name[1] not in ACTIVATIONS:
        kind = config["policy_kwargs"]["activation_fn"]
        refuse(path, f"its activation is {kind}, but must be one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name[1]]


def _settings(config: dict[str, Any], optimiser: Any, path: str) -> tuple[dict[str, Any], list[str]]:
    try:
        envs, pairs = int(config["n_envs"]), int(config["n_steps"]) * int(config["n_envs"])
        batch = int(config["batch_size"])
        rate, assumed = _learning_rate(config, optimiser, pairs)
        settings: dict[str, Any] = {
            "pairs": pairs,
            "envs": envs,
            "gamma": config["gamma"],
            "lam": config["gae_lambda"],
            "minibatches": math.ceil(pairs / batch),
            "minibatch_size": batch,
            "semantics": "exact",
            "init": "orthogonal",
            **rate,
        }
        if "cg_max_steps" in config:
            settings |= {
                "algorithm": "trpo",
                "value_epochs": config["n_critic_updates"],
                "delta": config["target_kl"],
                "fisher_fraction": 1 / config["sub_sampling_factor"],
                "cg_steps": config["cg_max_steps"],
                "cg_damping": config["cg_damping"],
                "backtracks": config["line_search_max_iter"],
                "backtrack_factor": config["line_search_shrinking_factor"],
                "accept_ratio": 0.0,
            }
            return settings, assumed
        eps, unknown = _constant(config["clip_range"], "clip_range")
        value_clip, more = (None, []) if config["clip_range_vf"] is None else _constant(
            config["clip_range_vf"], "clip_range_vf"
        )  # fmt: skip
        settings |= {
            "algorithm": "ppo",
            "policy_lr": settings["value_lr"],
            "policy_epochs": config["n_epochs"],
            "value_epochs": config["n_epochs"],
            "eps": eps,
            "value_clip": value_clip,
            "value_clip_max": False,
            "value_coef": config["vf_coef"],
            "entropy_coef": config["ent_coef"],
            "max_grad_norm": config["max_grad_norm"],
            "advantage_norm": "minibatch" if config.get("normalize_advantage", True) else "none",
            "one_optimiser": True,
            "target_kl": config.get("target_kl"),
            "target_kl_at": "minibatch",
        }
        return settings, [*assumed, *unknown, *more]
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        refuse(path, f"its member data lacks a setting of PPO or TRPO, or has it wrong: {error}")


def _learning_rate(config: dict[str, Any], optimiser: Any, pairs: int) -> tuple[dict[str, Any], list[str]]:
    """Learning rate, whether it is annealed to 0 and over how many iterations, and Adam's ε."""
    group = optimiser["param_groups"][0] if optimiser else {}
    over = max(1, round(config.get("_total_timesteps", 0) / pairs))
    rate, slope = _schedule(config["learning_rate"])
    if rate is None:
        rate, slope = _schedule(config.get("lr_schedule", {}))
    assumed = []
    if rate is None:
        last, slope = group.get("lr"), "constant"
        rate = last or DEFAULT_LR
        source = "the rate of the last update" if last else "the library's default"
        assumed.append(
            "The learning rate's schedule is a function in a pickle, which is not run: "
            f"{rate:g}, {source}, is taken for constant."
        )
    anneal = {"anneal": slope == "linear", "anneal_over": over}
    return {"value_lr": rate, "adam_eps": group.get("eps", 1e-5), **anneal}, assumed


def _constant(field: Any, name: str) -> tuple[float, list[str]]:
    value, slope = _schedule(field)
    if value is not None and slope == "constant":
        return value, []
    value = DEFAULT_CLIP if value is None else value
    return value, [f"{name} is a schedule whose present value the file does not say: {value:g} is taken."]


def _schedule(field: Any) -> tuple[float | None, str]:
    """The value at the start and the slope (`constant`, or `linear` to 0 at the end) of a schedule, from its text."""
    if isinstance(field, int | float):
        return float(field), "constant"
    number = r"([-+.\deE]+)"
    text = str(field.get("value_schedule", field))
    if match := re.search(rf"ConstantSchedule\(val={number}\)", text):
        return float(match[1]), "constant"
    if match := re.search(rf"LinearSchedule\(start={number}, end={number}, end_fraction={number}\)", text):
        start, end, fraction = map(float, match.groups())
        return (start, "linear") if (end, fraction) == (0, 1) else (None, "unknown")
    texts, numbers = constants(str(field.get(":serialized:", "")))
    for slope, name in (("constant", "constant_fn"), ("linear", "linear_schedule")):
        if len(set(numbers)) == 1 and any(name in text for text in texts):
            return numbers[0], slope
    return None, "unknown"
