"""The pipeline's commands: each parses, loads, calls and saves.

Importing this package sets how numerical libraries compute (they read the variables when they are first imported,
which is later). One thread: results must not depend on a machine's cores, and jobs run side by side. And products that
round alike wherever in memory and in whatever stack their factors lie (Intel's "conditional numerical
reproducibility"): an agent's result must not depend on which others are trained beside it.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MKL_CBWR", "AUTO")
