"""What holds for the whole test run: checked shapes, one thread, repeatable examples.

The shapes in signatures are checked by beartype; torch keeps to one thread so that workers do not fight; hypothesis draws
the same examples every time, however slow the machine is.
"""

import importlib

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("pgprim", "beartype.beartype")
importlib.import_module("torch").set_num_threads(1)

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
