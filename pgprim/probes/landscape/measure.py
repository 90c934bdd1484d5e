"""Measure one landscape around a checkpoint: surrogate and true reward over a plane, or at the ends of steps.

`few` and `many` are planes, spanned by a random direction and the update step from as many pairs as training uses, or
from many more; `steps` are the ends of independent update steps. The reward takes hours at large sizes: points are
measured side by side, in groups, and a killed run goes on with the first group that is not whole.
"""

from collections.abc import Iterator
from math import ceil

import numpy as np
import xarray as xr
from tqdm import tqdm

from pgprim.core.episodes import Episodes, complete_episodes, estimate_return, within
from pgprim.experience.train import take_steps
from pgprim.probes.landscape.label import plane_dataset, steps_dataset
from pgprim.probes.landscape.points import (
    landscape_purpose,
    plane,
    random_direction,
    run_points,
    sample_batch,
    surrogate_gain,
)
from pgprim.rl.batch import as_one_agent
from pgprim.store.files import Pieces
from pgprim.store.inputs import Inputs, Measured
from pgprim.types.checkpoint import Checkpoint

GROUP = 64
"""Points that are measured side by side, at most: enough for the overhead of a step to be small, few enough that a killed
run loses little. No result depends on it."""

STREAMS = 64
"""Streams of a batch of many pairs, at most."""


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: one landscape, from the pieces of it that are there.

    Args:
        inputs: A checkpoint and the case: `few`, `many` or `steps`.
        params: `plane`, `common_random_numbers`, and by the case's name what it is measured with.
    """
    checkpoint, case, pieces = inputs.checkpoint, inputs.case, inputs.pieces
    most = params[case]["budgets"][-1]
    shape = _shape_of_batch(checkpoint, case, params)
    num_points = shape[0] if case == "steps" else params["plane"]["points"] ** 2
    label = f"landscape {case} {checkpoint.task} {checkpoint.algo} {checkpoint.seed} {checkpoint.iteration}"
    total = shape[0] * shape[1] + num_points * most
    with tqdm(total=total, desc=label, unit="pair", unit_scale=True, mininterval=5) as progress:
        if (points := pieces.load("points")) is None:
            points = _make_points(checkpoint, case, params, shape, progress)
            pieces.save("points", points)
        else:
            _skip(progress, shape[0] * shape[1])
        common = params["common_random_numbers"]
        measured = _measure(checkpoint, case, points["theta"], most, common, pieces, progress)
        return Measured(_assemble(checkpoint, case, params, points, list(measured)))


def _assemble(
    checkpoint: Checkpoint,
    case: str,
    used: dict,
    points: dict[str, np.ndarray],
    episodes: list[Episodes],
) -> xr.Dataset:
    """The labelled result."""
    sizes = {"budget": used[case]["budgets"], "trajectories": used[case].get("trajectories", [])}
    rewards = {
        "budget": _rewards([[within(some, size) for size in sizes["budget"]] for some in episodes]),
        "trajectories": _rewards([[some.ret[:size] for size in sizes["trajectories"]] for some in episodes]),
    }
    surrogate = points["surrogate"]
    if case == "steps":
        return steps_dataset(checkpoint, surrogate, points["norms"], rewards["budget"], sizes["budget"], {})
    axis = _axis(used["plane"])
    square = (len(axis), len(axis))
    for found in rewards.values():
        for name, values in found.items():
            found[name] = values.reshape(*square, *values.shape[1:])
    norms = {name: float(points[name]) for name in ("step_norm", "random_norm", "batch_pairs")}
    return plane_dataset(checkpoint, case, axis, surrogate.reshape(square), rewards, sizes, norms, {})


def _axis(settings: dict) -> np.ndarray:
    return np.linspace(*settings["extent"], settings["points"])


def _shape_of_batch(checkpoint: Checkpoint, case: str, used: dict) -> tuple[int, int]:
    """Streams, and pairs of each: one stream per step, or for one step streams at least as long as training's.

    Streams of one step are all of a length, which may make its pairs a few less than asked for.
    """
    few = checkpoint.settings["pairs"]
    if case == "steps":
        return used["steps"]["steps"], few
    num_pairs = used[case].get("pairs", few)
    num_streams = max(1, min(STREAMS, num_pairs // few))
    return num_streams, num_pairs // num_streams


def _make_points(
    checkpoint: Checkpoint, case: str, used: dict, shape: tuple[int, int], progress: tqdm
) -> dict[str, np.ndarray]:
    """Parameters and surrogate of each point, and what the step was."""
    purpose = landscape_purpose(checkpoint, case)
    sampled = sample_batch(checkpoint, *shape, (*purpose, "batch"), progress.update)
    if case == "steps":
        steps = take_steps(checkpoint, sampled, [(*purpose, k) for k in range(shape[0])])
        theta = checkpoint.state.theta + steps
        return {
            "theta": theta.numpy(),
            "surrogate": surrogate_gain(checkpoint, theta, sampled),
            "norms": steps.double().norm(dim=1).numpy(),
        }
    batch = as_one_agent(sampled)
    step = take_steps(checkpoint, batch, [purpose])[0]
    direction = random_direction(checkpoint, used["plane"]["random_norm"])
    theta = plane(checkpoint.state.theta, step, direction, _axis(used["plane"]))
    return {
        "theta": theta.numpy(),
        "surrogate": surrogate_gain(checkpoint, theta, batch),
        "step_norm": step.double().norm().numpy(),
        "random_norm": direction.double().norm().numpy(),
        "batch_pairs": np.array(batch.num_pairs),
    }


def _measure(
    checkpoint: Checkpoint,
    case: str,
    theta: np.ndarray,
    num_pairs: int,
    common: bool,
    pieces: Pieces,
    progress: tqdm,
) -> Iterator[Episodes]:
    """The complete episodes of one stream at every point, in the order of the points."""
    purpose = (*landscape_purpose(checkpoint, case), "reward")
    for group in np.array_split(np.arange(len(theta)), ceil(len(theta) / GROUP)):
        name = f"{group[0]}-{group[-1]}"
        if (piece := pieces.load(name)) is not None:
            _skip(progress, len(group) * num_pairs)
        else:
            purposes = [purpose if common else (*purpose, int(point)) for point in group]
            blocks = []
            for block in run_points(checkpoint, theta[group], purposes, num_pairs):
                blocks.append((block.rew, block.ended))
                progress.update(block.rew.size)
            rew, ended = (np.concatenate(parts, axis=1) for parts in zip(*blocks, strict=True))
            found = [complete_episodes(*stream) for stream in zip(rew, ended, strict=True)]
            piece = {
                "num": np.array([len(episodes.ret) for episodes in found]),
                "stop": np.concatenate([episodes.stop for episodes in found]),
                "ret": np.concatenate([episodes.ret for episodes in found]),
            }
            pieces.save(name, piece)
        edges = np.cumsum(piece["num"])[:-1]
        yield from map(Episodes, np.split(piece["stop"], edges), np.split(piece["ret"], edges))


def _skip(progress: tqdm, num_pairs: int) -> None:
    """Count pairs of an earlier run as done, but not into the pace."""
    progress.initial += num_pairs
    progress.update(num_pairs)


def _rewards(returns: list[list[np.ndarray]]) -> dict[str, np.ndarray]:
    """The estimates of each point and size as arrays by variable."""
    found = [[estimate_return(ret) for ret in sizes] for sizes in returns]
    return {
        name: np.array([[getattr(estimate, field) for estimate in sizes] for sizes in found], np.float64)
        for name, field in (
            ("reward", "mean"),
            ("reward_se", "se"),
            ("num_trajectories", "num"),
            ("reward_half", "halves"),
        )
    }
