"""The project's folder, copies of it in which commands are run, and parameters made smaller."""

from pathlib import Path

from toys import Checkout, Result

PROJECT = Path(__file__).parents[1]

__all__ = ["PROJECT", "Checkout", "Result", "narrow"]


def narrow(params: dict, lists: dict[str, list]) -> dict:
    """Parameters whose lists of tasks, of seeds and so on are those given; blocks that name some of them get the last.

    A block in which some seeds choose for others keeps its own seeds.
    """
    lists = {"probed": lists["algos"]} | lists if "algos" in lists else lists
    ends = {key: values[-1:] for key, values in lists.items()}
    found = {key: narrow(value, ends) if isinstance(value, dict) else value for key, value in params.items()}
    own = {"seeds"} if "choose" in found else set()
    return found | {
        key: values for key, values in lists.items() if isinstance(found.get(key), list) and key not in own
    }
