"""Selects the same numerical kernels on every x86-64 processor with AVX2 and FMA.

numpy, OpenBLAS, torch and MKL select kernels by processor and environment when they are loaded, and kernels round
differently. This module fixes the selection. Every package of pgprim that computes for the study imports it before
anything else; `pgprim` itself does not, so that a program that uses the library keeps its own kernels.
`docs/determinism.md` has the guarantee and its limits.
"""

import os
import platform
import re
import sys
from pathlib import Path

from pgprim.types.errors import UserError

NAME = "x86-64-avx2"

LIBRARIES = ("numpy", "scipy", "torch")
"""Choose their kernels when they are loaded, and keep them."""

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
"""Results must not depend on a machine's cores, and jobs run side by side."""

CHOICES = {
    "OPENBLAS_CORETYPE": "Haswell",  # in numpy and in scipy: Intel's first processor with AVX2; AMD's run it as well
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # all that numpy has above X86_V3
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's convolutions
    # MKL is torch's BLAS. Its AVX2 kernels differ between Intel and AMD; these are the only ones that both have. They
    # also round alike wherever in memory and in whatever stack the factors lie, so that an agent's result does not
    # depend on which others are trained beside it.
    "MKL_CBWR": "COMPATIBLE",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}

CONTRARY = ("NPY_ENABLE_CPU_FEATURES", "MKL_DOMAIN_NUM_THREADS")
"""Would overrule these choices, or be an error beside them."""


def kernels() -> str:
    """Name of the kernels in this process.

    Two artifacts can be compared byte by byte only if it is the same for both. Other architectures have names of their
    own, and so has a process whose libraries were loaded before this package.
    """
    if _obstacle:
        return "unknown"
    return NAME if _avx2 else f"{platform.machine()}-{platform.system()}".lower()


def require_kernels() -> None:
    """Refuse to compute with kernels that this module did not select.

    Raises:
        UserError: A library was loaded before this package, or glibc was told not to use what the processor can do.
    """
    if _obstacle:
        raise UserError(_obstacle)


def _has_avx2() -> bool:
    """Whether this is Linux on an x86-64 processor with AVX2 and FMA."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return False
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return flags is not None and {"avx2", "fma"} <= set(flags[1].split())


def _choose(choices: dict[str, str]) -> str | None:
    """Set the environment variables; returns a sentence with the reason if it is too late."""
    late = any(os.environ.get(name) != value for name, value in choices.items())
    os.environ.update(choices)
    for name in CONTRARY:
        os.environ.pop(name, None)
    loaded = [name for name in LIBRARIES if name in sys.modules]
    if late and loaded:
        return f"{loaded[0]} was imported before pgprim.kernels and has chosen its kernels by the processor: import pgprim.kernels first"
    if "glibc.cpu" in (tunables := os.environ.get("GLIBC_TUNABLES", "")):
        return f"GLIBC_TUNABLES is '{tunables}' and decides how functions round, but must not set glibc.cpu"
    return None


_avx2 = _has_avx2()
_obstacle = _choose(ONE_THREAD | (CHOICES if _avx2 else {}))
