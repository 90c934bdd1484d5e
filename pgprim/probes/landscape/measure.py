"""Measure one landscape around a checkpoint: surrogate and true reward over a plane, a slice, or at the ends of steps.

`few` and `many` are planes, spanned by a random direction and the update step from 2K pairs (as in training) or from
many more. `slice_few` and `slice_many` are the lines along the same steps, with many more pairs per point and the
surrogate also on fresh batches. `steps` are the ends of independent update steps. The reward takes hours at large
sizes: points are measured in parallel, in groups, and a killed run resumes at the first incomplete group.
"""

from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from tqdm import tqdm

from pgprim.core.episodes import Episodes, complete_episodes, estimate_return, within
from pgprim.core.intervals import Interval, t_interval
from pgprim.core.welch import welch_interval
from pgprim.experience.train import take_steps
from pgprim.probes.landscape.label import REWARDS, plane_dataset, slice_dataset, steps_dataset
from pgprim.probes.landscape.points import (
    landscape_purpose,
    line,
    own_gain,
    plane,
    random_direction,
    run_points,
    sample_batch,
    surrogate_gain,
    surrogate_gains,
)
from pgprim.rl.batch import as_one_agent
from pgprim.store.files import Pieces
from pgprim.store.inputs import Inputs, Measured
from pgprim.store.labelled import stack_values
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.levels import LEVEL

SLICE = "slice_"
"""Begins the name of a case that is a slice; the rest is that of the plane with the same step."""

GROUP = 64
"""Points that are measured side by side, at most: enough for the overhead of a step to be small, few enough that a killed
run loses little. No result depends on it."""

STREAMS = 64
"""Streams of a batch of many pairs, at most."""


def measure(inputs: Inputs, params: dict) -> Measured:
    """The probe: one landscape; finished pieces of an earlier run are used.

    Args:
        inputs: A checkpoint and the case: `few`, `many`, `slice_few`, `slice_many` or `steps`.
        params: `plane`, `common_random_numbers`, and under the case's name its own parameters.
    """
    checkpoint, case, pieces = inputs.checkpoint, inputs.case, inputs.pieces
    block = params[case]
    budgets, shape = _budgets(checkpoint, block), _shape_of_batch(checkpoint, case, block)
    batch_pairs, num_fresh = shape[0] * shape[1], block.get("fresh", 0)
    num_points = _num_points(case, params)
    label = f"landscape {case} {checkpoint.task} {checkpoint.algo} {checkpoint.seed} {checkpoint.iteration}"
    total = (1 + num_fresh) * batch_pairs + num_points * budgets[-1]
    with tqdm(total=total, desc=label, unit="pair", unit_scale=True, mininterval=5) as progress:
        if (points := pieces.load("points")) is None:
            points = _make_points(checkpoint, case, params, shape, progress)
            pieces.save("points", points)
        else:
            _skip(progress, batch_pairs)
        fresh = list(_fresh_gains(checkpoint, case, points["theta"], num_fresh, shape, pieces, progress))
        common = params["common_random_numbers"]
        measured = _measure(checkpoint, case, points["theta"], budgets[-1], common, pieces, progress)
        return Measured(_assemble(checkpoint, case, params, points, fresh, list(measured)))


def _assemble(
    checkpoint: Checkpoint,
    case: str,
    params: dict,
    points: dict[str, np.ndarray],
    fresh: list[Float[np.ndarray, "2 point"]],
    episodes: list[Episodes],
) -> xr.Dataset:
    """The labelled result."""
    budgets, counts = _budgets(checkpoint, params[case]), params[case].get("trajectories", [])
    within_budgets = [[within(some, size) for size in budgets] for some in episodes]
    surrogate = points["surrogate"]
    if case == "steps":
        rewards = _rewards(within_budgets, (len(episodes),))
        return steps_dataset(checkpoint, surrogate, points["norms"], rewards, budgets)
    if case.startswith(SLICE):
        return _assemble_slice(checkpoint, case, params[case], points, np.stack(fresh, 2), within_budgets)
    axis = _axis(params["plane"])
    square = (len(axis), len(axis))
    first = [[some.ret[:size] for size in counts] for some in episodes]
    rewards = {"budget": _rewards(within_budgets, square)}
    if counts:
        rewards["trajectories"] = _rewards(first, square)
    norms = {name: float(points[name]) for name in ("step_norm", "random_norm", "batch_pairs")}
    sizes = {"budget": budgets, "trajectories": counts}
    return plane_dataset(checkpoint, case, axis, surrogate.reshape(square), rewards, sizes, norms)


def _assemble_slice(
    checkpoint: Checkpoint,
    case: str,
    block: dict,
    points: dict[str, np.ndarray],
    fresh: Float[np.ndarray, "2 point batch"],
    returns: list[list[np.ndarray]],
) -> xr.Dataset:
    """A slice, with the surrogate that its step promises and the gain that it keeps."""
    along, budgets = _along(block), _budgets(checkpoint, block)
    start, end = (int(np.flatnonzero(along == alpha)[0]) for alpha in (0, 1))
    over_batches, unclipped = ([t_interval(gains, LEVEL) for gains in kind] for kind in fresh)
    numbers = {
        "slice_surrogate": points["surrogate"],
        "slice_fresh": stack_values(over_batches),
        "slice_fresh_unclipped": stack_values(unclipped),
        "slice_fresh_batch": fresh[0],
        "promised": Interval(*points["promised"]),
        "promised_fresh": over_batches[end],
        "promised_fresh_unclipped": unclipped[end],
        "kept": stack_values(
            [welch_interval(returns[end][k], returns[start][k], LEVEL) for k in range(len(budgets))]
        ),
        "slice_step_norm": float(points["step_norm"]),
        "slice_batch_pairs": float(points["batch_pairs"]),
    }
    rewards = _rewards(returns, (len(along),))
    return slice_dataset(checkpoint, case.removeprefix(SLICE), along, numbers, rewards, budgets)


def _axis(settings: dict) -> np.ndarray:
    return np.linspace(*settings["extent"], settings["points"])


def _along(block: dict) -> np.ndarray:
    """Points of a slice: equally spaced, plus the checkpoint and the step's end."""
    # Rounded, so that the end is never there twice.
    return np.unique(np.round(np.append(_axis(block), [0.0, 1.0]), 9))


def _num_points(case: str, params: dict) -> int:
    if case == "steps":
        return params["steps"]["steps"]
    return len(_along(params[case])) if case.startswith(SLICE) else params["plane"]["points"] ** 2


def _budgets(checkpoint: Checkpoint, block: dict) -> list[int]:
    """Pairs per point; some landscapes have more (`closer`)."""
    for one in block.get("closer", ()):
        is_agent = (one["task"], one["seed"]) == (checkpoint.task, checkpoint.seed)
        if is_agent and checkpoint.iteration in one["iterations"]:
            return one["budgets"]
    return block["budgets"]


def _shape_of_batch(checkpoint: Checkpoint, case: str, block: dict) -> tuple[int, int]:
    """Streams, and pairs of each: one stream per step, or for one step several streams at least as long as training's.

    Streams of one step have equal length, so it may have slightly fewer pairs than requested.
    """
    few = checkpoint.settings["pairs"]
    if case == "steps":
        return block["steps"], few
    num_pairs = block.get("pairs", few)
    num_streams = max(1, min(STREAMS, num_pairs // few))
    return num_streams, num_pairs // num_streams


def _make_points(
    checkpoint: Checkpoint, case: str, params: dict, shape: tuple[int, int], progress: tqdm
) -> dict[str, np.ndarray]:
    """Parameters and surrogate of each point, and the norms of the step."""
    purpose = landscape_purpose(checkpoint, case.removeprefix(SLICE))
    sampled = sample_batch(checkpoint, *shape, (*purpose, "batch"), progress.update)
    if case == "steps":
        steps = take_steps(checkpoint, sampled, [(*purpose, k) for k in range(shape[0])])
        theta = checkpoint.state.theta + steps
        return {
            "theta": theta.numpy(),
            "surrogate": surrogate_gain(checkpoint, theta, sampled),
            "norms": steps.double().norm(dim=1).numpy(),
        }
    batch, theta = as_one_agent(sampled), checkpoint.state.theta
    step = take_steps(checkpoint, batch, [purpose])[0]
    numbers = {"step_norm": step.double().norm().numpy(), "batch_pairs": np.array(batch.num_pairs)}
    if case.startswith(SLICE):
        points = line(theta, step, _along(params[case]))
        end = line(theta, step, np.ones(1))
        numbers["promised"] = np.array(own_gain(checkpoint, end, batch, LEVEL))
    else:
        direction = random_direction(checkpoint, params["plane"]["random_norm"])
        points = plane(theta, step, direction, _axis(params["plane"]))
        numbers["random_norm"] = direction.double().norm().numpy()
    gains = surrogate_gain(checkpoint, points, batch)
    return {"theta": points.numpy(), "surrogate": gains, **numbers}


def _fresh_gains(
    checkpoint: Checkpoint,
    case: str,
    theta: np.ndarray,
    num_fresh: int,
    shape: tuple[int, int],
    pieces: Pieces,
    progress: tqdm,
) -> Iterator[Float[np.ndarray, "2 point"]]:
    """Objective and unclipped surrogate at all points on each of some batches that the step was not made from."""
    for k in range(num_fresh):
        if (piece := pieces.load(f"fresh-{k}")) is not None:
            _skip(progress, shape[0] * shape[1])
        else:
            purpose = landscape_purpose(checkpoint, case.removeprefix(SLICE), "fresh", k)
            batch = as_one_agent(sample_batch(checkpoint, *shape, purpose, progress.update))
            piece = {"gain": surrogate_gains(checkpoint, torch.from_numpy(theta), batch)}
            pieces.save(f"fresh-{k}", piece)
        yield piece["gain"]


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
            several = [complete_episodes(*stream) for stream in zip(rew, ended, strict=True)]
            piece = {
                "num": np.array([len(episodes.ret) for episodes in several]),
                "stop": np.concatenate([episodes.stop for episodes in several]),
                "ret": np.concatenate([episodes.ret for episodes in several]),
            }
            pieces.save(name, piece)
        edges = np.cumsum(piece["num"])[:-1]
        yield from map(Episodes, np.split(piece["stop"], edges), np.split(piece["ret"], edges))


def _skip(progress: tqdm, num_pairs: int) -> None:
    """Count pairs of an earlier run as done, without counting them in the rate."""
    progress.initial += num_pairs
    progress.update(num_pairs)


def _rewards(
    returns: Sequence[Sequence[np.ndarray]], shape: tuple[int, ...]
) -> dict[str, np.ndarray | Interval]:
    """The estimates of each point and size, as arrays by variable.

    Args:
        returns: Of the episodes of each point, by size.
        shape: Of the points.
    """
    estimates = [[estimate_return(ret) for ret in sizes] for sizes in returns]
    arrays = {
        name: np.array([[getattr(one, field) for one in sizes] for sizes in estimates], np.float64)
        for name, field in zip(REWARDS, ("mean", "se", "num", "halves"), strict=True)
    }
    arrays["reward"] = stack_values([[t_interval(ret, LEVEL) for ret in sizes] for sizes in returns])
    return {
        name: Interval(*(end.reshape(*shape, *end.shape[1:]) for end in values))
        if isinstance(values, Interval)
        else values.reshape(*shape, *values.shape[1:])
        for name, values in arrays.items()
    }
