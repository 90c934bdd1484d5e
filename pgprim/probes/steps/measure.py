"""The update steps that the algorithms really take: the paper's footnote to Fig. 1, for which it shows no figure.

A step is θ_new − θ after one iteration's whole update: all minibatches of all epochs of PPO's Adam from the checkpoint's
optimiser state, or TRPO's accepted conjugate gradient step. Each trial stream gives one step per budget from its first
pairs; the "true" step is the same update from the truth streams, and the same from either half of them tells how far it
is to be trusted. The pairs of a batch must be held to be shuffled, so memory grows with the budget, and the true step
takes no more pairs than fit into `HELD_BYTES`.
"""

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from tqdm import tqdm

from pgprim.core.agreement import agreement
from pgprim.core.returns import gae
from pgprim.core.statistics import cosines, gram, split_half_reliability
from pgprim.experience.appraise import appraise
from pgprim.experience.train import update_policy
from pgprim.rl.algorithms import make_settings
from pgprim.rl.batch import Batch
from pgprim.store.estimates import estimates_dataset
from pgprim.store.rollouts import RolloutReader
from pgprim.types.checkpoint import Checkpoint, stack_agents

BLOCK = 2048
"""Pairs of a stream that are read at a time."""

GROUP = 10
"""Streams that are read at a time."""

HELD_BYTES = 3 << 27
"""Most that the observations of one batch may take, unless a budget alone needs more; an update takes four times as much."""

FEWEST_TRIALS = 3
"""Fewer steps than these give no interval."""

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


def run(checkpoint: Checkpoint, rollouts: RolloutReader, params: dict) -> tuple[xr.Dataset, xr.Dataset]:
    """The probe: steps, and the numbers the figures read.

    Args:
        checkpoint: The agent that made the rollouts.
        rollouts: Trial streams first, then truth streams.
        params: The parameter file.
    """
    settings, num_trials = params["estimate"]["steps"], params["sample"]["trials"]
    budgets = settings["budgets"]
    label = f"steps {checkpoint.task} {checkpoint.algo} {checkpoint.seed} {checkpoint.iteration}"
    num_truth = rollouts.num_streams - num_trials
    held_pairs = HELD_BYTES // (4 * checkpoint.num_obs)
    truth_pairs = min(rollouts.num_pairs, max(held_pairs, budgets[-1]) // num_truth)
    steps = []
    total = num_trials * sum(budgets) + (num_truth + num_truth // 2 * 2) * truth_pairs
    with tqdm(total=total, desc=label, unit="pair", unit_scale=True, mininterval=5) as progress:
        for budget in budgets:
            rows, group = [], max(1, held_pairs // budget)
            for start in range(0, num_trials, group):
                streams = range(num_trials)[start : start + group]
                batch = read_batch(checkpoint, rollouts, slice(start, start + len(streams)), budget)
                rows.append(take_steps(checkpoint, batch, [("trial", k, budget) for k in streams]))
                progress.update(batch.adv.numel())
            steps.append(np.concatenate(rows))
        streams = slice(num_trials, rollouts.num_streams)
        whole = read_batch(checkpoint, rollouts, streams, truth_pairs)
        truth = take_steps(checkpoint, merge(whole), [("truth",)])[0]
        progress.update(whole.adv.numel())
        halves = []
        for half in range(2):
            batch = merge(whole, slice(half * (num_truth // 2), (half + 1) * (num_truth // 2)))
            halves.append(take_steps(checkpoint, batch, [("truth", half)])[0])
            progress.update(batch.adv.numel())
    vectors = xr.Dataset(
        {
            "step": (
                ("budget", "trial", "param"),
                np.stack(steps),
                {"long_name": "update step", "units": "1"},
            ),
            "step_true": (("param",), truth, {"long_name": "update step from a large sample", "units": "1"}),
            "step_half": (
                ("half", "param"),
                np.stack(halves),
                {"long_name": "update steps from either half of the large sample", "units": "1"},
            ),
        },
        {
            "budget": ("budget", budgets, {"long_name": "state-action pairs per update", "units": "pairs"}),
            "trial": ("trial", np.arange(num_trials), {"long_name": "stream of an update"}),
        },
        {"truth_pairs": whole.adv.numel()},
    )
    return vectors, compare(checkpoint, vectors, settings["level"])


def read_batch(checkpoint: Checkpoint, rollouts: RolloutReader, streams: slice, num_pairs: int) -> Batch:
    """The first pairs of some streams as the updates see them, one agent per stream, advantages cut at the last pair.

    Args:
        checkpoint: The agent that made them; its normalisers stay as they are.
        rollouts: Where they are.
        streams: Which streams.
        num_pairs: Pairs of each.
    """
    settings = make_settings(checkpoint.settings)
    shape = (streams.stop - streams.start, num_pairs)
    obs = np.empty((*shape, checkpoint.num_obs), np.float32)
    act = np.empty((*shape, checkpoint.num_act), np.float32)
    rew, val, next_val = np.empty((3, *shape))
    terminated, truncated = np.empty((2, *shape), bool)
    for start in range(0, shape[0], GROUP):
        rows = slice(start, min(start + GROUP, shape[0]))
        some = slice(streams.start + rows.start, streams.start + rows.stop)
        # One pair more, whose value the cut bootstraps with.
        for block in appraise(checkpoint, rollouts.blocks(some, num_pairs + 1, BLOCK)):
            stop = min(block.start + block.val.shape[1], num_pairs)
            here, piece = (rows, slice(block.start, stop)), (slice(None), slice(0, stop - block.start))
            obs[here], act[here] = block.obs[piece].numpy(), block.act[piece].numpy()
            rew[here], val[here], next_val[here] = block.rew[piece], block.val[piece], block.next_val[piece]
            terminated[here], truncated[here] = block.terminated[piece], block.truncated[piece]
    if settings.semantics == "paper":
        next_val[:, -1] = val[:, -1]
    adv = gae(rew, val, next_val, terminated, truncated, settings.gamma, settings.lam)
    arrays = (obs, act, adv.astype(np.float32), (val + adv).astype(np.float32), val.astype(np.float32))
    return Batch(*map(torch.from_numpy, arrays))


def merge(batch: Batch, streams: slice = slice(None)) -> Batch:
    """All pairs of some streams of a batch as one agent's."""
    arrays = (batch.obs, batch.act, batch.adv, batch.target, batch.val_old)
    return Batch(*(array[streams].reshape(1, -1, *array.shape[2:]) for array in arrays))


def take_steps(
    checkpoint: Checkpoint, batch: Batch, purposes: list[tuple[str | int, ...]]
) -> Float[np.ndarray, "agent param"]:
    """θ_new − θ of the update that the checkpoint's next iteration would make from each agent's pairs.

    Args:
        checkpoint: The agent, its optimiser included.
        batch: Pairs.
        purposes: What each agent's random numbers are for, behind the checkpoint's name.
    """
    settings = make_settings(checkpoint.settings)
    name = ("steps", checkpoint.env_id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    state = stack_agents([checkpoint.state] * len(purposes))
    new = update_policy(
        state, batch, settings, [(*name, *purpose) for purpose in purposes], checkpoint.iteration
    )
    return (new.theta - state.theta).numpy()


def compare(checkpoint: Checkpoint, vectors: xr.Dataset, level: float) -> xr.Dataset:
    """Cosines, norms and intervals of the steps. Trials whose update left θ where it was have no direction: NaN.

    Args:
        checkpoint: The agent.
        vectors: `step`, `step_true` and `step_half`.
        level: Nominal coverage of the intervals.
    """
    truth = vectors.step_true.values
    trusted = split_half_reliability(cosines(gram(vectors.step_half.values))[0, 1])
    rows = [_compare_budget(steps, truth, trusted, level) for steps in vectors.step.values]
    variables = {
        name: (BUDGET_DIMS.get(name, ("budget",)), np.stack([row[name] for row in rows])) for name in rows[0]
    }
    variables["truth_norm"] = ((), np.linalg.norm(truth.astype(np.float64)))
    variables["truth_pairs"] = ((), vectors.attrs["truth_pairs"])
    variables["truth_reliability"] = ((), trusted)
    attrs = {"level": level, "env_id": checkpoint.env_id, "semantics": checkpoint.settings["semantics"]}
    budgets, trials = vectors.budget.values.tolist(), vectors.sizes["trial"]
    return estimates_dataset(checkpoint, variables, ESTIMATES, budgets, trials, attrs)


def _compare_budget(
    steps: Float[np.ndarray, "trial param"], truth: Float[np.ndarray, " param"], trusted: float, level: float
) -> dict[str, float | Float[np.ndarray, "..."]]:
    taken = steps.any(1)
    if taken.sum() >= FEWEST_TRIALS:
        found = agreement(steps[taken], truth, trusted, level)
    else:
        found = dict.fromkeys(agreement(np.eye(FEWEST_TRIALS), np.ones(FEWEST_TRIALS), 1.0, level), np.nan)
    matrix = cosines(gram(np.vstack([steps, truth])))
    return found | {
        "pairwise_cosine": matrix[:-1, :-1],
        "truth_cosine_trial": matrix[:-1, -1],
        "norm": np.linalg.norm(steps.astype(np.float64), axis=1),
        "num_steps": float(taken.sum()),
    }
