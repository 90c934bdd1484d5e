"""Claims on landscapes of reward and surrogate (Sec. 2.3, Figs. 5-7, 13-20)."""

from collections.abc import Callable, Iterator

from pgprim.plotting.choose import trained
from pgprim.report.claims.claim import (
    CORRELATION,
    SHARE,
    Claim,
    Evidence,
    Params,
    Results,
    at_budget,
    common_budget,
    per_agent_kind,
    per_task,
)

ALIGNMENT, PROMISE = {"": "alignment"}, {"": "promise"}
ALGOS = ("ppo", "trpo")
"""The algorithms of Figs. 13-18."""


def _noise_at_budget(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    noise = trained(at_budget(results["alignment"], params).noise_share.sel(kind="few"))
    return per_task(noise.mean("iteration"), level, SHARE)


def _noise_at_most(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    """At the largest number of pairs per point that all agents have."""
    noise = trained(results["alignment"].noise_share.sel(kind="few"))
    if noise.notnull().any():
        yield from per_task(noise.sel(budget=common_budget(noise)).mean("iteration"), level, SHARE)


def _agreement(
    kind: str, algos: tuple[str, ...], is_trained: bool
) -> Callable[[Results, Params, float], Iterator[Evidence]]:
    """Rank correlation of reward and surrogate along a slice.

    The surrogate is unclipped and measured on fresh batches: PPO's clipped one falls beyond its step by construction,
    and on its own batch any surrogate rises along the step that maximises it.
    """

    def agreement(results: Results, params: Params, level: float) -> Iterator[Evidence]:
        ds = results["alignment"]
        chosen = ds.sel(kind=kind, algo=ds.algo.isin(algos), iteration=(ds.iteration > 0) == is_trained)
        for row in per_agent_kind(chosen.fresh_correlation.mean("iteration"), level, CORRELATION):
            yield row._replace(ceiling=float(chosen.fresh_ceiling.sel(task=row.task, algo=row.algo).mean()))

    return agreement


def _kept_promise(results: Results, params: Params, level: float) -> Iterator[Evidence]:
    ds = trained(results["promise"].sel(kind="few"))
    return per_agent_kind(
        ds.promised_fresh_unclipped.mean("iteration") / ds.promised.mean("iteration"), level
    )


CLAIMS = {
    "reward_is_noise_at_2k": Claim(
        "With the pairs that training uses, measured rewards do not separate good from bad points around trained agents",
        "Sec. 2.3, Figs. 5, 19, 20",
        "share of noise in the reward's variance over the plane at 2K pairs per point, trained checkpoints",
        ("alignment",),
        ALIGNMENT,
        _noise_at_budget,
    ),
    "reward_is_clear_with_more": Claim(
        "With many times more pairs than training uses, measured rewards separate good from bad points around trained agents",
        "Sec. 2.3, Figs. 5, 19, 20",
        "share of noise in the reward's variance over the plane at the most pairs per point that all agents have, trained checkpoints",
        ("alignment",),
        ALIGNMENT,
        _noise_at_most,
    ),
    "surrogate_aligns_at_first": Claim(
        "Surrogate and reward agree along the step around untrained agents",
        "Sec. 2.3, Figs. 13-18",
        "rank correlation of reward and unclipped surrogate on fresh batches along a step from 2K pairs, checkpoint 0",
        ("alignment",),
        ALIGNMENT,
        _agreement("slice_few", ALGOS, is_trained=False),
    ),
    "surrogate_misaligns_later": Claim(
        "Surrogate and reward do not agree along the step around trained agents",
        "Sec. 2.3, Figs. 6, 7, 13-18",
        "rank correlation of reward and unclipped surrogate on fresh batches along a step from 2K pairs, trained checkpoints",
        ("alignment",),
        ALIGNMENT,
        _agreement("slice_few", ALGOS, is_trained=True),
    ),
    "trpo_aligns_with_many_pairs": Claim(
        "TRPO's surrogate agrees with the reward along steps made from many pairs",
        "Sec. 2.3, Figs. 6, 14, 16, 18",
        "rank correlation of reward and unclipped surrogate on fresh batches along a step from many pairs, trained checkpoints",
        ("alignment",),
        ALIGNMENT,
        _agreement("slice_many", ("trpo",), is_trained=True),
    ),
    "ppo_misaligns_with_many_pairs": Claim(
        "PPO's surrogate does not agree with the reward along the step, even for steps made from many pairs",
        "Sec. 2.3, Figs. 7, 13, 15, 17",
        "rank correlation of reward and unclipped surrogate on fresh batches along a step from many pairs, trained checkpoints",
        ("alignment",),
        ALIGNMENT,
        _agreement("slice_many", ("ppo",), is_trained=True),
    ),
    "promise_is_not_kept": Claim(
        "Most of the surrogate gain of a step made from 2K pairs is overfitting to those pairs (our measure)",
        "beyond Sec. 2.3",
        "unclipped surrogate of the step on fresh batches over the objective on its own batch, trained checkpoints",
        ("promise",),
        PROMISE,
        _kept_promise,
    ),
}
"""By name; the rule of each stands in the parameter file."""
