"""Labelled datasets as the estimates write them, from a model of signal and noise.

The cosine of two estimates from N pairs is N / (N + B), and that of an estimate to a truth from M pairs is the root of
N / (N + B) · M / (M + B).
"""

import numpy as np
import xarray as xr

from pgprim.core.intervals import Interval
from pgprim.store.labelled import label
from pgprim.store.records import records_dataset

BUDGETS = (100, 250, 500, 1000, 2048, 5000, 12500)
TRUTH_PAIRS = 500_000
LEVEL = 0.95
# Noise scale of an untrained agent [pairs], and by how much it grows per 100 iterations.
SCALES = {"hopper": (200.0, 2.0), "walker2d": (600.0, 3.0), "humanoid": (2000.0, 4.0)}
LENGTHS = {"hopper": 200.0, "walker2d": 300.0, "humanoid": 40.0}


def noise_scale(task: str, algo: str, seed: int, iteration: int) -> float:
    """B of the model [pairs]."""
    start, growth = SCALES.get(task, (1000.0, 3.0))
    return start * growth ** (iteration / 100) * (2.0 if algo == "trpo" else 1.0) * 1.3 ** (seed % 3)


def _scale_from_cosine(budget: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """B of the model from a measured cosine, infinite where there is no agreement [pairs]."""
    share = np.clip(cosine, 1e-9, 1 - 1e-9)
    return np.where(cosine > 0, budget * (1 / share - 1), np.inf)


DESCRIBED = {
    "cosine": ("mean pairwise cosine of the estimates", "1"),
    "truth_cosine": ("mean cosine to the true gradient", "1"),
    "truth_cosine_corrected": ("mean cosine to the true gradient, corrected for the truth's noise", "1"),
    "noise_scale": ("gradient noise scale tr Σ / |G|²", "pairs"),
    "noise_scale_episodes": ("gradient noise scale tr Σ / |G|² in trajectories", "trajectories"),
    "norm": ("norm of an estimate", "1"),
    "truth_pairs": ("pairs of the pool", "pairs"),
    "truth_reliability": ("share of signal in the true gradient's squared norm", "1"),
    "num_trials": ("number of estimates", "1"),
    "mean_episode_length": ("mean length of the completed episodes", "pairs"),
}


def estimate(task: str, algo: str, seed: int, iteration: int, budgets=BUDGETS, trials=10) -> xr.Dataset:
    """One file of estimates: one agent at one checkpoint."""
    rng = np.random.default_rng([*task.encode(), *algo.encode(), seed, iteration])
    scale = noise_scale(task, algo, seed, iteration)
    budget = np.array(budgets)
    signal = budget / (budget + scale)
    width = (1 - signal) * np.sqrt(signal + 0.05) * 0.25
    cosine = np.clip(signal + 0.3 * width * rng.standard_normal(budget.size), -1, 1)
    reliability = TRUTH_PAIRS / (TRUTH_PAIRS + scale)
    corrected = np.sqrt(signal) + 0.3 * width * rng.standard_normal(budget.size)
    truth = corrected * np.sqrt(reliability)
    measured, low, high = (_scale_from_cosine(budget, c) for c in (cosine, cosine + width, cosine - width))
    per_budget = {
        "cosine": Interval(cosine, cosine - width, np.minimum(cosine + width, 1)),
        "truth_cosine": Interval(truth, truth - width / 2, truth + width / 2),
        "truth_cosine_corrected": corrected,
        "noise_scale": Interval(measured, low, high),
        "noise_scale_episodes": Interval(*(np.array([measured, low, high]) / LENGTHS.get(task, 100.0))),
    }
    variables = {name: (("budget",), values) for name, values in per_budget.items()}
    variables["norm"] = (("budget", "trial"), rng.uniform(0, 1, (budget.size, trials)))
    variables["truth_pairs"] = ((), TRUTH_PAIRS)
    variables["truth_reliability"] = (("budget",), np.full(budget.size, reliability))
    variables["num_trials"] = (("budget",), np.full(budget.size, float(trials)))
    variables["mean_episode_length"] = ((), LENGTHS.get(task, 100.0))
    coords = {"budget": budget, "trial": range(trials)}
    where = {"task": task, "algo": algo, "seed": seed, "iteration": iteration}
    attrs = {"level": LEVEL, "code": f"{task} {seed}", "conventions": "synthetic"}
    return label(variables, DESCRIBED, coords, attrs, where)


def estimates(
    tasks=("humanoid",), algos=("ppo", "trpo"), seeds=(0, 1, 2), iterations=(0, 150, 300, 450), **kwargs
) -> dict[str, xr.Dataset]:
    """All files of estimates of these agents, by name."""
    return {
        f"data/estimates/{task}/{algo}/{seed}/{iteration}.nc": estimate(task, algo, seed, iteration, **kwargs)
        for task in tasks
        for algo in algos
        for seed in seeds
        for iteration in iterations
    }


def record(task: str, algo: str, seeds=(0, 1, 2), iterations: int = 500) -> xr.Dataset:
    """One training record: the returns of seeds that were trained together."""
    rng = np.random.default_rng([*task.encode(), *algo.encode(), *seeds])
    time = np.linspace(0, 1, iterations)
    final = {"hopper": 2500.0, "walker2d": 3300.0, "humanoid": 800.0}.get(task, 1000.0)
    curve = final * (1 - np.exp(-4 * time)) * (0.8 if algo == "trpo" else 1.0)
    slow = np.cumsum(rng.standard_normal((len(seeds), iterations)), axis=1) / np.sqrt(iterations)
    returns = curve * (1 + 0.25 * slow + 0.08 * rng.standard_normal((len(seeds), iterations)))
    columns = {"return_mean": returns.T, "num_episodes": np.full(returns.T.shape, 3.0)}
    described = {
        "return_mean": ("mean undiscounted raw return of the completed episodes", "reward"),
        "num_episodes": ("completed episodes", "1"),
    }
    return records_dataset(columns, described, task, algo, seeds, {})


def records(
    tasks=("humanoid", "walker2d", "hopper"), algos=("ppo", "trpo"), **kwargs
) -> dict[str, xr.Dataset]:
    """All training records of these agents, by name."""
    return {f"data/records/{t}/{a}/0-1-2.zarr": record(t, a, **kwargs) for t in tasks for a in algos}
