"""Records of studies that train agents with changed settings: their parameters and cost.

`pgprim/studies/NAME/record.py` holds `STUDY`, beside `plot.py`, which draws.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgprim.types.schema import Schema

STUDIES = Path(__file__).parents[1] / "studies"

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Training:
    """Amount of work in all jobs of a study on one task.

    Attributes:
        task: Name of the task.
        algo: Name of the agents' settings.
        jobs: Number of processes; seeds that train in lock step share one.
        stages: Number of stages of dvc.yaml, one per seed.
        pairs: State-action pairs of all of them.
        records: Iterations, counted once per agent.
    """

    task: str
    algo: str
    jobs: int
    stages: int
    pairs: int
    records: int


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        name: Its folder, and its block in params.yaml.
        question: Its question, in a sentence.
        settings: JSON schema of each parameter.
        trainings: Its trainings, from the parameters.
        check: Complaints about its parameters beyond the schema, each a sentence without the file's name.
    """

    name: str
    question: str
    settings: Mapping[str, Schema]
    trainings: Callable[[Params], Iterator[Training]]
    check: Callable[[Params], Iterator[str]] = lambda params: iter(())


def studies() -> list[Study]:
    """The records of all studies."""
    names = sorted(file.parent.name for file in STUDIES.glob("*/record.py"))
    return [importlib.import_module(f"pgprim.studies.{name}.record").STUDY for name in names]


def processes(params: Params, seeds: int) -> int:
    """Number of processes for some number of seeds in lock step."""
    return -(-seeds // params["lockstep"])
