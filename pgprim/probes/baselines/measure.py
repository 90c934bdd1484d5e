"""What a baseline buys: Fig. 4, bias and variance over λ, and the least variance that any baseline could leave.

The trial streams of a checkpoint give one gradient estimate per budget N for each of three baselines, all from the very
same pairs, through sums that are kept (`core.prefix_sums`):

* `zero`: advantages are returns, A = R, "replacing advantages with returns" as the paper has it (Fig. 4 caption);
* `value`: the agent's V, generalised advantage estimates with the agent's λ, as in training;
* `true`: the same with V* in place of V, values behind cuts included (`probes.baselines.fit`; fitted on the truth streams, so it
  knows nothing of the trials).

A return that a cut or a time limit ends is continued by the agent's V there, as `value` does: what the baselines differ
by is what they subtract and, for `zero`, λ = 1. Agreement of estimates says nothing of their bias: that is what the
second part is for, estimates over a grid of λ on the truth streams, where λ = 1 has no bias but the cut's.

The third part asks for the floor. The variance of a mean of s·(R − b(s)) is, pair by pair, E‖s‖²(R − b)², and b* of
`probes.baselines.fit` makes it least among functions of the state. What V and V* reach of the way from no baseline to b* is
measured on the trial streams. b* is itself a fit to other streams, so that what it leaves lies a little above the floor
and shares are a little too large, by as much as its fit misses.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor
from tqdm import tqdm

from pgprim.core.agreement import with_ends
from pgprim.core.mlp import MLP
from pgprim.core.paired import cosine_difference
from pgprim.core.prefix_sums import PrefixSums, append, batch_gradient, no_pairs, revalue, trace_weights
from pgprim.core.returns import gae, returns_to_go
from pgprim.core.score_norms import squared_score_norms
from pgprim.core.scores import score_sums
from pgprim.core.statistics import Interval, cosines, gram, jackknife, mean_cosine
from pgprim.core.tails import is_settled
from pgprim.core.trade_off import errors_against_unbiased, noise_ratio, signal_to_noise
from pgprim.experience.appraise import ROWS, appraise
from pgprim.probes.baselines.fit import NUMBERS
from pgprim.rl.algorithms import make_settings
from pgprim.rl.networks import make_policy
from pgprim.store.estimates import estimates_dataset
from pgprim.store.rollouts import RolloutReader
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.fit import Fit

BASELINES = ("zero", "value", "true")
DIFFERENCES = (("value", "zero"), ("true", "value"), ("true", "zero"))
SUBTRACTED = (*BASELINES, "optimal")
"""What is subtracted from returns for the floor: b* as well."""

BLOCK = 2048
"""Most pairs of a stream whose sums are taken at a time. Fixed, because it decides how sums are rounded."""

GROUP = 32
"""Streams that are worked on at a time: chunks of narrow arrays hold several, and are unpacked whole each time."""

VECTORS = {
    "grad": "policy gradient estimate, Eqs. 1 and 15",
    "score_sum": "Σ s, the score summed over the pairs",
    "score_adv_sum": "Σ s·A, the score times the advantage summed over the pairs",
    "adv_sum": "Σ A, the advantage summed over the pairs",
    "adv_sq_sum": "Σ A², the squared advantage summed over the pairs",
    "lam_grad": "policy gradient estimate with advantages centred but not scaled, from a truth stream",
    "return_grad": "policy gradient estimate from returns less a baseline, centred but not scaled",
    "residual_sums": "n, Σ e, Σ ‖s‖², Σ ‖s‖² e and Σ ‖s‖² e² over the pairs with settled returns, e = R − b",
}
"""Long names of what is kept of the pairs."""

ESTIMATES = {
    "pairwise_cosine": ("cosine between two estimates", "1"),
    "cosine": ("mean pairwise cosine of the estimates", "1"),
    "cosine_difference": ("difference of mean pairwise cosines", "1"),
    "lam_bias": ("squared bias against λ = 1, in variances of λ = 1", "1"),
    "lam_variance": ("variance, in variances of λ = 1", "1"),
    "lam_error": ("squared error, in variances of λ = 1", "1"),
    "lam_alignment": ("cosine of an estimate to the expected one of λ = 1", "1"),
    "signal": ("squared norm of the expected estimate of λ = 1, in its variances", "1"),
    "pair_variance": ("variance per pair with this baseline, in that without any", "1"),
    "gain_share": ("share of the greatest possible reduction of variance", "1"),
    "return_variance": ("variance of estimates with this baseline and λ = 1, in that without any", "1"),
    **NUMBERS,
}
"""Long name and unit of what the figures read."""

BUDGET_DIMS = {
    "pairwise_cosine": ("baseline", "budget", "trial", "trial_b"),
    "cosine": ("baseline", "budget"),
    "cosine_difference": ("difference", "budget"),
    **dict.fromkeys(("lam_bias", "lam_variance", "lam_error", "lam_alignment"), ("lam",)),
    **dict.fromkeys(("pair_variance", "gain_share", "return_variance"), ("subtracted",)),
}

COORDS = {
    "baseline": "baseline of the advantages",
    "difference": "which baseline's cosine less which",
    "subtracted": "what is subtracted from returns",
    "lam": "λ of the advantages",
}


def run(
    checkpoint: Checkpoint, fit: Fit, rollouts: RolloutReader, params: dict
) -> tuple[xr.Dataset, xr.Dataset]:
    """The probe: gradients with their sums, and the numbers the figures read.

    Args:
        checkpoint: The agent that made the rollouts.
        fit: V* and b* of the checkpoint.
        rollouts: Trial streams first, then truth streams.
        params: The parameter file.
    """
    chosen, trials = params["baselines"], params["sample"]["trials"]
    label = f"baselines {checkpoint.task} {checkpoint.algo} {checkpoint.seed} {checkpoint.iteration}"
    longest = max(chosen["budgets"][-1], chosen["pairs"])
    total = trials * longest + (rollouts.num_streams - trials) * chosen["pairs"]
    with tqdm(total=total, desc=label, unit="pair", unit_scale=True, mininterval=5) as progress:
        vectors = collect(checkpoint, fit, rollouts, chosen, trials, progress)
    return vectors, compare(checkpoint, fit, vectors, chosen["level"])


@dataclass(frozen=True)
class Stretch:
    """The first pairs of some streams as the agent and several value functions see them.

    Attributes:
        obs: Normalised observations.
        act: Actions.
        rew: Rewards as the value network sees them.
        val: Of each value function, V(s).
        next_val: V of the true next observation; what lies behind the last pair is known, too.
        terminated: The episode ended, and what follows is worth nothing.
        truncated: The episode ended, and what follows is worth `next_val`.
    """

    obs: Float32[Tensor, "stream t obs"]
    act: Float32[Tensor, "stream t act"]
    rew: Float64[np.ndarray, "stream t"]
    val: dict[str, Float64[np.ndarray, "stream t"]]
    next_val: dict[str, Float64[np.ndarray, "stream t"]]
    terminated: Bool[np.ndarray, "stream t"]
    truncated: Bool[np.ndarray, "stream t"]

    @property
    def ended(self) -> Bool[np.ndarray, "stream t"]:
        """Whether the episode ended with the pair."""
        return self.terminated | self.truncated


def read_stretch(
    checkpoint: Checkpoint,
    networks: dict[str, Tensor],
    rollouts: RolloutReader,
    streams: slice,
    num_pairs: int,
) -> Stretch:
    """The first pairs of some streams.

    Args:
        checkpoint: The agent that made them.
        networks: Parameters of the value functions by name; the agent's own is `value`.
        rollouts: Where they are.
        streams: Which streams.
        num_pairs: Pairs of each.
    """
    # One pair more, whose value the cut bootstraps with.
    raw, joined = list(rollouts.blocks(streams, num_pairs + 1, BLOCK)), {}
    for name, phi in {"value": checkpoint.state.phi, **networks}.items():
        agent = replace(checkpoint, state=replace(checkpoint.state, phi=phi))
        joined[name] = list(appraise(agent, raw))
    blocks = joined["value"]

    def of(found: list, name: str) -> Float64[np.ndarray, "stream t"] | Bool[np.ndarray, "stream t"]:
        return np.concatenate([getattr(block, name) for block in found], axis=1)[:, :num_pairs]

    return Stretch(
        torch.cat([block.obs for block in blocks], dim=1)[:, :num_pairs],
        torch.cat([block.act for block in blocks], dim=1)[:, :num_pairs],
        of(blocks, "rew"),
        {name: of(found, "val") for name, found in joined.items()},
        {name: of(found, "next_val") for name, found in joined.items()},
        of(blocks, "terminated"),
        of(blocks, "truncated"),
    )


def advantages(
    stretch: Stretch, baseline: str, lam: float, piece: slice, settings: Settings, is_cut: bool = True
) -> Float64[np.ndarray, "stream t"]:
    """A of the pairs of a piece as if nothing came behind it: returns for `zero`, else generalised advantage estimates.

    Args:
        stretch: The pairs.
        baseline: One of `BASELINES`.
        lam: λ; of no meaning for `zero`.
        piece: Which pairs.
        settings: Discount and semantics.
        is_cut: Whether the piece ends where the estimate does, where the released code takes V of the last observation.
    """
    name = "value" if baseline == "zero" else baseline
    val, next_val = stretch.val[name][:, piece], stretch.next_val[name][:, piece]
    if is_cut and settings.semantics == "paper":
        next_val = np.concatenate([next_val[:, :-1], val[:, -1:]], axis=1)
    rew, ends = stretch.rew[:, piece], (stretch.terminated[:, piece], stretch.truncated[:, piece])
    if baseline == "zero":
        return returns_to_go(rew, next_val, *ends, settings.gamma)
    return gae(rew, val, next_val, *ends, settings.gamma, lam)


def weighted_scores(
    theta: Float[Tensor, "1 param"],
    net: MLP,
    stretch: Stretch,
    piece: slice,
    columns: list[Float64[np.ndarray, "stream t"]],
) -> Float64[Tensor, "stream weight param"]:
    """Σ w s over the pairs of a piece, for several weightings w."""
    weights = torch.from_numpy(np.stack(columns, axis=-1).astype(np.float32))
    obs, act = stretch.obs[:, piece], stretch.act[:, piece]
    num_streams, num_pairs, num_weights = weights.shape
    total = torch.zeros(num_streams, num_weights, theta.shape[1], dtype=torch.float64)
    for start in range(0, num_pairs, BLOCK):
        part = slice(start, start + BLOCK)
        few = max(1, ROWS // min(num_pairs, BLOCK))
        for k in range(0, num_streams, few):
            rows = slice(k, k + few)
            total[rows] += score_sums(theta, net, obs[rows, part], act[rows, part], weights[rows, part])
    return total


def prefix_sums(
    theta: Float[Tensor, "1 param"], net: MLP, stretch: Stretch, budgets: list[int], settings: Settings
) -> dict[str, dict[int, PrefixSums]]:
    """Of each baseline and budget N, the sums over the first N pairs with advantages cut there.

    `core.prefix_sums` moves advantages by γλ·A_N when pairs follow, for A_N is the change of what V(s_N) stood for. The
    return that `zero` has in place of A_N still holds V(s_N), which is therefore taken off first.
    """
    factors = {name: settings.gamma * (1.0 if name == "zero" else settings.lam) for name in BASELINES}
    sums = {name: no_pairs(len(stretch.rew), net.num_params) for name in BASELINES}
    found: dict[str, dict[int, PrefixSums]] = {name: {} for name in BASELINES}
    traces = sorted(set(factors.values()))
    for start, stop in pairwise(sorted({0, *budgets, *range(BLOCK, budgets[-1], BLOCK)})):
        piece, ended = slice(start, stop), stretch.ended[:, start:stop]
        advs = {
            name: advantages(stretch, name, settings.lam, piece, settings, is_cut=False) for name in BASELINES
        }
        columns = [np.ones_like(stretch.rew[:, piece]), *advs.values()]
        columns += [trace_weights(ended, factor) for factor in traces]
        scores = weighted_scores(theta, net, stretch, piece, columns)
        for k, name in enumerate(BASELINES):
            if name == "zero":
                sums[name] = revalue(sums[name], -settings.gamma * stretch.val["value"][:, start])
            its = scores[:, [0, 1 + k, 1 + len(BASELINES) + traces.index(factors[name])]]
            sums[name] = append(sums[name], advs[name], ended, factors[name], its)
            if stop in budgets:
                found[name][stop] = _cut(sums[name], stretch, name, stop - 1, settings)
    return found


def centred_gradients(
    theta: Float[Tensor, "1 param"], net: MLP, stretch: Stretch, advs: list[Float64[np.ndarray, "stream t"]]
) -> Float64[np.ndarray, "kind stream param"]:
    """Σ s·(A − mean A)/(n − 1) over all pairs of each stream: without bias for E s·A if pairs were independent.

    Not divided by the deviation of A, unlike Eq. 15: its expectation would then depend on the noise.
    """
    num_pairs = advs[0].shape[1]
    columns = [np.ones_like(advs[0]), *(adv - adv.mean(1, keepdims=True) for adv in advs)]
    scores = weighted_scores(theta, net, stretch, slice(0, num_pairs), columns).numpy()
    return scores[:, 1:].swapaxes(0, 1) / (num_pairs - 1)


def residual_sums(
    theta: Float[Tensor, "1 param"], net: MLP, stretch: Stretch, settings: Settings, beyond: int
) -> Float64[np.ndarray, "subtracted stream sum"]:
    """n, Σ e, Σ w, Σ w e, Σ w e² over pairs with settled returns, with e = R − b(s) and w = ‖s‖².

    Args:
        theta: Parameters of the policy.
        net: Its shape.
        stretch: The pairs.
        settings: Discount.
        beyond: See `core.tails.is_settled`.
    """
    ret = advantages(stretch, "zero", 1.0, slice(0, stretch.rew.shape[1]), settings)
    few = max(1, ROWS // ret.shape[1])
    norms = [
        squared_score_norms(theta, net, stretch.obs[k : k + few], stretch.act[k : k + few])
        for k in range(0, len(ret), few)
    ]
    known = is_settled(stretch.terminated, stretch.truncated, beyond)
    weight = np.where(known, torch.cat(norms).double().numpy(), 0.0)
    rows = []
    for name in SUBTRACTED:
        error = np.where(known, ret - (0.0 if name == "zero" else stretch.val[name]), 0.0)
        rows.append([known, error, weight, weight * error, weight * np.square(error)])
    return np.array([[column.sum(1) for column in row] for row in rows]).swapaxes(1, 2)


def collect(
    checkpoint: Checkpoint, fit: Fit, rollouts: RolloutReader, chosen: dict, num_trials: int, progress: tqdm
) -> xr.Dataset:
    """All vectors and sums of the probe, from one pass over the trial streams and one over the truth streams' beginnings.

    Args:
        checkpoint: The agent that made the rollouts.
        fit: V* and b* of the checkpoint.
        rollouts: Trial streams first, then truth streams.
        chosen: The block `baselines` of the parameter file.
        num_trials: Number of trial streams.
        progress: Told of the pairs that are done.
    """
    settings, theta = make_settings(checkpoint.settings), checkpoint.state.theta
    net = make_policy(settings, checkpoint.num_obs, checkpoint.num_act)
    budgets, num_pairs = chosen["budgets"], chosen["pairs"]
    piece, longest = slice(0, num_pairs), max(budgets[-1], num_pairs)
    sums, residuals, returned = [], [], []
    for streams in _groups(0, num_trials):
        networks = {"true": fit.true, "optimal": fit.optimal}
        stretch = read_stretch(checkpoint, networks, rollouts, streams, longest)
        sums.append(prefix_sums(theta, net, stretch, budgets, settings))
        residuals.append(residual_sums(theta, net, stretch, settings, chosen["fit"]["beyond"]))
        ret = advantages(stretch, "zero", 1.0, piece, settings)
        less = [ret, *(ret - stretch.val[name][:, piece] for name in SUBTRACTED[1:])]
        returned.append(centred_gradients(theta, net, stretch, less))
        progress.update(stretch.rew.size)
    graded = []
    for streams in _groups(num_trials, rollouts.num_streams):
        stretch = read_stretch(checkpoint, {}, rollouts, streams, num_pairs)
        advs = [advantages(stretch, "value", lam, piece, settings) for lam in chosen["lambdas"]]
        graded.append(centred_gradients(theta, net, stretch, advs))
        progress.update(stretch.rew.size)
    return _label(
        sums,
        np.concatenate(residuals, axis=1),
        np.concatenate(returned, axis=1),
        np.concatenate(graded, axis=1),
        chosen,
    )


def compare(checkpoint: Checkpoint, fit: Fit, vectors: xr.Dataset, level: float) -> xr.Dataset:
    """Cosines and their differences, bias and variance over λ, shares of the possible gain; from vectors and sums alone.

    Args:
        checkpoint: The agent.
        fit: V* and b*; of it the numbers that tell how good it is are kept.
        vectors: From `collect`.
        level: Nominal coverage of the intervals.
    """
    budgets = vectors.budget.values.tolist()
    matrices = np.array([[cosines(gram(grads)) for grads in rows] for rows in vectors.grad.values])
    agreement = [[mean_cosine(matrix, level) for matrix in row] for row in matrices]
    differences = [
        [
            cosine_difference(*both, level)
            for both in zip(*(matrices[BASELINES.index(k)] for k in pair), strict=True)
        ]
        for pair in DIFFERENCES
    ]
    unbiased = vectors.lam.values.tolist().index(1.0)
    errors = errors_against_unbiased(vectors.lam_grad.values, unbiased, level)
    variances, shares = floor(vectors.residual_sums.values, level)
    returned = vectors.return_grad.values
    found = {
        "cosine": agreement,
        "cosine_difference": differences,
        **{f"lam_{name}": intervals for name, intervals in errors.items()},
        "signal": signal_to_noise(vectors.lam_grad.values[unbiased], level),
        "pair_variance": variances,
        "gain_share": shares,
        "return_variance": [noise_ratio(grads, returned[0], level) for grads in returned],
    }
    numbers = {"pairwise_cosine": matrices, **fit.numbers}
    for name, intervals in found.items():
        numbers |= with_ends(name, Interval(*np.moveaxis(np.array(intervals), -1, 0)))
    variables = {
        name: (BUDGET_DIMS.get(name.removesuffix("_low").removesuffix("_high"), ()), values)
        for name, values in numbers.items()
    }
    attrs = {"level": level, "env_id": checkpoint.env_id, "semantics": checkpoint.settings["semantics"]}
    attrs |= {"lam": checkpoint.settings["lam"], "lam_pairs": vectors.attrs["lam_pairs"]}
    ds = estimates_dataset(checkpoint, variables, ESTIMATES, budgets, vectors.sizes["trial"], attrs)
    coords = {"baseline": list(BASELINES), "subtracted": list(SUBTRACTED), "lam": vectors.lam.values}
    coords["difference"] = ["-".join(pair) for pair in DIFFERENCES]
    return ds.assign_coords(
        {name: (name, values, {"long_name": COORDS[name]}) for name, values in coords.items()}
    )


def floor(
    sums: Float64[np.ndarray, "subtracted trial sum"], level: float
) -> tuple[list[Interval], list[Interval]]:
    """The variance per pair under each baseline, and what it reaches of the way from none to b*.

    Estimates are made with advantages less their mean (Eq. 15), so that a baseline is as good as any other that differs
    by a constant: E‖s‖²(e − mean e)² with e = R − b(s). Only b*, which stands for the floor, is taken as it is. That the
    terms of different pairs also vary together is left out here: see `return_variance` for what it amounts to.

    Args:
        sums: From `residual_sums`.
        level: Nominal coverage of the intervals.

    Returns:
        For each of `SUBTRACTED`: variance in units of that without a baseline, and (none − it)/(none − floor).
    """
    total = sums.sum(1)
    left_out = np.stack([total, *(total - own for own in sums.swapaxes(0, 1))], axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):  # no settled return: NaN
        pairs, error, weight, weighted, squared = left_out.swapaxes(0, 1)
        mean = error / pairs
        mean[SUBTRACTED.index("optimal")] = 0.0
        variance = (squared - 2 * mean * weighted + np.square(mean) * weight) / pairs
        none, least = variance[SUBTRACTED.index("zero")], variance[SUBTRACTED.index("optimal")]
        ratios, shares = variance / none, (none - variance) / (none - least)
    return tuple([jackknife(float(row[0]), row[1:], level) for row in rows] for rows in (ratios, shares))


def _groups(first: int, last: int) -> Iterator[slice]:
    for start in range(first, last, GROUP):
        yield slice(start, min(start + GROUP, last))


def _cut(sums: PrefixSums, stretch: Stretch, baseline: str, last: int, settings: Settings) -> PrefixSums:
    """The sums as the agent's semantics value what follows the last pair."""
    if settings.semantics == "exact":
        return sums
    # The released code takes V of the last observation itself for the value behind the cut.
    name = "value" if baseline == "zero" else baseline
    gain = settings.gamma * (stretch.val[name][:, last] - stretch.next_val[name][:, last])
    return revalue(sums, np.where(stretch.ended[:, last], 0.0, gain))


def _label(
    sums: list[dict[str, dict[int, PrefixSums]]],
    residuals: Float64[np.ndarray, "subtracted trial sum"],
    returned: Float64[np.ndarray, "subtracted trial param"],
    graded: Float64[np.ndarray, "lam stream param"],
    chosen: dict,
) -> xr.Dataset:
    budgets = chosen["budgets"]

    def stacked(field: str) -> Float64[np.ndarray, "baseline budget trial ..."]:
        return np.array(
            [
                [
                    np.concatenate([np.asarray(getattr(part[name][n], field)) for part in sums])
                    for n in budgets
                ]
                for name in BASELINES
            ]
        )

    score, score_adv, adv, adv_sq = (stacked(field) for field in ("score", "score_adv", "adv", "adv_sq"))
    pairs = np.broadcast_to(np.array(budgets, np.float64)[:, None], adv.shape)
    trials = ("baseline", "budget", "trial")
    arrays = {
        "grad": ((*trials, "param"), batch_gradient(pairs, score, score_adv, adv, adv_sq).astype(np.float32)),
        "score_sum": ((*trials[1:], "param"), score[0]),
        "score_adv_sum": ((*trials, "param"), score_adv),
        "adv_sum": (trials, adv),
        "adv_sq_sum": (trials, adv_sq),
        "lam_grad": (("lam", "stream", "param"), graded.astype(np.float32)),
        "return_grad": (("subtracted", "trial", "param"), returned.astype(np.float32)),
        "residual_sums": (("subtracted", "trial", "sum"), residuals),
    }
    variables = {
        name: (dims, values, {"long_name": VECTORS[name], "units": "1"})
        for name, (dims, values) in arrays.items()
    }
    coords = {
        "budget": ("budget", budgets, {"long_name": "state-action pairs per estimate", "units": "pairs"}),
        "lam": ("lam", chosen["lambdas"], {"long_name": COORDS["lam"]}),
    }
    for dim, names in (("baseline", BASELINES), ("subtracted", SUBTRACTED)):  # Zarr v3 knows no text yet
        flags = {"flag_values": list(range(len(names))), "flag_meanings": " ".join(names)}
        coords[dim] = (dim, np.arange(len(names), dtype=np.int8), {"long_name": COORDS[dim]} | flags)
    return xr.Dataset(variables, coords, {"lam_pairs": chosen["pairs"]})
