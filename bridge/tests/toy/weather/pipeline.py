"""The toy's side of the bridge."""

from pathlib import Path

import yaml
from dvcsnake.errors import UserError
from dvcsnake.hooks import Hooks

KEYS = {
    "cities", "models", "stations", "networks", "years", "simulate", "draw", "estimate", "plot", "instruments"
}  # fmt: skip
SECONDS = {"simulate": 60.0, "pick": 1.0, "draw": 30.0, "estimate": 5.0, "figure": 2.0}


def check() -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    for key in params.keys() - KEYS:
        raise UserError(f"params.yaml has the key {key}, but its keys are {', '.join(sorted(KEYS))}")
    for key in params["simulate"].keys() - {"length", "drift"}:
        raise UserError(f"params.yaml: simulate has the key {key}, but its keys are length and drift")
    for name in params["estimate"]:
        if not Path(f"weather/statistics/{name}/estimate.py").exists():
            raise UserError(
                f"params.yaml: estimate.{name} must be a statistic with a module weather/statistics/{name}/estimate.py"
            )


def seconds(stages):
    return [SECONDS.get(stage.group) for stage in stages]


def extra_digests(params):
    return {f"instruments/{city}.txt": paths for city, paths in params["instruments"].items()}


HOOKS = Hooks(
    package="weather",
    targets=("figures/*",),
    captions="captions.rst",
    check=check,
    seconds=seconds,
    extra_digests=extra_digests,
)
