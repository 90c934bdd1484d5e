"""Reading all formats: a file's format is recognised from its bytes, not from its name."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from pgprim.adopt import cleanrl, plain, rsl_rl, skrl, stable_baselines
from pgprim.adopt.foreign import ForeignAgent, SavedNormaliser
from pgprim.adopt.networks import refuse
from pgprim.adopt.safe import load_tensors, read_bytes
from pgprim.types.agent import Activation

ACTIVATIONS = get_args(Activation)

_TORCH_FORMATS = (
    (rsl_rl.is_checkpoint, rsl_rl.read),
    (skrl.is_agent, skrl.read),
    (cleanrl.is_state_dict, cleanrl.read),
)

FORMATS = (
    "a zip of stable-baselines3 or sb3-contrib, a state dict of CleanRL, a checkpoint of rsl_rl or skrl, or a safetensors "
    "file of pgprim.adopt.write_agent"
)


def read_agent(
    path: str | Path, normaliser: str | Path | None = None, activation: str | None = None
) -> ForeignAgent:
    """Read an agent's file without running pickled code.

    Args:
        path: The file.
        normaliser: File of the observation and reward normalisers: VecNormalize's pickle, or a safetensors file.
        activation: Of the hidden layers, for formats that do not record it.

    Raises:
        UserError: The file is damaged or of no known format, or the agent cannot be represented.
    """
    path = Path(path)
    data, name = read_bytes(path), str(path)
    agent = _read(data, name, activation)
    for network in (agent.policy, agent.value):
        if network.activation not in ACTIVATIONS:
            refuse(
                name, f"its activation is {network.activation!r}, but must be one of {', '.join(ACTIVATIONS)}"
            )
    return agent if normaliser is None else with_normaliser(agent, normaliser)


def _read(data: bytes, path: str, activation: str | None) -> ForeignAgent:
    if not data:
        refuse(path, f"empty, but must be {FORMATS}")
    try:
        if plain.is_safetensors(data):
            return plain.read(data, path, activation)
        if stable_baselines.is_zip(data):
            return stable_baselines.read_zip(data, path)
        saved = load_tensors(data, path)
        read = next((read for fits, read in _TORCH_FORMATS if fits(saved)), None)
        if read is None:
            refuse(path, f"holds {_contents(saved)}, but must be {FORMATS}")
        return read(saved, path, activation)
    except (
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
    ):  # entries of a kind that no library writes
        refuse(path, f"an entry is not of the kind that its format has, but the file must be {FORMATS}")


def with_normaliser(agent: ForeignAgent, path: str | Path) -> ForeignAgent:
    """The agent with the normalisers of a file.

    Raises:
        UserError: The file is damaged, or its observations are not the agent's.
    """
    data, name = read_bytes(path), str(path)
    notes: tuple[str, ...] = ()
    if plain.is_safetensors(data):
        observations, rewards = plain.read_normalisers(data, name)
    else:
        observations, rewards, settings = stable_baselines.read_vecnormalize(data, name)
        gamma = agent.settings.get("gamma")
        if rewards is not None and gamma is not None and settings["gamma"] != gamma:
            notes = (
                f"Rewards are normalised by sums discounted with γ = {settings['gamma']:g}, returns with {gamma:g}: "
                "running statistics go on with the latter.",
            )
    _check_width(observations, agent.num_obs, name)
    _check_width(rewards, 1, name)
    return replace(agent, observations=observations, rewards=rewards, left_out=(*agent.left_out, *notes))


def _check_width(normaliser: SavedNormaliser | None, width: int, path: str) -> None:
    if normaliser is not None and normaliser.mean.shape != (width,):
        refuse(path, f"normalises {normaliser.mean.size} numbers, but the agent's file has {width}")


def _contents(saved: Any) -> str:
    if isinstance(saved, dict):
        names = [str(name) for name in list(saved)[:4]]
        return f"a dictionary of {', '.join(names)}" + (", ..." if len(saved) > 4 else "")
    return f"a {type(saved).__name__}"
