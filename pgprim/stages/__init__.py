"""The pipeline's commands: each parses, loads, calls and saves.

Importing this package keeps numerical libraries to one thread (they read the variables when they are first imported,
which is later): results must not depend on a machine's cores, and jobs run side by side.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
