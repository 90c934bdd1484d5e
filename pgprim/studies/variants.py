"""Training in which an agent may diverge without stopping the others, and the agreement of its batches."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import torch
from jaxtyping import Bool, Float

from pgprim.core.scores import score_sums
from pgprim.core.surrogate import normalise_advantage
from pgprim.experience.rollout import Purpose, collect
from pgprim.experience.seen import Seen, make_batch, see_iteration
from pgprim.experience.train import is_sound, train_iteration
from pgprim.rl.batch import group_streams
from pgprim.rl.networks import make_policy
from pgprim.rl.streams import Bound, make_env
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import AgentState, stack_agents
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError

AGREEMENT = ("half_cosine", ("cosine between the gradients of a batch's two halves", "1"))
"""Name, long name and unit of what `half_cosine` finds."""

COSTS = {
    "control_cost": ("mean control cost of a step by the batch's actions as drawn", "reward"),
    "control_cost_clipped": (
        "mean control cost of a step by the batch's actions clipped to their bounds",
        "reward",
    ),
}
"""Name, long name and unit of what `control_costs` finds."""

PIECE = 4096
"""Pairs whose scores are summed at once."""


def train_while_sound(
    environment: Environment,
    state: AgentState,
    settings: Settings,
    purposes: list[Purpose],
    num_iterations: int,
    agreement_at: tuple[int, ...] = (),
    costs_at: tuple[int, ...] = (),
) -> Iterator[tuple[Bool[np.ndarray, " agent"], dict[str, Float[np.ndarray, " agent"]]]]:
    """Train a stack of agents; drop an agent when its loss or step is no longer finite (`train.is_sound`).

    A study of settings must continue when some settings fail, because failing is one of its results. The other
    agents' results do not change, since agents do not depend on each other.

    Args:
        environment: The task.
        state: New agents.
        settings: Shared by all agents.
        purposes: Purpose of each agent's random numbers; the iteration is added here.
        num_iterations: Iterations to run.
        agreement_at: Iterations in which `half_cosine` is recorded; NaN in the others.
        costs_at: Iterations in which `control_costs` are recorded; NaN in the others.

    Yields:
        After every iteration, which agents are sound, and the iteration's records; those of an agent end with the
        iteration in which it diverged, and are NaN afterwards. Stops when no agent is left.
    """
    alive = np.arange(len(purposes))
    for iteration in range(num_iterations):
        now = [(*purposes[agent], iteration) for agent in alive]
        before = {name: np.full(len(alive), np.nan) for name in (AGREEMENT[0], *COSTS)}
        if iteration in agreement_at:
            before[AGREEMENT[0]] = half_cosine(environment, state, settings, now)
        if iteration in costs_at:
            before |= control_costs(environment, state, settings, now)
        state, found = train_iteration(environment, state, settings, now, iteration)
        records = {name: np.full(len(purposes), np.nan) for name in (*found, *before)}
        for name, numbers in (found | before).items():
            records[name][alive] = numbers
        sound = is_sound(found)
        alive = alive[sound]
        yield np.isin(np.arange(len(purposes)), alive), records
        if not len(alive):
            return
        if not sound.all():
            state = stack_agents([state.agent(int(k)) for k in np.flatnonzero(sound)])


def half_cosine(
    environment: Environment, state: AgentState, settings: Settings, purposes: list[Purpose]
) -> Float[np.ndarray, " agent"]:
    """Cosine between the policy gradients (Eqs. 1, 15) of the first and the second half of an iteration's pairs.

    The pairs are those that the iteration trains on, sampled once more with the same random numbers. Each half is a
    separate batch, with advantages cut and normalised there, so the halves share no pair. But the second half starts
    within the last episode of the first, so their states are not fully independent.

    Args:
        environment: The task.
        state: The agents before the iteration.
        settings: T, normalisation.
        purposes: Purpose of each agent's random numbers, iteration included.
    """
    rollout, _ = collect(environment, state, settings, purposes)
    seen = see_iteration(rollout, state, settings)
    net = make_policy(settings, seen.obs.shape[2], seen.act.shape[2])
    grads = []
    for half in halves(seen):
        batch = group_streams(make_batch(half, settings), settings.envs)
        weights = normalise_advantage(batch.adv).unsqueeze(-1)
        total = torch.zeros(len(purposes), net.num_params, dtype=torch.float64)
        for agent in range(len(purposes)):
            one = slice(agent, agent + 1)
            for start in range(0, batch.num_pairs, PIECE):
                rows = slice(start, start + PIECE)
                sums = score_sums(
                    state.theta[one], net, batch.obs[one, rows], batch.act[one, rows], weights[one, rows]
                )
                total[agent] += sums[0, 0].double()
        grads.append(total)
    return torch.nn.functional.cosine_similarity(*grads, dim=1).numpy()


def control_costs(
    environment: Environment, state: AgentState, settings: Settings, purposes: list[Purpose]
) -> dict[str, Float[np.ndarray, " agent"]]:
    """Mean control cost w·Σᵢ aᵢ² over an iteration's pairs, of actions as drawn and of those clipped to their bounds.

    The pairs are those that the iteration is about to train on, sampled once more from the same random numbers. The
    weight w is the environment's own. Which of the two the environment charges depends on its `clip_actions`
    (docs/deviations.md).

    Args:
        environment: The task, one of Gymnasium's with a control cost.
        state: The agents before the iteration.
        settings: T, normalisation.
        purposes: What each agent's random numbers are for, iteration included.

    Raises:
        UserError: The environment has no control cost.
    """
    with closing(make_env(environment)) as env:
        weight, space = getattr(env.unwrapped, "_ctrl_cost_weight", None), env.action_space
    if weight is None:
        raise UserError(
            f"environment '{environment.id}' has no weight of a control cost (`_ctrl_cost_weight`), so the study "
            "clipping has no question for it; name other tasks in clipping.tasks"
        )
    act = collect(environment, state, settings, purposes)[0].act
    act = act.reshape(-1, act.shape[-1])
    costs = {}
    for name, is_clipped in zip(COSTS, (False, True), strict=True):
        squares = np.square(Bound(space, is_clipped)(act), dtype=np.float64).reshape(len(purposes), -1)
        costs[name] = weight * squares.mean(1) * act.shape[-1]
    return costs


def halves(seen: Seen) -> tuple[Seen, Seen]:
    """The first and second half of every stream, each as a batch that is cut at its end."""
    middle = seen.rew.shape[1] // 2
    return seen.piece(slice(0, middle)), seen.piece(slice(middle, None))
