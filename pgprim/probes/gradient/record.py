"""The record of the probe `gradient`."""

from collections.abc import Iterator

from pgprim.types.probe import Params, Probe, Work
from pgprim.types.sample import num_estimates, stream_pairs
from pgprim.types.schema import BUDGETS


def _work(params: Params, num_obs: int, case: str) -> Work:
    sample, seeds = params["sample"], params["probed_seeds"]
    lengths = [stream_pairs(sample, seed) for seed in seeds]
    live = [
        length * sample["streams"] - (length == sample["pairs"]) * sample["kept"] * length
        for length in lengths
    ]
    pairs, simulated = (
        round(sum(each) / len(seeds)) for each in ([n * sample["streams"] for n in lengths], live)
    )
    return Work(pairs, 2 * sample["streams"], simulated)


def _check(params: Params) -> Iterator[str]:
    budgets, sample = params["probes"]["rollouts"]["gradient"]["budgets"], params["sample"]
    lengths = sorted(
        {stream_pairs(sample, seed) for seed in [*params["probed_seeds"], *sample["deep"]["seeds"]]}
    )
    most = sample["streams"] * lengths[-1] // sample["estimates"]
    if budgets[-1] > most:
        yield (
            f"probes.rollouts.gradient.budgets ends with {budgets[-1]}, but must not exceed {most}, of which "
            f"sample.streams ({sample['streams']}) streams of {lengths[-1]} pairs give sample.estimates ({sample['estimates']}) "
            "estimates"
        )
    for index, budget in enumerate(budgets):
        if budget <= most and not any(
            num_estimates(sample["streams"], length, budget) >= sample["estimates"] for length in lengths
        ):
            yield (
                f"probes.rollouts.gradient.budgets[{index}] is {budget}, but must be a multiple of the streams' "
                f"{' or '.join(map(str, lengths))} pairs, because streams are joined whole"
            )


PROBE = Probe(
    name="gradient",
    question="How far do gradient estimates from so many pairs agree with each other and with the true gradient?",
    reads=("checkpoint", "rollouts"),
    work=_work,
    settings={"budgets": BUDGETS},
    check=_check,
    vectors="sums over the streams in full length, of which gradients are made",
    sample=("streams", "pairs", "estimates", "kept", "trials", "deep"),
)
