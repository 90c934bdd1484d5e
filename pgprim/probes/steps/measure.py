"""Whole update steps of the algorithms (the paper's footnote to Fig. 1, which has no figure).

A step is θ_new − θ after one iteration's whole update: all minibatches of all epochs of PPO's Adam from the
checkpoint's optimiser state, or TRPO's accepted conjugate gradient step. The first stored streams of the pool are the
trials: each gives one step per budget from its first pairs. The "true" step is the same update from the other stored
streams; the updates from either half of these give its reliability. An update shuffles its pairs in memory, so memory
grows with the budget, and the true step uses no more pairs than fit into `HELD_BYTES`.
"""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from tqdm import tqdm

from pgprim.core.agreement import agreement
from pgprim.core.cosines import cosines, gram
from pgprim.core.intervals import UNKNOWN, Interval
from pgprim.core.reliability import split_half_reliability
from pgprim.experience.seen import join, make_batch, see
from pgprim.experience.train import take_steps
from pgprim.rl.algorithms import make_settings
from pgprim.rl.batch import Batch, as_one_agent, join_agents
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import agent_of, label, stack
from pgprim.store.rollouts import RolloutReader
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.levels import LEVEL

BLOCK = 2048
"""Pairs of a stream that are read at a time."""

GROUP = 10
"""Streams that are read at a time."""

HELD_BYTES = 3 << 27
"""Most that the observations of one batch may take, unless a budget alone needs more; an update takes four times as much."""

FEWEST_TRIALS = 3
"""Fewer steps than these give no interval."""

VECTORS = {
    "step": ("update step", "1"),
    "step_true": ("update step from a large sample", "1"),
    "step_half": ("update steps from either half of the large sample", "1"),
}
"""Long name and unit of what is kept of the steps."""

ESTIMATES = {
    "pairwise_cosine": ("cosine between two update steps", "1"),
    "cosine": ("mean pairwise cosine of the update steps", "1"),
    "truth_cosine_trial": ("cosine of an update step to the step from a large sample", "1"),
    "truth_cosine": ("mean cosine to the step from a large sample", "1"),
    "truth_cosine_corrected": ("mean cosine to the step from a large sample, corrected for its noise", "1"),
    "cosine_excess": ("mean pairwise cosine less the squared mean cosine to the truth, never below 0", "1"),
    "norm": ("norm of an update step", "1"),
    "num_steps": ("trials in which the algorithm took a step", "1"),
    "truth_norm": ("norm of the step from a large sample", "1"),
    "truth_pairs": ("state-action pairs of the large sample", "pairs"),
    "truth_reliability": ("reliability of the step from a large sample, by the cosine of its halves", "1"),
}
"""Long name and unit of what the figures read."""

BUDGET_DIMS = {
    "pairwise_cosine": ("budget", "trial", "trial_b"),
    "truth_cosine_trial": ("budget", "trial"),
    "norm": ("budget", "trial"),
}


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: steps, and the numbers that the figures read.

    Args:
        inputs: A checkpoint and its rollouts.
        params: `budgets`.
    """
    checkpoint, rollouts, num_trials = inputs.checkpoint, inputs.rollouts, inputs.trials
    budgets = params["budgets"]
    name = ("steps", checkpoint.environment.id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    desc = f"steps {checkpoint.task} {checkpoint.algo} {checkpoint.seed} {checkpoint.iteration}"
    num_truth = rollouts.num_streams - num_trials
    held_pairs = HELD_BYTES // (4 * checkpoint.num_obs)
    truth_pairs = min(rollouts.num_pairs, max(held_pairs, budgets[-1]) // num_truth)
    steps = []
    total = num_trials * sum(budgets) + (num_truth + num_truth // 2 * 2) * truth_pairs
    with tqdm(total=total, desc=desc, unit="pair", unit_scale=True, mininterval=5) as progress:
        for budget in budgets:
            rows, group = [], max(1, held_pairs // budget)
            for start in range(0, num_trials, group):
                streams = range(num_trials)[start : start + group]
                batch = read_batch(checkpoint, rollouts, slice(start, start + len(streams)), budget)
                purposes = [(*name, "trial", k, budget) for k in streams]
                rows.append(take_steps(checkpoint, batch, purposes).numpy())
                progress.update(batch.adv.numel())
            steps.append(np.concatenate(rows))
        streams = slice(num_trials, rollouts.num_streams)
        whole = read_batch(checkpoint, rollouts, streams, truth_pairs)
        truth = take_steps(checkpoint, as_one_agent(whole), [(*name, "truth")])[0].numpy()
        progress.update(whole.adv.numel())
        halves = []
        for half in range(2):
            batch = as_one_agent(whole, slice(half * (num_truth // 2), (half + 1) * (num_truth // 2)))
            halves.append(take_steps(checkpoint, batch, [(*name, "truth", half)])[0].numpy())
            progress.update(batch.adv.numel())
    variables = {
        "step": (("budget", "trial", "param"), np.stack(steps)),
        "step_true": (("param",), truth),
        "step_half": (("half", "param"), np.stack(halves)),
    }
    coords, attrs = {"budget": budgets, "trial": range(num_trials)}, {"truth_pairs": whole.adv.numel()}
    vectors = label(variables, VECTORS, coords, agent_of(checkpoint) | attrs)
    return Measured(compare(checkpoint, vectors, LEVEL), vectors)


def read_batch(checkpoint: Checkpoint, rollouts: RolloutReader, streams: slice, num_pairs: int) -> Batch:
    """The first pairs of some streams as the updates see them, one agent per stream, advantages cut at the last pair.

    Args:
        checkpoint: The agent that made them; its normalisers stay as they are.
        rollouts: Where they are.
        streams: Which streams.
        num_pairs: Pairs of each.
    """
    settings = make_settings(checkpoint.settings)
    groups = [
        slice(start, min(start + GROUP, streams.stop)) for start in range(streams.start, streams.stop, GROUP)
    ]
    # One more pair, with whose value the cut bootstraps.
    parts = [
        make_batch(join(see(checkpoint, rollouts.blocks(group, num_pairs + 1, BLOCK)), num_pairs), settings)
        for group in groups
    ]
    return join_agents(parts)


def compare(checkpoint: Checkpoint, vectors: xr.Dataset, level: float) -> xr.Dataset:
    """Cosines, norms and intervals of the steps. Trials whose update did not change θ have no direction: NaN.

    Args:
        checkpoint: The agent.
        vectors: `step`, `step_true` and `step_half`.
        level: Nominal coverage of the intervals.
    """
    truth = vectors.step_true.values
    trusted = split_half_reliability(cosines(gram(vectors.step_half.values))[0, 1])
    rows = [_compare_budget(steps, truth, trusted, level) for steps in vectors.step.values]
    variables = {name: (BUDGET_DIMS.get(name, ("budget",)), values) for name, values in stack(rows).items()}
    variables["truth_norm"] = ((), np.linalg.norm(truth.astype(np.float64)))
    variables["truth_pairs"] = ((), vectors.attrs["truth_pairs"])
    variables["truth_reliability"] = ((), trusted)
    trials = range(vectors.sizes["trial"])
    coords = {"budget": vectors.budget.values, "trial": trials, "trial_b": trials}
    return label(variables, ESTIMATES, coords, {"level": level}, agent_of(checkpoint))


def _compare_budget(
    steps: Float[np.ndarray, "trial param"], truth: Float[np.ndarray, " param"], trusted: float, level: float
) -> dict[str, Any]:
    taken = steps.any(1)
    if taken.sum() >= FEWEST_TRIALS:
        numbers = agreement(steps[taken], truth, trusted, level)
    else:
        numbers = agreement(np.eye(FEWEST_TRIALS), np.ones(FEWEST_TRIALS), 1.0, level)
        numbers = {
            name: UNKNOWN if isinstance(value, Interval) else np.nan for name, value in numbers.items()
        }
    matrix = cosines(gram(np.vstack([steps, truth])))
    return numbers | {
        "pairwise_cosine": matrix[:-1, :-1],
        "truth_cosine_trial": matrix[:-1, -1],
        "norm": np.linalg.norm(steps.astype(np.float64), axis=1),
        "num_steps": float(taken.sum()),
    }
