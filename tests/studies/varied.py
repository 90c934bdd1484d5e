"""Labelled records and comparisons as the studies of changed settings write them, from models whose answers are known."""

from itertools import product

import numpy as np
import xarray as xr

CELLS = ["".join(map(str, cell)) for cell in product((0, 1), repeat=4)]
SWITCHES = ("rew_norm", "init", "anneal", "value_clip")
EFFECTS = (300.0, 100.0, 50.0, 0.0)
"""What each switch adds to the final return, at any rate."""

RATES = (0.3, 1.0, 3.0)
GAINS = (0.5, 1.0, 0.7)
"""What each learning rate makes of a return: the middle one is best."""


def ablation(task="hopper", seeds=5, iterations=20, noise=60.0) -> xr.Dataset:
    """Records of a full factorial whose returns rise linearly to their final value."""
    rng = np.random.default_rng([*task.encode(), seeds])
    on = np.array([[int(digit) for digit in cell] for cell in CELLS])
    final = (500 + on @ np.array(EFFECTS))[:, None] * np.array(GAINS)
    final = final[..., None] + noise * rng.standard_normal((16, len(RATES), seeds))
    curve = np.minimum(1, np.arange(1, iterations + 1) / (0.7 * iterations))
    returns = 15 + (final - 15)[..., None] * curve
    return _records(returns, task, {"cell": np.array(CELLS, object), "rate": list(RATES)})


def regime(task="hopper", pairs=(2048, 20000, 100000), total=400_000, seeds=3) -> dict[str, xr.Dataset]:
    """Records of every number of pairs, one file each: more pairs agree more, and learn less per pair."""
    found = {}
    for number in pairs:
        rng = np.random.default_rng([*task.encode(), number])
        count = round(total / number)
        so_far = np.arange(count) * number / total
        shape = (1, len(RATES), seeds, count)
        gains = (np.array(GAINS) * (1 - np.log10(number / 2048) / 4))[None, :, None, None]
        returns = 20 + 1000 * gains * so_far + 30 * rng.standard_normal(shape)
        cosine = np.full(shape, np.nan)
        at = [k * count // min(3, count) for k in range(min(3, count))]
        cosine[..., at] = (number / (number + 8000 * (1 + 3 * so_far)))[at]
        labels = {"pairs": [number], "rate": list(RATES)}
        found[f"{task} {number}"] = _records(returns, task, labels, half_cosine=cosine)
    return found


def training(task: str, algo="ppo", seeds=3, iterations=60, prefix="", shift=0.0) -> xr.Dataset:
    """Records of training, or with `prefix` those with the other semantics, whose returns are higher by `shift`."""
    rng = np.random.default_rng([*task.encode(), *algo.encode()])
    time = np.arange(iterations) / iterations
    noise = rng.standard_normal((seeds, iterations))
    columns = {
        "return_mean": 100 + 2000 * time + 50 * noise + shift,
        "value_loss": 1 + time + 0.1 * noise,
        "explained_variance": 0.8 * time + 0.05 * noise,
    }
    coords = {"task": [task], "algo": [algo], "seed": range(seeds), "iteration": range(iterations)}
    variables = {
        f"{prefix}{name}": (tuple(coords), values[None, None], {"long_name": name, "units": "reward"})
        for name, values in columns.items()
    }
    return xr.Dataset(variables, coords)


def comparison(
    task: str, probe="gradient", algo="ppo", iteration=0, budgets=(100, 2048, 10000)
) -> xr.Dataset:
    """A comparison whose pairwise cosine is 0.1 higher with semantics exact."""
    budget = np.array(budgets)
    rising = budget / (budget + 2000.0 * (1 + iteration / 150))
    where = {"task": [task], "algo": [algo], "seed": [0], "iteration": [iteration]}
    dims = ("probe", *where, "budget")
    both = np.stack([rising, rising - 0.1])[None, :, None, None, None, None]
    one = {name: (dims, values.reshape(1, 1, 1, 1, 1, -1), {"long_name": name, "units": "1"}) for name, values in (
        ("between_cosine", 1 - 0.3 * (1 - rising)), ("norm_ratio", 1 + 0.1 * rising)
    )}  # fmt: skip
    many = {
        f"{name}_by_semantics": (
            ("probe", "semantics", *where, "budget"), values, {"long_name": name, "units": "1"}
        )
        for name, values in (("cosine", both), ("truth_cosine", np.sqrt(np.clip(both, 0, 1))))
    }  # fmt: skip
    coords = {"probe": [probe], "semantics": ["exact", "paper"], **where, "budget": budget}
    ds = xr.Dataset(one | many, coords)
    ds.budget.attrs = {"long_name": "state-action pairs per estimate", "units": "pairs"}
    return ds


def value_errors(task: str, algo="ppo", seeds=3, iterations=(0, 10)) -> xr.Dataset:
    """Value prediction errors: as published 0.5 higher than exact."""
    coords = {
        "task": [task], "algo": [algo], "seed": range(seeds), "iteration": list(iterations),
        "part": ["train", "held_out"], "target": ["gae", "returns"], "definition": ["as_text", "exact"],
    }  # fmt: skip
    sizes = [len(values) for values in coords.values()]
    mre = np.full(sizes, 0.4)
    mre[..., 0] += 0.5
    return xr.Dataset(
        {"mre": (tuple(coords), mre, {"long_name": "mean relative error", "units": "1"})}, coords
    )


def _records(returns: np.ndarray, task: str, labels: dict, **others: np.ndarray) -> xr.Dataset:
    seeds, iterations = returns.shape[-2:]
    where = {"task": np.array([task], object), "algo": np.array(["ppo"], object)}
    dims = (*where, *labels, "seed", "iteration")
    columns = {"return_mean": returns, "half_cosine": np.full(returns.shape, np.nan)} | others
    variables = {
        name: (
            dims,
            values[None, None],
            {"long_name": name, "units": "reward" if name == "return_mean" else "1"},
        )
        for name, values in columns.items()
    }
    variables["diverged"] = (
        dims[:-1],
        np.zeros((1, 1, *returns.shape[:-1]), np.int8),
        {"long_name": "diverged", "units": "1"},
    )
    return xr.Dataset(variables, where | labels | {"seed": range(seeds), "iteration": range(iterations)})
