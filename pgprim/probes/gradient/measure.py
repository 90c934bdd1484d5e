"""Gradient estimates from a pool of streams: Figs. 1, 2, 9, 10 and the gradient noise scale.

Each stream gives one estimate per budget N up to its length L: Eq. 1 on its first N pairs, with advantages cut and
normalised there. For larger budgets, streams are joined. An estimate is compared to the "true" gradient of all
streams that share no pair with it (`core.pool`). Each stream is read once, and only sums over its pairs are kept
(`core.prefix_sums`), whatever its length. Streams that are not stored are simulated here and not saved.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from tqdm import tqdm

from pgprim.core.intervals import Interval
from pgprim.core.mlp import MLP
from pgprim.core.pool import (
    Batches,
    Pool,
    Products,
    joined_pool,
    pool_agreement,
    pool_truth,
    prefix_pool,
    sum_products,
)
from pgprim.core.prefix_sums import PrefixSums, append, batch_gradient, no_pairs, revalue, trace_weights
from pgprim.core.scores import score_sums
from pgprim.experience.rollout import sample_pool
from pgprim.experience.seen import ROWS, Seen, advantages, cut_gain, see
from pgprim.rl.algorithms import make_settings
from pgprim.rl.networks import make_policy
from pgprim.store.files import Pieces, Scratch
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import agent_of, label, stack
from pgprim.store.rollouts import RolloutReader
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.levels import LEVEL
from pgprim.types.rollouts import Finals, Rollout
from pgprim.types.sample import budgets_of, stream_pairs

BLOCK = 2048
"""Pairs of a stream that are worked on at a time. Fixed, because it decides how sums are rounded."""

GROUP = 25
"""Streams that are worked on at a time, and that a killed run loses at most: enough for the overhead of a simulator's step
to be small. Fixed, because it decides how values are rounded."""

VECTORS = {
    "score_sum": ("Σ s, the score summed over the pairs of a stream", "1"),
    "score_adv_sum": ("Σ s·A, the score times the advantage summed over the pairs of a stream", "1"),
    "adv_sum": ("Σ A, the advantage summed over the pairs of a stream", "1"),
    "adv_sq_sum": ("Σ A², the squared advantage summed over the pairs of a stream", "1"),
    "stream": ("stream of the pool", "1"),
}
"""Long name and unit of what is kept of the streams in full length; n is the attribute `stream_pairs`."""

GRADIENTS = {
    "grad": ("policy gradient estimate, Eqs. 1 and 15", "1"),
    "grad_true": ("policy gradient of all streams, Eqs. 1 and 15", "1"),
}
"""Long name and unit of single gradients."""

ESTIMATES = {
    "cosine": ("mean pairwise cosine of the estimates", "1"),
    "truth_cosine_trial": ("cosine of an estimate to the true gradient of all other streams", "1"),
    "truth_cosine": ("mean cosine to the true gradient", "1"),
    "truth_cosine_corrected": ("mean cosine to the true gradient, corrected for the truth's noise", "1"),
    "truth_reliability": ("share of signal in the true gradient's squared norm", "1"),
    "cosine_excess": ("mean pairwise cosine less the squared mean cosine to the truth, never below 0", "1"),
    "norm": ("norm of an estimate", "1"),
    "noise_scale": ("gradient noise scale tr Σ / |G|²", "pairs"),
    "noise_scale_episodes": ("gradient noise scale tr Σ / |G|² in trajectories", "trajectories"),
    "num_trials": ("estimates of the budget", "1"),
    "truth_noise_scale": ("gradient noise scale tr Σ / |G|², from the streams in full length", "pairs"),
    "truth_norm": ("norm of the gradient of all streams", "1"),
    "truth_pairs": ("state-action pairs of the pool", "pairs"),
    "mean_episode_length": ("mean length of the completed episodes", "pairs"),
    "mean_return": ("mean undiscounted raw return of the completed episodes", "reward"),
}
"""Long name and unit of what the figures read. Where streams are joined, the trials that there are not are NaN."""

BUDGET_DIMS = {"truth_cosine_trial": ("budget", "trial"), "norm": ("budget", "trial")}


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: the sums over whole streams, and the numbers that the figures read.

    Args:
        inputs: A checkpoint, its rollouts, and the parameters of its pool.
        params: `budgets`; those with too few estimates from the pool are skipped.
    """
    checkpoint, sample = inputs.checkpoint, inputs.sample
    length = stream_pairs(sample, checkpoint.seed)
    budgets = budgets_of(sample, length, params["budgets"])
    sums = collect_sums(checkpoint, inputs.rollouts, sample["streams"], length, budgets, inputs.pieces)
    return Measured(compare(checkpoint, sums, budgets, LEVEL), _label_sums(checkpoint, sums))


def measure_kept(inputs: Inputs, params: dict) -> Measured:
    """The same from the rollouts alone, with the gradients of every stream and budget and of all streams together.

    Args:
        inputs: A checkpoint and its rollouts.
        params: `budgets`; those beyond the length of a stream are skipped.
    """
    checkpoint, rollouts = inputs.checkpoint, inputs.rollouts
    length = rollouts.num_pairs
    budgets = [n for n in params["budgets"] if n <= length]
    sums = collect_sums(checkpoint, rollouts, rollouts.num_streams, length, budgets, Scratch())
    grads = np.stack([_gradients(*sums.until(budget)) for budget in budgets])
    batches, vectors = sums.until(length)
    union = Batches(*(getattr(batches, field.name).sum(keepdims=True) for field in fields(Batches)))
    variables = {
        "grad": (("budget", "trial", "param"), grads),
        "grad_true": (("param",), _gradients(union, vectors.sum(0, keepdims=True))[0]),
    }
    coords = {"budget": budgets, "trial": range(rollouts.num_streams)}
    numbers = compare(checkpoint, sums, budgets, LEVEL)
    return Measured(numbers, label(variables, GRADIENTS, coords, agent_of(checkpoint)))


@dataclass(frozen=True)
class PoolSums:
    """Sums over the first N pairs of every stream of a pool, read group by group and N by N.

    Attributes:
        pieces: The finished pieces, which hold the sums.
        groups: The streams of each group.
        length: L, pairs per stream.
    """

    pieces: Pieces | Scratch
    groups: Sequence[slice]
    length: int

    def until(self, budget: int) -> tuple[Batches, Float[np.ndarray, "stream 2 param"]]:
        """n, Σ A and Σ A², and [Σ s·A, Σ s], over the first N pairs of each stream.

        Args:
            budget: N, one of the edges for which sums were collected.
        """
        parts = [self.pieces.load(_name(group, budget)) for group in self.groups]
        adv, adv_sq, sums = (
            np.concatenate([part[name] for part in parts]) for name in ("adv", "adv_sq", "sums")
        )
        return Batches(np.full(len(adv), float(budget)), adv, adv_sq), sums

    def means(self) -> dict[str, float]:
        """Mean length and return of the completed episodes; NaN without any."""
        tallies = [self.pieces.load(_name(group)) for group in self.groups]
        episodes, pairs, reward = (
            sum(float(tally[name]) for tally in tallies) for name in ("episodes", "pairs", "reward")
        )
        count = episodes or np.nan
        return {"mean_episode_length": pairs / count, "mean_return": reward / count}


def collect_sums(
    checkpoint: Checkpoint,
    rollouts: RolloutReader,
    num_streams: int,
    num_pairs: int,
    budgets: list[int],
    pieces: Pieces | Scratch,
) -> PoolSums:
    """Sums over the first N pairs of each stream of a pool, for every budget N ≤ L and for L.

    Args:
        checkpoint: The agent.
        rollouts: Streams of the pool that are stored, the first ones.
        num_streams: S.
        num_pairs: L, pairs per stream.
        budgets: In ascending order; those above L are skipped.
        pieces: Finished groups of an earlier run; receives the others.
    """
    net = make_policy(make_settings(checkpoint.settings), checkpoint.num_obs, checkpoint.num_act)
    edges = sorted({num_pairs, *(n for n in budgets if n <= num_pairs)})
    groups = [slice(k, min(k + GROUP, num_streams)) for k in range(0, num_streams, GROUP)]
    desc = f"estimate {checkpoint.task} {checkpoint.algo} {checkpoint.seed} {checkpoint.iteration}"
    missing = [group for group in groups if pieces.load(_name(group)) is None]
    total = sum(group.stop - group.start for group in missing) * num_pairs
    with tqdm(total=total, desc=desc, unit="pair", unit_scale=True, mininterval=5) as progress:
        for group in missing:
            tally = _Tally()
            blocks = tally.count(pool_blocks(checkpoint, rollouts, group, num_pairs), progress)
            for sums in prefix_sums(checkpoint, net, see(checkpoint, blocks), group, edges):
                vectors = np.stack([sums.score_adv.numpy(), sums.score.numpy()], axis=1)
                arrays = {"adv": sums.adv, "adv_sq": sums.adv_sq, "sums": vectors}
                pieces.save(_name(group, sums.num_pairs), arrays)
            pieces.save(_name(group), {name: np.array(value) for name, value in vars(tally).items()})
    return PoolSums(pieces, groups, num_pairs)


def pool_blocks(
    checkpoint: Checkpoint, rollouts: RolloutReader, streams: slice, num_pairs: int
) -> Iterator[Rollout]:
    """Pairs of some streams of a pool, read from the store if it has whole streams, else simulated with the same bits.

    Args:
        checkpoint: The agent.
        rollouts: Streams of the pool that are stored, the first ones.
        streams: Which streams, by their numbers in the pool.
        num_pairs: L, pairs per stream.
    """
    num_stored = rollouts.num_streams if rollouts.num_pairs == num_pairs else 0
    middle = min(max(num_stored, streams.start), streams.stop)
    parts = []
    if streams.start < middle:
        parts.append(rollouts.blocks(slice(streams.start, middle), size=BLOCK))
    if middle < streams.stop:
        parts.append(sample_pool(checkpoint, slice(middle, streams.stop), num_pairs, BLOCK))
    return map(_side_by_side, zip(*parts, strict=True))


def _side_by_side(blocks: tuple[Rollout, ...]) -> Rollout:
    """Join blocks of several sets of streams into one."""
    if len(blocks) == 1:
        return blocks[0]
    arrays = {
        field.name: np.concatenate([getattr(block, field.name) for block in blocks])
        for field in fields(Rollout)
        if field.name not in ("start", "finals")
    }
    firsts = np.cumsum([0, *(len(block.rew) for block in blocks[:-1])], dtype=np.int32)
    stream = np.concatenate(
        [block.finals.stream + first for block, first in zip(blocks, firsts, strict=True)]
    )
    t, obs = (np.concatenate([getattr(block.finals, name) for block in blocks]) for name in ("t", "obs"))
    return Rollout(blocks[0].start, **arrays, finals=Finals(stream, t, obs))


def prefix_sums(
    checkpoint: Checkpoint, net: MLP, seen: Iterator[Seen], streams: slice, edges: list[int]
) -> Iterator[PrefixSums]:
    """The sums over the first N pairs of some streams, for every edge N.

    Args:
        checkpoint: The agent.
        net: Shape of its policy.
        seen: The streams' pairs in order of time, past the last edge if the streams continue.
        streams: Which streams they are.
        edges: N in ascending order.
    """
    settings = make_settings(checkpoint.settings)
    sums = no_pairs(streams.stop - streams.start, net.num_params)
    for block in seen:
        stops = sorted(
            {edge - block.start for edge in edges if block.start < edge <= block.start + block.val.shape[1]}
        )
        if edges[-1] > block.start + block.val.shape[1]:
            stops = sorted({*stops, block.val.shape[1]})
        for start, stop in zip([0, *stops], stops, strict=False):
            sums = _append(sums, checkpoint.state.theta, net, block.piece(slice(start, stop)), settings)
            if sums.num_pairs in edges:
                yield revalue(sums, cut_gain(block, stop - 1, settings))


def compare(checkpoint: Checkpoint, sums: PoolSums, budgets: list[int], level: float) -> xr.Dataset:
    """Cosines, norms, noise scales and intervals, from sums alone, one budget after the other.

    Args:
        checkpoint: The agent.
        sums: Of its pool.
        budgets: N in ascending order: those of the sums, and multiples of the streams' length.
        level: Nominal coverage of the intervals.
    """
    full, full_sums = sums.until(sums.length)
    among_full = sum_products(full_sums, full_sums)
    means = sums.means()
    rows = [
        _describe(_pool(sums, budget, full, full_sums, among_full), len(full_sums), means, level)
        for budget in budgets
    ]
    variables = {name: (BUDGET_DIMS.get(name, ("budget",)), values) for name, values in stack(rows).items()}
    single = pool_truth(full, among_full, level) | means | {"truth_pairs": len(full_sums) * sums.length}
    variables |= {name: ((), value) for name, value in single.items()}
    coords = {"budget": budgets, "trial": range(len(full_sums))}
    return label(variables, ESTIMATES, coords, {"level": level}, agent_of(checkpoint))


def _pool(
    sums: PoolSums,
    budget: int,
    full: Batches,
    full_sums: Float[np.ndarray, "stream 2 param"],
    among_full: Products,
) -> Pool:
    if budget > sums.length:
        return joined_pool(full, among_full, budget // sums.length)
    trials, prefix = sums.until(budget)
    return prefix_pool(trials, full, prefix, full_sums, among_full)


def _describe(pool: Pool, num_streams: int, means: dict[str, float], level: float) -> dict[str, object]:
    """The numbers of one budget, padded with NaN to one trial per stream."""
    numbers = pool_agreement(pool, level)
    del numbers["pairwise_cosine"]  # a hundred trials have thousands of pairs, which no figure shows
    num_trials = len(numbers["norm"])
    for name in BUDGET_DIMS:
        numbers[name] = np.pad(numbers[name], (0, num_streams - num_trials), constant_values=np.nan)
    in_episodes = Interval(*(value / means["mean_episode_length"] for value in numbers["noise_scale"]))
    return numbers | {"noise_scale_episodes": in_episodes, "num_trials": float(num_trials)}


def _gradients(
    batches: Batches, sums: Float[np.ndarray, "batch 2 param"]
) -> Float[np.ndarray, "batch param"]:
    """The batch-normalised gradients of some sums, in single precision."""
    score_adv, score = sums[:, 0], sums[:, 1]
    return batch_gradient(batches.num_pairs, score, score_adv, batches.adv, batches.adv_sq).astype(np.float32)


def _label_sums(checkpoint: Checkpoint, sums: PoolSums) -> xr.Dataset:
    """The sums over whole streams, vectors in single precision."""
    net = make_policy(make_settings(checkpoint.settings), checkpoint.num_obs, checkpoint.num_act)
    batches, vectors = sums.until(sums.length)
    variables = {
        "score_sum": (("stream", "param"), vectors[:, 1].astype(np.float32)),
        "score_adv_sum": (("stream", "param"), vectors[:, 0].astype(np.float32)),
        "adv_sum": (("stream",), batches.adv),
        "adv_sq_sum": (("stream",), batches.adv_sq),
    }
    names = [name for name, _ in net.layout]
    sizes = [int(np.prod(shape)) for _, shape in net.layout]
    tensor = (
        "param",
        np.repeat(np.arange(len(names), dtype=np.int8), sizes),
        {
            "long_name": "array of the policy that the parameter is in, by rows",
            "flag_values": list(range(len(names))),
            "flag_meanings": " ".join(names),
        },
    )
    attrs = agent_of(checkpoint) | {"stream_pairs": sums.length}
    labelled = label(variables, VECTORS, {"stream": range(len(vectors))}, attrs)
    return labelled.assign_coords(tensor=tensor)


def _name(group: slice, budget: int | None = None) -> str:
    return f"{group.start}" if budget is None else f"{group.start}-{budget}"


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


@dataclass
class _Tally:
    """Completed episodes, and their pairs and raw rewards."""

    episodes: int = 0
    pairs: int = 0
    reward: float = 0.0

    def count(self, blocks: Iterator[Rollout], progress: tqdm) -> Iterator[Rollout]:
        """Yield blocks unchanged, and count their episodes."""
        begun = gained = np.zeros(())  # pairs and rewards of unfinished episodes
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
