"""Time limits of tasks."""

import importlib

import gymnasium


def time_limit(env_id: str) -> int | None:
    """Pairs after which a time limit ends an episode of a task; None if there is no limit.

    Args:
        env_id: Gymnasium's id; `module:Name-v0` imports `module` first.
    """
    module, _, name = env_id.rpartition(":")
    if module:
        importlib.import_module(module)
    return gymnasium.spec(name).max_episode_steps
