"""Checks the shapes in signatures during the test run, and keeps torch to one thread so that workers do not fight."""

import torch
from jaxtyping import install_import_hook

install_import_hook("pgprim", "beartype.beartype")
torch.set_num_threads(1)
