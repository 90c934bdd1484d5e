"""Fit the "true" value function of one checkpoint, and the best baseline, to returns of its stored streams.

The trial streams are not used, because the fit is later applied to them.
"""

from math import ceil

from tqdm import tqdm

from pgprim.core.seeding import generator
from pgprim.probes.fit.regression import (
    FitSettings,
    Returns,
    describe,
    fit_returns,
    merge_returns,
    read_returns,
)
from pgprim.rl.algorithms import make_settings
from pgprim.rl.networks import make_value
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import AGENT
from pgprim.types.errors import UserError
from pgprim.types.fit import Fit

BLOCK = 1024
"""Pairs of a stream that are read at a time."""

GROUP = 32
"""Streams that are read at a time: chunks of narrow arrays hold several, and are unpacked whole each time."""


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: V* and b*, and their errors.

    Args:
        inputs: A checkpoint and its rollouts.
        params: The fields of `FitSettings`.

    Raises:
        UserError: There are too few streams, none of their returns is complete, or an episode is truncated other than by
            the time limit.
    """
    checkpoint, rollouts, chosen = inputs.checkpoint, inputs.rollouts, FitSettings(**params)
    trials, streams = inputs.trials, rollouts.num_streams
    first_held_out = streams - max(1, ceil(chosen.held_out * (streams - trials)))
    if first_held_out <= trials:
        raise UserError(
            f"the rollouts have {streams - trials} streams that are no trials, but V* must be fitted on at least one and be "
            "stopped by another; raise sample.kept in params.yaml"
        )
    num_pairs = max(1, min(rollouts.num_pairs, chosen.pairs // (streams - trials)))
    label = "fit {task} {algo} {seed} {iteration}".format(**vars(checkpoint))
    total = (streams - trials) * num_pairs
    with tqdm(total=total, desc=label, unit="pair", unit_scale=True, mininterval=5) as progress:
        train, held_out = (
            _read(inputs, some, num_pairs, chosen.beyond, progress)
            for some in (range(trials, first_held_out), range(first_held_out, streams))
        )
    if not len(train.ret) or not len(held_out.ret):
        raise UserError(
            f"no return of the rollouts is settled, because no pair is fit.beyond ({chosen.beyond}) pairs before its time "
            "limit and the end of its stream; lower it in params.yaml"
        )
    settings = make_settings(checkpoint.settings)
    name = ("fit", checkpoint.environment.id, checkpoint.algo, checkpoint.seed, checkpoint.iteration)
    net, start = make_value(settings, checkpoint.num_obs), checkpoint.state.phi.expand(2, -1)
    fitted = fit_returns(
        net, start, train, held_out, chosen, settings.adam_eps, generator(*name, "order"), label
    )
    identity = {name: getattr(checkpoint, name) for name in AGENT}
    identity["env_id"] = checkpoint.environment.id
    numbers = describe(net, fitted, train, held_out)
    return Measured(
        Fit(**identity, true=fitted.phi[:1], optimal=fitted.phi[1:], numbers=numbers, made_from={})
    )


def _read(inputs: Inputs, streams: range, num_pairs: int, beyond: int, progress: tqdm) -> Returns:
    parts = []
    for start in range(streams.start, streams.stop, GROUP):
        some = slice(start, min(start + GROUP, streams.stop))
        # One more pair, with whose value the return of the last one bootstraps.
        blocks = inputs.rollouts.blocks(some, num_pairs + 1, BLOCK)
        parts.append(read_returns(inputs.checkpoint, blocks, num_pairs, inputs.time_limit, beyond, start))
        progress.update((some.stop - some.start) * num_pairs)
    return merge_returns(parts)
