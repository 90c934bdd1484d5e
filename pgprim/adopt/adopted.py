"""From a file to checkpoints: read it, check it against the task, make checkpoints, compare them with it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgprim.adopt.checkpoint import ASSUMED, make_checkpoint
from pgprim.adopt.fidelity import Fidelity, measure_fidelity
from pgprim.adopt.foreign import ForeignAgent, SavedNormaliser
from pgprim.adopt.networks import refuse
from pgprim.adopt.read import with_normaliser
from pgprim.adopt.series import read_series
from pgprim.experience.rollout import collect
from pgprim.rl.algorithms import make_settings
from pgprim.rl.streams import make_streams
from pgprim.types.checkpoint import Checkpoint, Moments
from pgprim.types.environment import Environment

ESTIMATED_FROM = 20_000
"""Pairs for estimating normalisers that no file has: ten iterations of 2048, as at the start of training."""


NO_NORMALISER = "none"
"""Value of `normaliser` for an agent without one."""


@dataclass(frozen=True)
class Adopted:
    """One adopted agent.

    Attributes:
        agent: The content of its file, with estimated normalisers if the file has none.
        checkpoint: The agent as a checkpoint.
        fidelity: Agreement of the two.
    """

    agent: ForeignAgent
    checkpoint: Checkpoint
    fidelity: Fidelity


def adopt(
    path: str | Path,
    *,
    task: str,
    environment: Environment,
    name: str,
    normaliser: str | Path | None = None,
    activation: str | None = None,
    settings: dict[str, Any] | None = None,
    num_episodes: int = 10,
    num_pairs: int = ESTIMATED_FROM,
) -> Iterator[Adopted]:
    """Adopt an agent's file, or all files of a folder.

    Args:
        path: The file, or a folder of checkpoints of one agent (`adopt.series.read_series`).
        task: Name of the task in the parameter file.
        environment: The task's environment.
        name: The agent's name.
        normaliser: File of its normalisers, of all checkpoints if there are several; `NO_NORMALISER` for an agent
            that has none, where its format does not say so.
        activation: Of the hidden layers, for formats that do not record it.
        settings: Settings that override the files'.
        num_episodes: Episodes for the mean return.
        num_pairs: Pairs for estimating normalisers that no file has.

    Yields:
        The agents by rising iteration.

    Raises:
        UserError: A file cannot be read or represented, does not fit the task, or its checkpoint does not compute what
            its networks compute.
    """
    for read in read_series(path, activation):
        agent = read
        if normaliser == NO_NORMALISER:
            agent = replace(read, observations=None, rewards=None)
        elif normaliser is not None:
            agent = with_normaliser(read, normaliser)
        check_spaces(agent, environment)
        own = replace(environment, clip_actions=environment.clip_actions and agent.clip_actions)
        about = {"task": task, "environment": own, "name": name, "settings": settings}
        whole = estimate_normalisers(agent, make_checkpoint(agent, **about), num_pairs)
        checkpoint = make_checkpoint(whole, **about)
        fidelity = measure_fidelity(whole, checkpoint, num_episodes)
        if not fidelity.is_faithful:
            refuse(
                agent.path,
                "its checkpoint does not compute what its networks compute (gradient's cosine "
                f"{fidelity.grad_cosine:.4f}, errors of V {fidelity.value_error:.1g} and log π "
                f"{fidelity.logp_error:.1g}): please report this",
            )
        yield Adopted(whole, checkpoint, fidelity)


def check_spaces(agent: ForeignAgent, environment: Environment) -> None:
    """Refuse an agent that does not fit the task.

    Raises:
        UserError: Observations or actions are of another length.
    """
    streams = make_streams(environment, [0])
    streams.close()
    more = agent.num_obs - streams.num_obs
    if more:
        hint = (
            "; one more is stable-baselines3-zoo's time feature, which no environment of Gymnasium has"
            if more == 1
            else ""
        )
        refuse(
            agent.path,
            f"its networks read {agent.num_obs} observations, but {environment.id} gives {streams.num_obs}{hint}",
        )
    if agent.num_act != streams.num_act:
        refuse(
            agent.path,
            f"its policy has {agent.num_act} actions, but {environment.id} takes {streams.num_act}",
        )


def estimate_normalisers(agent: ForeignAgent, checkpoint: Checkpoint, num_pairs: int) -> ForeignAgent:
    """The agent with missing normalisers estimated from its own rollouts.

    The normalisers start without data and run while the policy acts, as at the start of training.

    Args:
        agent: The content of the file.
        checkpoint: The agent's checkpoint, with normalisers without data.
        num_pairs: Pairs to run.
    """
    if "not saved" not in (agent.observations, agent.rewards):
        return agent
    settings = make_settings(checkpoint.settings, agent.path)
    purpose = ("adopt", checkpoint.task, checkpoint.algo, checkpoint.iteration)
    _, state = collect(
        checkpoint.environment, checkpoint.state, settings, [purpose], -(-num_pairs // settings.envs)
    )
    changes, named = {}, []
    for name, moments in (("observations", state.obs_moments), ("rewards", state.rew_moments)):
        if getattr(agent, name) == "not saved":
            changes[name] = _normaliser(moments)
            named.append(name)
    note = (
        f"The file holds no normaliser of {' and '.join(named)}: estimated from {num_pairs} pairs of the policy's "
        "own rollouts."
    )
    return replace(agent, **changes, assumed=(*agent.assumed, note))


def _normaliser(moments: Moments) -> SavedNormaliser:
    return replace(
        ASSUMED, mean=moments.mean[0], var=moments.m2[0] / (moments.count - 1), count=float(moments.count)
    )
