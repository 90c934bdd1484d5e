"""Words on figures: names of tasks and algorithms, axis labels from a variable's attributes, short counts."""

import textwrap
from collections.abc import Iterable

import numpy as np
import xarray as xr

# The order of the paper's Table 1; names that are not in the paper follow alphabetically.
_TASKS = ("humanoid", "walker2d", "hopper")
_ALGOS = ("ppo", "ppo_m", "trpo")
_DIMENSIONLESS = ("", "1", "dimensionless")


def task_label(task: str) -> str:
    """`walker2d` -> `Walker2d`."""
    words = task.replace("_", " ")
    return words[:1].upper() + words[1:]


def figure_label(figure: str) -> str:
    """`fig2` -> `Figure 2`, `table1` -> `Table 1`, `noise_scale` -> `Noise scale`."""
    kind, number = figure.rstrip("0123456789"), figure[len(figure.rstrip("0123456789")) :]
    words = {"fig": "figure"}.get(kind, kind) if number else figure
    return task_label(f"{words} {number}".strip())


def algo_label(algo: str) -> str:
    """`ppo_m` -> `PPO-M`."""
    return algo.upper().replace("_", "-")


def order_tasks(tasks: Iterable[str]) -> list[str]:
    """The paper's tasks in its Table 1's order, then others alphabetically, each once."""
    return _order(tasks, _TASKS)


def order_algos(algos: Iterable[str]) -> list[str]:
    """The paper's algorithms, then others alphabetically, each once."""
    return _order(algos, _ALGOS)


def algos_of(ds: xr.Dataset | xr.DataArray) -> tuple[str, ...]:
    """The algorithms of a dataset in the order in which they share out colours."""
    return tuple(order_algos(np.atleast_1d(ds.algo.values).tolist()))


def _order(names: Iterable[str], known: tuple[str, ...]) -> list[str]:
    return sorted(set(names), key=lambda name: (known.index(name) if name in known else len(known), name))


def axis_label(variable: xr.DataArray, width: int | None = None) -> str:
    """`long_name [units]` of a variable, first letter upper case, units left out where there are none.

    Args:
        variable: A data variable or coordinate with the attributes `long_name` and `units`.
        width: Wrap lines after so many characters.
    """
    name = variable.attrs.get("long_name", str(variable.name).replace("_", " "))
    units = variable.attrs.get("units", "")
    text = name[:1].upper() + name[1:] + ("" if units in _DIMENSIONLESS else f" [{units}]")
    return text if width is None else _wrap(text, width)


def _wrap(text: str, width: int) -> str:
    """Lines of at most `width` characters, as few as possible and of similar length."""
    wrapped = textwrap.wrap(text, width, break_long_words=False)
    while (
        len(narrower := textwrap.wrap(text, width - 1, break_long_words=False)) == len(wrapped) and width > 2
    ):
        wrapped, width = narrower, width - 1
    return "\n".join(wrapped)


def number_label(value: float) -> str:
    """Two significant digits without a power of ten, with a minus sign: 128.3 -> `130`, -0.0234 -> `−0.023`."""
    return np.format_float_positional(value, 2, fractional=False, trim="-").replace("-", "−")


def count_label(count: float | int) -> str:
    """A count as the paper writes it: 2048 -> `2K`, 500 000 -> `500K`, 10⁷ -> `10M`."""
    for size, letter in ((1e6, "M"), (1e3, "K")):
        if count >= size:
            scaled = count / size
            return (
                f"{scaled:.3g}{letter}" if abs(scaled - round(scaled)) >= 0.05 else f"{round(scaled)}{letter}"
            )
    return f"{count:g}"
