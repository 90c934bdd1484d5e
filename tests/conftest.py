"""Checks the shapes in signatures during the test run, and keeps torch to one thread so that workers do not fight."""

import importlib

from jaxtyping import install_import_hook

install_import_hook("pgprim", "beartype.beartype")
importlib.import_module("pgprim.stages")  # sets how numerical libraries compute, before they are imported
importlib.import_module("torch").set_num_threads(1)
