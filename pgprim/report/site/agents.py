"""Every agent with its result files, their hashes, and the commands that make them."""

from collections.abc import Mapping
from typing import Any

from pgprim.plotting.labels import order_algos, order_tasks
from pgprim.report.site.collect import ESTIMATES, Estimates


def agents(estimates: Mapping[str, Estimates]) -> list[dict[str, Any]]:
    """All agents that have results, in the order of the paper's tasks and algorithms.

    Files lie at `data/estimates/PROBE/TASK/ALGO/SEED.nc`, or at `.../SEED/ITERATION.nc` or `.../SEED/ITERATION/KIND.nc`.

    Args:
        estimates: Results by probe.

    Returns:
        For each agent `task`, `algo`, `seed`, its `checkpoints` (SHA-256 by iteration), `environment` and `semantics`
        as far as its files say them, and `files`: `probe`, `case` (iteration and kind), `path`, `sha256`.
    """
    by_agent: dict[tuple[str, str, int], dict[str, Any]] = {}
    for probe, results in estimates.items():
        for name, ds in results.parts.items():
            task, algo, seed, *case = name.removesuffix(".nc").split("/")
            agent = by_agent.setdefault(
                (task, algo, int(seed)),
                {"task": task, "algo": algo, "seed": int(seed), "checkpoints": {}, "files": []},
            )
            path = f"{ESTIMATES}/{probe}/{name}"
            agent["files"].append(
                {"probe": probe, "case": "/".join(case), "path": path, "sha256": results.digests[name]}
            )
            for key in ("environment", "semantics"):
                if key in ds.attrs:
                    agent[key] = ds.attrs[key]
            if case and "checkpoint_sha256" in ds.attrs:
                agent["checkpoints"][case[0]] = ds.attrs["checkpoint_sha256"]
    for agent in by_agent.values():
        agent["checkpoints"] = dict(sorted(agent["checkpoints"].items(), key=lambda item: int(item[0])))
    tasks = order_tasks(task for task, _, _ in by_agent)
    algos = order_algos(algo for _, algo, _ in by_agent)
    return sorted(
        by_agent.values(),
        key=lambda agent: (tasks.index(agent["task"]), algos.index(agent["algo"]), agent["seed"]),
    )
