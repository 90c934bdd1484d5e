"""Benchmarks, each a command: `python -m bench.pace`.

Importing this package sets how numerical libraries compute, as the pipeline's own commands do, before they are
imported.
"""

import pgprim.kernels  # noqa: F401
