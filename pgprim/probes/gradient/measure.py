"""Gradient estimates from stored rollouts: Figs. 1, 2, 9, 10 and the gradient noise scale.

Each trial stream gives one estimate per budget N, Eq. 1 on its first N pairs with the advantages cut and normalised
there; all truth streams together give the "true" gradient. One pass over the rollouts, memory independent of their
length, and everything is derived from sums that are kept (`core.prefix_sums`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from tqdm import tqdm

from pgprim.core.agreement import agreement
from pgprim.core.cosines import gram
from pgprim.core.mlp import MLP
from pgprim.core.noise_scale import noise_scale
from pgprim.core.prefix_sums import (
    PrefixSums,
    advantage_moments,
    append,
    batch_gradient,
    centred_scores,
    no_pairs,
    revalue,
    trace_weights,
)
from pgprim.core.reliability import reliability
from pgprim.core.scores import score_sums
from pgprim.experience.seen import ROWS, Seen, advantages, cut_gain, see
from pgprim.rl.algorithms import make_settings
from pgprim.rl.networks import make_policy
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import agent_of, label, stack
from pgprim.store.rollouts import RolloutReader
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.levels import LEVEL
from pgprim.types.rollouts import Rollout

BLOCK = 2048
"""Pairs of a stream that are worked on at a time. Fixed, because it decides how sums are rounded."""

GROUP = 10
"""Streams that are worked on at a time: few, so that their sums stay in the processor's cache."""

SUMS = {
    "score_sum": ("Σ s, the score summed over the pairs", "1"),
    "score_adv_sum": ("Σ s·A, the score times the advantage summed over the pairs", "1"),
    "adv_sum": ("Σ A, the advantage summed over the pairs", "1"),
    "adv_sq_sum": ("Σ A², the squared advantage summed over the pairs", "1"),
}
"""Long name and unit of what is kept of the pairs; n is the budget."""

ESTIMATES = {
    "pairwise_cosine": ("cosine between two estimates", "1"),
    "cosine": ("mean pairwise cosine of the estimates", "1"),
    "truth_cosine_trial": ("cosine of an estimate to the true gradient", "1"),
    "truth_cosine": ("mean cosine to the true gradient", "1"),
    "truth_cosine_corrected": ("mean cosine to the true gradient, corrected for the truth's noise", "1"),
    "cosine_excess": ("mean pairwise cosine less the squared mean cosine to the truth, never below 0", "1"),
    "norm": ("norm of an estimate", "1"),
    "noise_scale": ("gradient noise scale tr Σ / |G|²", "pairs"),
    "noise_scale_episodes": ("gradient noise scale tr Σ / |G|² in trajectories", "trajectories"),
    "truth_noise_scale": ("gradient noise scale tr Σ / |G|², from the truth's streams", "pairs"),
    "truth_norm": ("norm of the true gradient", "1"),
    "truth_pairs": ("state-action pairs of the true gradient", "pairs"),
    "truth_reliability": ("share of signal in the true gradient's squared norm", "1"),
    "mean_episode_length": ("mean length of the completed episodes", "pairs"),
    "mean_return": ("mean undiscounted raw return of the completed episodes", "reward"),
}
"""Long name and unit of what the figures read."""

BUDGET_DIMS = {
    "pairwise_cosine": ("budget", "trial", "trial_b"),
    "truth_cosine_trial": ("budget", "trial"),
    "norm": ("budget", "trial"),
}


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: gradients with their sums, and the numbers the figures read.

    Args:
        inputs: A checkpoint and its rollouts.
        params: `budgets`.
    """
    gradients = add_gradients(
        collect_sums(inputs.checkpoint, inputs.rollouts, params["budgets"], inputs.trials)
    )
    return Measured(compare(inputs.checkpoint, gradients, LEVEL), gradients)


def collect_sums(
    checkpoint: Checkpoint, rollouts: RolloutReader, budgets: list[int], num_trials: int
) -> xr.Dataset:
    """Sums over the first N pairs of each trial stream for every budget N, and over each truth stream.

    Args:
        checkpoint: The agent that made the rollouts.
        rollouts: Trial streams first, then truth streams.
        budgets: N in ascending order.
        num_trials: Number of trial streams.
    """
    num_pairs, num_truth = rollouts.num_pairs, rollouts.num_streams - num_trials
    net = make_policy(make_settings(checkpoint.settings), checkpoint.num_obs, checkpoint.num_act)
    tally = _Tally()
    parts: dict[str, list[tuple[slice, dict[int, PrefixSums]]]] = {"trial": [], "stream": []}
    total = num_trials * min(budgets[-1] + 1, num_pairs) + num_truth * num_pairs
    desc = f"estimate {checkpoint.task} {checkpoint.algo} {checkpoint.seed} {checkpoint.iteration}"
    with tqdm(total=total, desc=desc, unit="pair", unit_scale=True, mininterval=5) as progress:
        for kind, first, last, edges in (
            ("trial", 0, num_trials, budgets),
            ("stream", num_trials, rollouts.num_streams, [num_pairs]),
        ):
            for start in range(first, last, GROUP):
                streams = slice(start, min(start + GROUP, last))
                # One pair more than the largest budget, whose value the cut bootstraps with.
                blocks = tally.count(rollouts.blocks(streams, edges[-1] + 1, BLOCK), progress)
                sums = prefix_sums(checkpoint, net, see(checkpoint, blocks), streams, edges)
                parts[kind].append((streams, sums))
    trials = _stack(parts["trial"], budgets, ("budget", "trial"))
    truth = _stack(parts["stream"], [num_pairs], ("budget", "stream"))
    variables = trials | {f"truth_{name}": (dims[1:], values[0]) for name, (dims, values) in truth.items()}
    names = [name for name, _ in net.layout]
    sizes = [int(np.prod(shape)) for _, shape in net.layout]
    coords = {
        "budget": budgets,
        "trial": range(num_trials),
        "stream": range(num_trials, rollouts.num_streams),
    }
    tensor = (
        "param",
        np.repeat(np.arange(len(names), dtype=np.int8), sizes),
        {
            "long_name": "array of the policy that the parameter is in, by rows",
            "flag_values": list(range(len(names))),
            "flag_meanings": " ".join(names),
        },
    )
    attrs = {"truth_pairs": num_truth * num_pairs} | tally.means()
    described = SUMS | {f"truth_{name}": words for name, words in SUMS.items()}
    return label(variables, described, coords, agent_of(checkpoint) | attrs).assign_coords(tensor=tensor)


def prefix_sums(
    checkpoint: Checkpoint, net: MLP, seen: Iterator[Seen], streams: slice, edges: list[int]
) -> dict[int, PrefixSums]:
    """The sums over the first N pairs of some streams, for every edge N.

    Args:
        checkpoint: The agent.
        net: Shape of its policy.
        seen: The streams' pairs in the order of time, beyond the last edge if the streams go on.
        streams: Which streams they are.
        edges: N in ascending order.
    """
    settings = make_settings(checkpoint.settings)
    sums = no_pairs(streams.stop - streams.start, net.num_params)
    found = {}
    for block in seen:
        stops = sorted(
            {edge - block.start for edge in edges if block.start < edge <= block.start + block.val.shape[1]}
        )
        if edges[-1] > block.start + block.val.shape[1]:
            stops = sorted({*stops, block.val.shape[1]})
        for start, stop in zip([0, *stops], stops, strict=False):
            piece = slice(start, stop)
            sums = _append(sums, checkpoint.state.theta, net, block.piece(piece), settings)
            if sums.num_pairs in edges:
                found[sums.num_pairs] = revalue(sums, cut_gain(block, stop - 1, settings))
    return found


def add_gradients(sums: xr.Dataset) -> xr.Dataset:
    """The batch-normalised gradients that the sums stand for: one per budget and trial, and the true one."""
    pairs = np.broadcast_to(sums.budget.values[:, None].astype(np.float64), sums.adv_sum.shape)
    grad = batch_gradient(pairs, *(sums[name].values for name in SUMS))
    union = [sums[f"truth_{name}"].values.sum(0, keepdims=True) for name in SUMS]
    truth = batch_gradient(np.array([float(sums.attrs["truth_pairs"])]), *union)[0]
    return sums.assign(
        grad=(
            ("budget", "trial", "param"),
            grad.astype(np.float32),
            {"long_name": "policy gradient estimate, Eqs. 1 and 15", "units": "1"},
        ),
        grad_true=(
            ("param",),
            truth.astype(np.float32),
            {"long_name": "policy gradient of all truth streams, Eqs. 1 and 15", "units": "1"},
        ),
    )


def stream_gradients(gradients: xr.Dataset) -> Float[np.ndarray, "stream param"]:
    """What each truth stream says by itself: the vectors whose mean is the true gradient, normalised with all."""
    pairs = np.array([float(gradients.attrs["truth_pairs"])])
    adv, adv_sq = (np.array([gradients[f"truth_{name}"].values.sum()]) for name in ("adv_sum", "adv_sq_sum"))
    mean, scale = advantage_moments(pairs, adv, adv_sq)
    centred = centred_scores(gradients.truth_score_sum.values, gradients.truth_score_adv_sum.values, mean)
    return centred * (gradients.sizes["stream"] / (pairs * scale))


def compare(checkpoint: Checkpoint, gradients: xr.Dataset, level: float) -> xr.Dataset:
    """Cosines, norms, noise scales and intervals, from gradients and sums alone.

    Args:
        checkpoint: The agent.
        gradients: From `add_gradients`.
        level: Nominal coverage of the intervals.
    """
    truth = gradients.grad_true.values
    streams = gram(stream_gradients(gradients))
    trusted = reliability(streams, level)
    stream_pairs = gradients.attrs["truth_pairs"] // len(streams)
    length = gradients.attrs["mean_episode_length"]
    rows = [
        agreement(vectors, truth, trusted.value, level)
        | {"noise_scale": noise_scale(gram(vectors), int(budget), level)}
        for budget, vectors in zip(gradients.budget.values, gradients.grad.values, strict=True)
    ]
    for row in rows:
        row["noise_scale_episodes"] = row["noise_scale"].value / length
    variables = {name: (BUDGET_DIMS.get(name, ("budget",)), values) for name, values in stack(rows).items()}
    single = {
        "truth_reliability": trusted,
        "truth_noise_scale": noise_scale(streams, stream_pairs, level),
        "truth_norm": np.linalg.norm(truth.astype(np.float64)),
        "truth_pairs": gradients.attrs["truth_pairs"],
        "mean_episode_length": length,
        "mean_return": gradients.attrs["mean_return"],
    }
    variables |= {name: ((), value) for name, value in single.items()}
    trials = range(gradients.sizes["trial"])
    coords = {"budget": gradients.budget.values, "trial": trials, "trial_b": trials}
    return label(variables, ESTIMATES, coords, {"level": level}, agent_of(checkpoint))


def _append(
    sums: PrefixSums,
    theta: Float[torch.Tensor, "1 param"],
    net: MLP,
    piece: Seen,
    settings: Settings,
) -> PrefixSums:
    factor, ended = settings.gamma * settings.lam, piece.ended
    adv = advantages(piece, settings, cut=False)
    weights = np.stack([np.ones_like(adv), adv, trace_weights(ended, factor)], axis=-1).astype(np.float32)
    weights, obs, act = map(torch.from_numpy, (weights, piece.obs, piece.act))
    few = max(1, ROWS // adv.shape[1])
    scores = [
        score_sums(theta, net, obs[k : k + few], act[k : k + few], weights[k : k + few])
        for k in range(0, len(adv), few)
    ]
    return append(sums, adv, ended, factor, torch.cat(scores))


def _stack(
    parts: list[tuple[slice, dict[int, PrefixSums]]], edges: list[int], dims: tuple[str, str]
) -> dict[str, tuple[tuple[str, ...], Float[np.ndarray, "..."]]]:
    fields = {"score_sum": "score", "score_adv_sum": "score_adv", "adv_sum": "adv", "adv_sq_sum": "adv_sq"}
    stacked = {}
    for name, field in fields.items():
        values = np.stack(
            [
                np.concatenate([np.asarray(getattr(found[edge], field)) for _, found in parts])
                for edge in edges
            ]
        )
        all_dims = (*dims, "param")[: values.ndim]
        stacked[name] = (all_dims, values)
    return stacked


@dataclass
class _Tally:
    """Completed episodes, and the pairs and raw rewards within them."""

    episodes: int = 0
    pairs: int = 0
    reward: float = 0.0

    def count(self, blocks: Iterator[Rollout], progress: tqdm) -> Iterator[Rollout]:
        """The blocks of some streams as they are, counted on the way."""
        begun = gained = np.zeros(())  # pairs and rewards of the episodes that go on
        for block in blocks:
            num_pairs = block.rew.shape[1]
            ended = block.ended
            gains = gained[..., None] + block.rew.cumsum(1)
            some, last = ended.any(1), num_pairs - 1 - ended[:, ::-1].argmax(1)
            complete = np.where(some, gains[np.arange(len(last)), last], 0.0)
            self.episodes += int(ended.sum())
            self.pairs += int(np.where(some, begun + last + 1, 0).sum())
            self.reward += float(complete.sum())
            begun = np.where(some, num_pairs - 1 - last, begun + num_pairs)
            gained = gains[:, -1] - complete
            progress.update(block.rew.size)
            yield block

    def means(self) -> dict[str, float]:
        """Mean length and return; NaN without completed episodes."""
        count = self.episodes or np.nan
        return {"mean_episode_length": self.pairs / count, "mean_return": self.reward / count}
