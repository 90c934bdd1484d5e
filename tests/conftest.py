"""What holds for the whole test run: checked shapes, one thread, repeatable examples.

The shapes in signatures are checked by beartype; torch keeps to one thread so that workers do not fight; hypothesis draws
the same examples every time, however slow the machine is. Files with slow tests come first when several processes share
the tests.
"""

import importlib
import os
from itertools import groupby

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("pgprim", "beartype.beartype")
importlib.import_module("torch").set_num_threads(1)

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items) -> None:
    """Have each of xdist's workers begin with whole files that have slow tests, so that the run ends on short ones.

    `--dist worksteal` first deals the tests out in one contiguous part per worker. Later it moves tests from the end of one
    part to a worker whose own is done.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1:
        return
    slow, others = [], []
    for _, group in groupby(items, lambda item: item.path):
        file = list(group)
        if any(item.get_closest_marker("slow") for item in file):
            slow.append(file)
        else:
            others.extend(file)
    ordered = []
    for worker in range(workers):
        part = [item for file in slow[worker::workers] for item in file]
        size = (len(items) - len(ordered)) // (workers - worker)
        fill = max(0, size - len(part))
        ordered += part + others[:fill]
        del others[:fill]
    items[:] = ordered + others
