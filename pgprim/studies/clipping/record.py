"""The record of the study `clipping`."""

from collections.abc import Iterator

from pgprim.types.schema import COUNT, RATES, SEEDS, SHARE, TASKS, Schema, different
from pgprim.types.study import Params, Study, Training, processes
from pgprim.types.variants import STUDIED, VERSION, make_runs

OF_AN_ID: Schema = {
    "description": "the version of a Gymnasium id, such as v5", "type": "string", "pattern": "^v[0-9]+$"
}  # fmt: skip


def _trainings(params: Params) -> Iterator[Training]:
    """All versions at the pace of the task's own."""
    block = params["clipping"]
    agents, versions = len(block["seeds"]), block["versions"]
    for task in block["tasks"]:
        runs = [run for version in versions for run in make_runs(params, "clipping", task, version)]
        records = sum(run.iterations for run in runs) * agents
        pairs = sum((run.iterations + len(run.costs_at)) * run.values["pairs"] for run in runs) * agents
        jobs, stages = len(versions) * processes(params, agents), len(versions) * agents
        yield Training(task, STUDIED, jobs, stages, pairs, records)


def _check(params: Params) -> Iterator[str]:
    block = params["clipping"]
    if 1 not in block["rates"]:
        yield (
            f"clipping.rates is {block['rates']}, but must hold 1, the agents' own, at which runs with and without "
            "clipping are compared"
        )
    for task in block["tasks"]:
        env_id = params["env"][task]["id"]
        if not VERSION.search(env_id):
            yield (
                f"clipping.tasks names {task}, but env.{task}.id is {env_id}, which does not end in a version such as "
                "-v5; it must, because the study compares versions"
            )


STUDY = Study(
    name="clipping",
    question="What do the clipping of actions, the task's version and PPO's learning rate make of Humanoid's returns?",
    settings={
        "tasks": TASKS,
        "versions": different(OF_AN_ID, "versions", "[v4, v5]"),
        "rates": RATES,
        "seeds": SEEDS,
        "iterations": COUNT,
        "cost_points": COUNT,
        "final": SHARE,
    },
    trainings=_trainings,
    check=_check,
)
