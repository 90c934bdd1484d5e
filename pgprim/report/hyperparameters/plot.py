"""Table 1: the agents' hyperparameters, straight from the parameter file."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgprim.plotting.labels import algo_label, order_algos, order_tasks, task_label
from pgprim.plotting.style import WIDTH, style
from pgprim.types.errors import UserError

FIGURES = ("table1",)

# Names as in the paper's Table 1. A parameter that is not here is shown under its own name in the last group.
_GROUPS = {
    "Data and advantages": {
        "iterations": "Training iterations",
        "pairs": "State-action pairs per iteration",
        "gamma": r"Discount factor $\gamma$",
        "lam": r"GAE discount $\lambda$",
        "rew_norm": "Reward normalisation",
        "rew_clip": "Reward clipping",
        "obs_clip": "Observation clipping",
        "semantics": "Semantics of episode ends",
    },
    "Networks": {
        "hidden": "Hidden layers, policy and value",
        "init": "Initialisation",
        "log_sigma": r"Initial $\log\,\sigma$",
        "minibatches": "Minibatches per epoch",
        "adam_eps": r"Adam $\epsilon$",
        "anneal": "Learning rates annealed to 0",
        "anneal_over": "Iteration at which annealing ends",
    },
    "Value function": {
        "value_lr": "Learning rate",
        "value_epochs": "Epochs",
        "value_clip": "Clipping",
    },
    "Policy, PPO": {
        "policy_lr": "Learning rate (Adam)",
        "policy_epochs": "Epochs",
        "eps": r"Clipping $\varepsilon$",
    },
    "Policy, TRPO": {
        "delta": r"KL constraint $\delta$",
        "fisher_fraction": "Fisher estimation fraction",
        "cg_steps": "Conjugate gradient steps",
        "cg_damping": "Conjugate gradient damping",
        "backtracks": "Backtracking steps",
        "backtrack_factor": "Backtracking factor",
        "accept_ratio": "Smallest share of expected gain",
    },
}
# Clips to [-x, x].
_SYMMETRIC = ("rew_clip", "obs_clip", "value_clip")
# The interval of snapshots is not a property of an agent.
_LEFT_OUT = ("snapshot_every",)

_LABEL_WIDTH, _COLUMN_WIDTH, _ROW_HEIGHT = 1.95, 0.59, 0.165  # inch


def select(figure: str, ds: xr.Dataset | None, params: Mapping[str, Any]) -> xr.Dataset:
    """The table as a dataset: `value` over `(parameter, algo, task)`, as JSON text, empty where there is none.

    Args:
        figure: One of `FIGURES`.
        ds: None: the table reads no results.
        params: The parameter file: `tasks`, `algos`, `train` and `agents`.

    Raises:
        UserError: If there is a dataset.
    """
    if ds is not None:
        source = ds.encoding.get("source", "the dataset")
        raise UserError(f"{source}: {figure} is drawn from params.yaml alone; give no input directory")
    tasks, algos = order_tasks(params["tasks"]), order_algos(params["algos"])
    cells = {
        (algo, task): params["train"] | params["agents"][algo]["all"] | params["agents"][algo].get(task, {})
        for algo in algos
        for task in tasks
    }
    keys = _order(key for cell in cells.values() for key in cell if key not in _LEFT_OUT)
    values = np.array(
        [[[_text(cells[algo, task], key) for task in tasks] for algo in algos] for key in keys], dtype=str
    )
    attrs = {
        "long_name": "value of the hyperparameter as JSON, empty where the algorithm has none",
        "units": "1",
    }
    return xr.Dataset(
        {"value": (("parameter", "algo", "task"), values, attrs)},
        {"parameter": keys, "algo": algos, "task": tasks},
        {"figure": figure},
    )


def plot(ds: xr.Dataset) -> Figure:
    """Draw the table: a row per hyperparameter, a column per task and, within it, per algorithm."""
    with style():
        lines = _lines(ds)
        columns = ds.task.size * ds.algo.size
        width = _LABEL_WIDTH + columns * _COLUMN_WIDTH
        if columns >= 4:
            width = max(WIDTH, width)
        figure = Figure(figsize=(width, (len(lines) + 2.9) * _ROW_HEIGHT))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(len(lines) + 0.45, -2.45))
        axes.set_axis_off()
        edges = np.linspace(_LABEL_WIDTH, width - 0.05, columns + 1)
        _draw_header(axes, ds, edges)
        for y, line in enumerate(lines):
            _draw_line(axes, y, line, edges)
        for y, weight in ((-2.2, 1.0), (-0.2, 0.6), (len(lines) + 0.2, 1.0)):
            axes.plot([0.05, width - 0.05], [y, y], color="black", linewidth=weight)
        return figure


def cell_text(parameter: str, value: str) -> str:
    """A value as papers print it: `2.5e-04` -> 2.5 × 10⁻⁴, `[64, 64]` -> 64, 64, `null` -> none, no value -> a dash."""
    if value == "":
        return "–"
    number = json.loads(value)
    sign = "±" if parameter in _SYMMETRIC and isinstance(number, int | float) else ""
    return sign + _readable(number)


def _readable(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_readable, value))
    if isinstance(value, float) and value != 0 and not 1e-2 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.6e}".split("e")
        factor = "" if float(mantissa) == 1 else rf"{float(mantissa):g}\times"
        return f"${factor}10^{{{int(exponent)}}}$"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text(cell: Mapping[str, Any], key: str) -> str:
    return json.dumps(cell[key]) if key in cell else ""


def _order(keys: Iterable[str]) -> list[str]:
    """The paper's parameters group by group, then the others alphabetically."""
    paper = [key for group in _GROUPS.values() for key in group]
    given = set(keys)
    return [key for key in paper if key in given] + sorted(given - set(paper))


def _lines(ds: xr.Dataset) -> list[tuple[str, list[str] | None]]:
    """The table's lines from above: a group's title without cells, or a parameter's label and the text of its cells."""
    parameters = ds.parameter.values.tolist()
    paper = {key for group in _GROUPS.values() for key in group}
    other = {key: key.replace("_", " ").capitalize() for key in parameters if key not in paper}
    lines = []
    for title, group in (_GROUPS | {"Other": other}).items():
        rows = [(label, key) for key, label in group.items() if key in parameters]
        if rows:
            lines.append((title, None))
        for label, key in rows:
            cells = ds.value.sel(parameter=key).transpose("task", "algo").values.ravel()
            lines.append((label, [cell_text(key, cell) for cell in cells]))
    return lines


def _draw_header(axes: Axes, ds: xr.Dataset, edges: np.ndarray) -> None:
    """Two header lines: tasks with a rule under each, and the algorithms of each."""
    size = ds.algo.size
    for place, task in enumerate(ds.task.values):
        left, right = edges[place * size], edges[(place + 1) * size]
        axes.text((left + right) / 2, -1.65, task_label(task), ha="center", va="center", weight="bold")
        axes.plot([left + 0.06, right - 0.06], [-1.15, -1.15], color="black", linewidth=0.4)
        for column, algo in enumerate(ds.algo.values, start=place * size):
            axes.text(edges[column : column + 2].mean(), -0.65, algo_label(algo), ha="center", va="center")


def _draw_line(axes: Axes, y: int, line: tuple[str, list[str] | None], edges: np.ndarray) -> None:
    """A group's title, or a parameter with its values; a value that all agents share stands once, in the middle."""
    label, cells = line
    if cells is None:
        axes.text(0.08, y + 0.55, label, va="center", style="italic")
        return
    axes.text(0.2, y + 0.5, label, va="center")
    if len(cells) > 1 and len(set(cells)) == 1:
        axes.text((edges[0] + edges[-1]) / 2, y + 0.5, cells[0], ha="center", va="center")
        return
    for column, cell in enumerate(cells):
        axes.text(edges[column : column + 2].mean(), y + 0.5, cell, ha="center", va="center")
