"""Effect of a baseline: Fig. 4, bias and variance over λ, and the least variance that a baseline can achieve.

The trials, the first stored streams of a checkpoint's pool, give one gradient estimate per budget N for each of three
baselines, all from the same pairs, computed from prefix sums (`core.prefix_sums`):

* `zero`: advantages are returns, A = R, "replacing advantages with returns" (Fig. 4 caption);
* `value`: the agent's V, generalised advantage estimates with the agent's λ, as in training;
* `true`: the same with V* in place of V, also for bootstraps (`probes.fit`; fitted on the other stored streams, so it
  is independent of the trials).

At a cut or a time limit returns bootstrap with the agent's V, as `value` does. So the kinds differ only in what they
subtract and, for `zero`, in λ = 1. Agreement does not show bias. The second part therefore compares estimates over a
grid of λ on the other streams; λ = 1 has no bias except the cut's.

The third part measures the least possible variance. The variance per pair of a mean of s·(R − b(s)) is E‖s‖²(R − b)²,
and b* of `probes.fit` minimises it over functions of the state. The trial streams show which share of the reduction
from no baseline to b* V and V* achieve. b* is itself a fit to other streams, so its variance is slightly above the
minimum, and the shares are slightly too large, depending on the error of the fit.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Float64
from torch import Tensor
from tqdm import tqdm

from pgprim.core.bias_variance import bias_variance, noise_ratio, signal_to_noise
from pgprim.core.cosines import cosines, gram
from pgprim.core.intervals import Interval, jackknife
from pgprim.core.mlp import MLP
from pgprim.core.pairwise_cosine import cosine_difference, pairwise_cosine
from pgprim.core.prefix_sums import PrefixSums, append, batch_gradient, no_pairs, revalue, trace_weights
from pgprim.core.score_norms import squared_score_norms
from pgprim.core.scores import score_sums
from pgprim.core.time_in_episode import elapsed_steps, has_room
from pgprim.experience.seen import ROWS, Seen, advantages, cut_gain, join, returns, see
from pgprim.experience.seen import revalue as revalue_seen
from pgprim.rl.algorithms import make_settings
from pgprim.rl.networks import make_policy
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import agent_of, label, stack_values
from pgprim.store.rollouts import RolloutReader
from pgprim.types.agent import Settings
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.fit import NUMBERS, Fit
from pgprim.types.levels import LEVEL
from pgprim.types.rollouts import require_limit

BASELINES = ("zero", "value", "true")
DIFFERENCES = (("value", "zero"), ("true", "value"), ("true", "zero"))
SUBTRACTED = (*BASELINES, "optimal")
"""Subtrahends of the returns whose variances per pair are compared: the baselines and b*."""

ROUNDING = 1e-9
"""Variance of returns, relative to their second moment, below which it is rounding and they count as constant."""

BLOCK = 2048
"""Most pairs of a stream whose sums are taken at a time. Fixed, because it decides how sums are rounded."""

GROUP = 32
"""Streams that are worked on at a time: chunks of narrow arrays hold several, and are unpacked whole each time."""

VECTORS = {
    "grad": ("policy gradient estimate, Eqs. 1 and 15", "1"),
    "score_sum": ("Σ s, the score summed over the pairs", "1"),
    "score_adv_sum": ("Σ s·A, the score times the advantage summed over the pairs", "1"),
    "adv_sum": ("Σ A, the advantage summed over the pairs", "1"),
    "adv_sq_sum": ("Σ A², the squared advantage summed over the pairs", "1"),
    "lam_grad": (
        "policy gradient estimate with advantages centred but not scaled, from a stream that is no trial",
        "1",
    ),
    "return_grad": ("policy gradient estimate from returns less a baseline, centred but not scaled", "1"),
    "residual_sums": (
        "n, Σ e, Σ ‖s‖², Σ ‖s‖² e and Σ ‖s‖² e² over the pairs with settled returns, e = R − b",
        "1",
    ),
}
"""Long name and unit of what is kept of the pairs."""

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
    "baseline": ("baseline of the advantages", "1"),
    "difference": ("which baseline's cosine less which", "1"),
    "subtracted": ("what is subtracted from returns", "1"),
    "lam": ("λ of the advantages", "1"),
}


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: gradients with their sums, and the numbers the figures read.

    Args:
        inputs: A checkpoint, its rollouts, and V* and b* of the probe `fit`.
        params: `budgets`, `lambdas`, `pairs` and `beyond`.
    """
    checkpoint, rollouts, fit = inputs.checkpoint, inputs.rollouts, inputs.results["fit"].numbers
    trials = inputs.trials
    desc = f"baselines {checkpoint.task} {checkpoint.algo} {checkpoint.seed} {checkpoint.iteration}"
    longest = max(params["budgets"][-1], params["pairs"])
    total = trials * longest + (rollouts.num_streams - trials) * params["pairs"]
    with tqdm(total=total, desc=desc, unit="pair", unit_scale=True, mininterval=5) as progress:
        vectors = collect(inputs, fit, params, progress)
    return Measured(compare(checkpoint, fit, vectors, LEVEL), vectors)


Views = dict[str, Seen]
"""The same pairs by several value functions; the agent's own is `value`."""


def read_views(
    checkpoint: Checkpoint,
    networks: dict[str, Tensor],
    rollouts: RolloutReader,
    streams: slice,
    num_pairs: int,
) -> Views:
    """The first pairs of some streams as several value functions see them, with the values after the last pair.

    Args:
        checkpoint: The agent that made them.
        networks: Parameters of the value functions beside the agent's own, by name.
        rollouts: Where they are.
        streams: Which streams.
        num_pairs: Pairs of each.
    """
    settings, first = make_settings(checkpoint.settings), slice(0, num_pairs)
    # One more pair, with whose value the cut bootstraps.
    own = join(see(checkpoint, rollouts.blocks(streams, num_pairs + 1, BLOCK)))
    others = {name: revalue_seen(own, phi, settings).piece(first) for name, phi in networks.items()}
    return {"value": own.piece(first)} | others


def baseline_advantages(
    views: Views, baseline: str, lam: float, piece: slice, settings: Settings, cut: bool = True
) -> Float64[np.ndarray, "stream t"]:
    """A of a piece's pairs, cut at its end: returns for `zero`, else generalised advantage estimates.

    Args:
        views: The pairs.
        baseline: One of `BASELINES`.
        lam: λ; not used for `zero`.
        piece: Which pairs.
        settings: Discount and semantics.
        cut: Whether the estimate ends with the piece.
    """
    if baseline == "zero":
        return returns(views["value"].piece(piece), settings, cut=cut)
    return advantages(views[baseline].piece(piece), settings, lam=lam, cut=cut)


def weighted_scores(
    theta: Float[Tensor, "1 param"],
    net: MLP,
    seen: Seen,
    piece: slice,
    columns: list[Float64[np.ndarray, "stream t"]],
) -> Float64[Tensor, "stream weight param"]:
    """Σ w s over the pairs of a piece, for several weightings w."""
    weights = torch.from_numpy(np.stack(columns, axis=-1).astype(np.float32))
    obs, act = torch.from_numpy(seen.obs[:, piece]), torch.from_numpy(seen.act[:, piece])
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
    theta: Float[Tensor, "1 param"], net: MLP, views: Views, budgets: list[int], settings: Settings
) -> dict[str, dict[int, PrefixSums]]:
    """For each baseline and budget N, the sums over the first N pairs, with advantages cut there.

    When pairs follow, `core.prefix_sums` changes advantages by γλ·A_N, since A_N is the change of the bootstrap value
    V(s_N). For `zero`, the return in place of A_N still contains V(s_N), which is therefore subtracted first.
    """
    factors = {name: settings.gamma * (1.0 if name == "zero" else settings.lam) for name in BASELINES}
    own = views["value"]
    sums = {name: no_pairs(len(own.rew), net.num_params) for name in BASELINES}
    at_budgets: dict[str, dict[int, PrefixSums]] = {name: {} for name in BASELINES}
    traces = sorted(set(factors.values()))
    for start, stop in pairwise(sorted({0, *budgets, *range(BLOCK, budgets[-1], BLOCK)})):
        piece, ended = slice(start, stop), own.ended[:, start:stop]
        advs = {
            name: baseline_advantages(views, name, settings.lam, piece, settings, cut=False)
            for name in BASELINES
        }
        columns = [np.ones_like(own.rew[:, piece]), *advs.values()]
        columns += [trace_weights(ended, factor) for factor in traces]
        scores = weighted_scores(theta, net, own, piece, columns)
        for k, name in enumerate(BASELINES):
            if name == "zero":
                sums[name] = revalue(sums[name], -settings.gamma * own.val[:, start])
            its = scores[:, [0, 1 + k, 1 + len(BASELINES) + traces.index(factors[name])]]
            sums[name] = append(sums[name], advs[name], ended, factors[name], its)
            if stop in budgets:
                gain = cut_gain(views["value" if name == "zero" else name], stop - 1, settings)
                at_budgets[name][stop] = revalue(sums[name], gain)
    return at_budgets


def centred_gradients(
    theta: Float[Tensor, "1 param"], net: MLP, seen: Seen, advs: list[Float64[np.ndarray, "stream t"]]
) -> Float64[np.ndarray, "kind stream param"]:
    """Σ s·(A − mean A)/(n − 1) over all pairs of each stream: unbiased for E s·A if pairs were independent.

    Not divided by the standard deviation of A, unlike Eq. 15: the expectation would then depend on the noise.
    """
    num_pairs = advs[0].shape[1]
    columns = [np.ones_like(advs[0]), *(adv - adv.mean(1, keepdims=True) for adv in advs)]
    scores = weighted_scores(theta, net, seen, slice(0, num_pairs), columns).numpy()
    return scores[:, 1:].swapaxes(0, 1) / (num_pairs - 1)


def residual_sums(
    theta: Float[Tensor, "1 param"],
    net: MLP,
    views: Views,
    settings: Settings,
    limit: int | None,
    beyond: int,
) -> Float64[np.ndarray, "subtracted stream sum"]:
    """n, Σ e, Σ w, Σ w e, Σ w e² over pairs with complete returns, with e = R − b(s) and w = ‖s‖².

    Args:
        theta: Parameters of the policy.
        net: Its shape.
        views: The pairs.
        settings: Discount.
        limit: Pairs after which the time limit ends an episode; None where there is no limit.
        beyond: Pairs that must fit before a time limit and the stream's end (`core.time_in_episode`).
    """
    own = views["value"]
    ret, obs, act = returns(own, settings, cut=True), torch.from_numpy(own.obs), torch.from_numpy(own.act)
    few = max(1, ROWS // ret.shape[1])
    norms = [
        squared_score_norms(theta, net, obs[k : k + few], act[k : k + few]) for k in range(0, len(ret), few)
    ]
    settled = has_room(elapsed_steps(own.ended), limit, beyond)
    weight = np.where(settled, torch.cat(norms).double().numpy(), 0.0)
    rows = []
    for name in SUBTRACTED:
        error = np.where(settled, ret - (0.0 if name == "zero" else views[name].val), 0.0)
        rows.append([settled, error, weight, weight * error, weight * np.square(error)])
    return np.array([[column.sum(1) for column in row] for row in rows]).swapaxes(1, 2)


def collect(inputs: Inputs, fit: Fit, chosen: dict, progress: tqdm) -> xr.Dataset:
    """All vectors and sums of the probe, from one pass over the trial streams and one over the start of the others.

    Args:
        inputs: A checkpoint and its rollouts, trial streams first.
        fit: V* and b* of the checkpoint.
        chosen: The block `baselines` of the parameter file.
        progress: Called with the number of finished pairs.

    Raises:
        UserError: An episode of a trial is truncated other than by the time limit.
    """
    checkpoint, rollouts = inputs.checkpoint, inputs.rollouts
    num_trials, limit = inputs.trials, inputs.time_limit
    settings, theta = make_settings(checkpoint.settings), checkpoint.state.theta
    net = make_policy(settings, checkpoint.num_obs, checkpoint.num_act)
    budgets, num_pairs = chosen["budgets"], chosen["pairs"]
    piece, longest = slice(0, num_pairs), max(budgets[-1], num_pairs)
    sums, residuals, returned = [], [], []
    for streams in _groups(0, num_trials):
        networks = {"true": fit.true, "optimal": fit.optimal}
        views = read_views(checkpoint, networks, rollouts, streams, longest)
        own = views["value"]
        lengths = elapsed_steps(own.ended) + 1
        require_limit(checkpoint.environment.id, limit, own.truncated, lengths, streams.start)
        sums.append(prefix_sums(theta, net, views, budgets, settings))
        residuals.append(residual_sums(theta, net, views, settings, limit, chosen["beyond"]))
        ret = baseline_advantages(views, "zero", 1.0, piece, settings)
        less = [ret, *(ret - views[name].val[:, piece] for name in SUBTRACTED[1:])]
        returned.append(centred_gradients(theta, net, views["value"], less))
        progress.update(views["value"].rew.size)
    graded = []
    for streams in _groups(num_trials, rollouts.num_streams):
        views = read_views(checkpoint, {}, rollouts, streams, num_pairs)
        advs = [baseline_advantages(views, "value", lam, piece, settings) for lam in chosen["lambdas"]]
        graded.append(centred_gradients(theta, net, views["value"], advs))
        progress.update(views["value"].rew.size)
    return _label(
        checkpoint,
        sums,
        np.concatenate(residuals, axis=1),
        np.concatenate(returned, axis=1),
        np.concatenate(graded, axis=1),
        chosen,
    )


def compare(checkpoint: Checkpoint, fit: Fit, vectors: xr.Dataset, level: float) -> xr.Dataset:
    """Cosines, their differences, bias and variance over λ, and shares of the possible gain, from vectors and sums.

    Args:
        checkpoint: The agent.
        fit: V* and b*; its numbers on the quality of the fit are included.
        vectors: From `collect`.
        level: Nominal coverage of the intervals.
    """
    matrices = np.array([[cosines(gram(grads)) for grads in rows] for rows in vectors.grad.values])
    agreement = [[pairwise_cosine(matrix, level) for matrix in row] for row in matrices]
    differences = [
        [
            cosine_difference(*both, level)
            for both in zip(*(matrices[BASELINES.index(k)] for k in pair), strict=True)
        ]
        for pair in DIFFERENCES
    ]
    unbiased = vectors.lam.values.tolist().index(1.0)
    errors = bias_variance(vectors.lam_grad.values, unbiased, level)
    variances, shares = pair_variances(vectors.residual_sums.values, level)
    returned = vectors.return_grad.values
    intervals = {
        "cosine": agreement,
        "cosine_difference": differences,
        **{f"lam_{name}": of_lam for name, of_lam in errors.items()},
        "signal": signal_to_noise(vectors.lam_grad.values[unbiased], level),
        "pair_variance": variances,
        "gain_share": shares,
        "return_variance": [noise_ratio(grads, returned[0], level) for grads in returned],
    }
    numbers = {"pairwise_cosine": matrices, **fit.numbers}
    numbers |= {name: stack_values(values) for name, values in intervals.items()}
    variables = {name: (BUDGET_DIMS.get(name, ()), values) for name, values in numbers.items()}
    trials = range(vectors.sizes["trial"])
    coords = {"budget": vectors.budget.values, "trial": trials, "trial_b": trials, "lam": vectors.lam.values}
    coords |= {
        "baseline": BASELINES,
        "subtracted": SUBTRACTED,
        "difference": ["-".join(pair) for pair in DIFFERENCES],
    }
    attrs = {"level": level, "lam": checkpoint.settings["lam"], "lam_pairs": vectors.attrs["lam_pairs"]}
    return label(variables, ESTIMATES | COORDS, coords, attrs, agent_of(checkpoint))


def pair_variances(
    sums: Float64[np.ndarray, "subtracted trial sum"], level: float
) -> tuple[list[Interval], list[Interval]]:
    """The variance per pair with each baseline, and its share of the reduction from no baseline to b*.

    Estimates subtract the mean advantage (Eq. 15), so baselines that differ by a constant are equivalent: E‖s‖²(e −
    mean e)² with e = R − b(s). Only b*, which gives the least variance, is used as it is. Covariances between pairs
    are left out here; `return_variance` includes them.

    Args:
        sums: From `residual_sums`.
        level: Nominal coverage of the intervals.

    Returns:
        For each of `SUBTRACTED`: variance in units of that without a baseline, and (none − it)/(none − b*).
    """
    total = sums.sum(1)
    left_out = np.stack([total, *(total - own for own in sums.swapaxes(0, 1))], axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):  # no complete return: NaN
        pairs, error, weight, weighted, squared = left_out.swapaxes(0, 1)
        mean = error / pairs
        mean[SUBTRACTED.index("optimal")] = 0.0
        variance = (squared - 2 * mean * weighted + np.square(mean) * weight) / pairs
        none, least = variance[SUBTRACTED.index("zero")], variance[SUBTRACTED.index("optimal")]
        second_moment = squared[SUBTRACTED.index("zero")] / pairs[SUBTRACTED.index("zero")]
        none = np.where(none > ROUNDING * second_moment, none, np.nan)  # returns that never vary: NaN
        ratios, shares = variance / none, (none - variance) / (none - least)
    return tuple([jackknife(float(row[0]), row[1:], level) for row in rows] for rows in (ratios, shares))


def _groups(first: int, last: int) -> Iterator[slice]:
    for start in range(first, last, GROUP):
        yield slice(start, min(start + GROUP, last))


def _label(
    checkpoint: Checkpoint,
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
    coords = {
        "budget": budgets,
        "lam": chosen["lambdas"],
        "baseline": BASELINES,
        "subtracted": SUBTRACTED,
    }
    return label(arrays, VECTORS | COORDS, coords, agent_of(checkpoint) | {"lam_pairs": chosen["pairs"]})
