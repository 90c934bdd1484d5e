"""Several files of one agent: checkpoints in the order of training."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from pgprim.adopt.foreign import ForeignAgent
from pgprim.adopt.networks import refuse
from pgprim.adopt.read import read_agent

AGENTS = (".zip", ".safetensors", ".pt", ".pth", ".cleanrl_model")
"""Endings of agents' files; others in a folder, such as notes and configurations, are passed over."""

NORMALISERS = re.compile(r"normali[sz]e|\.pkl$", re.IGNORECASE)
"""Files that hold a normaliser, by name."""


def read_series(path: str | Path, activation: str | None = None) -> list[ForeignAgent]:
    """Read a file, or a folder of checkpoints of one agent.

    Args:
        path: The file or folder. A normaliser in the folder belongs to the agent with the same number in its name, as
            stable-baselines3's CheckpointCallback writes them; a single one belongs to all agents.
        activation: Of the hidden layers, for formats that do not record it.

    Returns:
        The agents by rising iteration. Where files do not say it, it is the last number in their names.

    Raises:
        UserError: The folder holds no agent, agents of different shapes, or two of one iteration; or a file cannot be
            represented.
    """
    path = Path(path)
    if not path.is_dir():
        return [_numbered(read_agent(path, activation=activation), path, 0)]
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    normalisers = [file for file in files if NORMALISERS.search(file.name)]
    agents = [file for file in files if file.suffix in AGENTS and file not in normalisers]
    if not agents:
        refuse(str(path), f"holds no agent's file ({', '.join(AGENTS)})")
    series = []
    for file in agents:
        agent = read_agent(file, _normaliser_of(file, normalisers), activation)
        series.append(_numbered(agent, file, None if len(agents) > 1 else 0))
    series.sort(key=lambda agent: agent.iteration)
    for one, other in pairwise(series):
        if one.iteration == other.iteration:
            refuse(
                other.path, f"is of iteration {one.iteration}, like {one.path}, but each must be of its own"
            )
        shapes = [
            (each.policy.hidden, each.value.hidden, each.num_obs, each.num_act) for each in (one, other)
        ]
        if shapes[0] != shapes[1]:
            refuse(
                other.path,
                f"its networks are not of the shape of those of {one.path}: one folder holds one agent",
            )
    return series


def _normaliser_of(file: Path, normalisers: list[Path]) -> Path | None:
    if len(normalisers) == 1:
        return normalisers[0]
    own = [one for one in normalisers if re.findall(r"\d+", one.name) == re.findall(r"\d+", file.stem)]
    if normalisers and len(own) != 1:
        refuse(str(file), f"{len(own)} normalisers beside it have its number in their name, but one must")
    return own[0] if own else None


def _numbered(agent: ForeignAgent, file: Path, default: int | None) -> ForeignAgent:
    """The agent with an iteration: the file's, or the last number in its name."""
    if agent.iteration is not None:
        return agent
    numbers = re.findall(r"\d+", file.stem)
    if not numbers and default is None:
        refuse(str(file), "does not say its iteration, neither inside nor by a number in its name")
    iteration = int(numbers[-1]) if numbers else default
    note = f"The file does not say its iteration: {iteration}" + (", from its name." if numbers else ".")
    return replace(agent, iteration=iteration, assumed=(*agent.assumed, note))
