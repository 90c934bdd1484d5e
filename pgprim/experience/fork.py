"""Forks: several independent continuations of a stream from the same simulator state.

Two returns from one state have the same mean V^π(s) and independent noise. With them, a value network's error can be
separated from the noise of the returns that it is compared to.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields

import numpy as np

from pgprim.core.seeding import derive_seed, generator
from pgprim.experience.rollout import Purpose, frozen_policies, step_streams
from pgprim.rl.streams import make_streams
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.rollouts import Finals, Rollout

STREAMS = 64
"""Continuations that run side by side, of as many states as that allows: wide products, and 50 MB of a Humanoid's."""


@dataclass(frozen=True)
class Fork:
    """One state of a stream and its continuations.

    Attributes:
        t: Time in the stream.
        elapsed: Pairs of the same episode before it.
        branches: Continuations, one per row, that begin at this state and have no time limit. After its end, a branch
            repeats `terminated` for the rest of its row, and everything else is zero. `finals` holds the final
            observations of branches that did not end.
    """

    t: int
    elapsed: int
    branches: Rollout


def fork_stream(
    checkpoint: Checkpoint,
    positions: Sequence[int],
    num_branches: int,
    num_pairs: int,
    purpose: Purpose | None = None,
) -> Iterator[Fork]:
    """Run a checkpoint's frozen policy in one stream, and fork it several times at some of its states.

    The stream is an unbroken sequence of episodes with the task's time limit. A branch starts from the simulator
    state of the stream and has its own random numbers, for the simulator and for the policy's noise. So it does not
    depend on the number of branches or on the other positions.

    Args:
        checkpoint: The agent.
        positions: Times in the stream, ascending.
        num_branches: Continuations of each of these states.
        num_pairs: Pairs of each continuation, fewer if the task ends the episode.
        purpose: Purpose of the stream's random numbers, by default its own. With the purpose of a stream that another
            probe runs, it is the same stream, bit for bit.

    Yields:
        The forked states, in order of time.

    Raises:
        UserError: The environment fails, or truncates an episode other than by its time limit.
    """
    environment, policies = checkpoint.environment, frozen_policies(checkpoint)
    own = ("floor", environment.id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    purpose = own if purpose is None else purpose
    alone = frozen_policies(checkpoint, checkpoint.state.theta.numpy())  # one stream, so one row to a product
    states, elapsed = [], [0]
    with closing(make_streams(environment, [derive_seed(*purpose, "env")])) as streams:
        # One pair after the last position, so that no position is the end of the run.
        edges = [*positions, positions[-1] + 1]
        noises = [generator(*purpose, "noise")]
        blocks = step_streams(environment, streams, streams.reset(), alone, noises, edges, is_exact=True)
        for _, block in zip(positions, blocks, strict=False):
            states.append(streams.save(0))
            ends = np.flatnonzero(block.ended[0])
            num_new = block.rew.shape[1]
            elapsed.append(num_new - 1 - ends[-1] if len(ends) else elapsed[-1] + num_new)
    together = max(1, STREAMS // num_branches)
    for first in range(0, len(positions), together):
        times = positions[first : first + together]
        names = [(t, branch) for t in times for branch in range(num_branches)]
        starts = [state for state in states[first : first + together] for _ in range(num_branches)]
        rngs = [generator(*purpose, "branch env", *name) for name in names]
        noises = [generator(*purpose, "branch noise", *name) for name in names]
        with closing(make_streams(environment, [0] * len(names), is_limited=False)) as streams:
            raw = streams.restore(starts, rngs)
            (rollout,) = step_streams(
                environment, streams, raw, policies, noises, [num_pairs], is_single_episode=True
            )
        for k, t in enumerate(times):
            rows = slice(k * num_branches, (k + 1) * num_branches)
            yield Fork(t, int(elapsed[1 + first + k]), _rows(rollout, rows))


def _rows(rollout: Rollout, rows: slice) -> Rollout:
    """Some streams of a rollout."""
    finals = rollout.finals
    own = (finals.stream >= rows.start) & (finals.stream < rows.stop)
    ends = Finals(finals.stream[own] - np.int32(rows.start), finals.t[own], finals.obs[own])
    arrays = {
        field.name: getattr(rollout, field.name)[rows]
        for field in fields(Rollout)
        if field.name not in ("start", "finals")
    }
    return Rollout(start=rollout.start, finals=ends, **arrays)
