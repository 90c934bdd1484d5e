"""The same bytes whatever processor the numerical libraries believe to be on.

The variants are what the environment can force upon them, and so the kernels of other processors. They must have no effect
once pgprim.kernels is imported first, and a control shows that they have one otherwise.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from pgprim.kernels import NAME, kernels
from tests.checkouts import narrow

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(kernels() != NAME, reason="the promise is for x86-64 with AVX2 only")

VARIANTS = {
    "a newer Intel": {
        "OPENBLAS_CORETYPE": "SkylakeX",
        "NPY_ENABLE_CPU_FEATURES": "X86_V3",
        "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_CBWR": "AUTO",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ONEDNN_MAX_CPU_ISA": "ALL",
        "OMP_NUM_THREADS": "2",
        "PYTHONHASHSEED": "1",
    },
    "an AMD": {
        "OPENBLAS_CORETYPE": "Zen",
        "MKL_CBWR": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_NUM_THREADS": "2",
        "MKL_DOMAIN_NUM_THREADS": "MKL_DOMAIN_ALL=2",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "2",
    },
    "an old one": {
        "OPENBLAS_CORETYPE": "Prescott",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_NUM_THREADS": "2",
        "LC_ALL": "C.UTF-8",
    },
}

PACKAGES = ("audit", "commands", "experience", "plotting", "probes", "report", "rl", "store", "studies")
"""Packages that compute, or keep what was computed."""

OPERATIONS = """
import hashlib, sys
import numpy as np
import scipy.linalg
import torch

draw = np.random.default_rng(0)
for precision in (np.float32, np.float64):
    left, right = (draw.standard_normal(shape).astype(precision) for shape in ((3, 64, 376), (3, 376, 64)))
    image, filters = draw.standard_normal((2, 4, 20, 20)), draw.standard_normal((8, 4, 3, 3))
    x, y, image, filters = (torch.from_numpy(a.astype(precision)) for a in (left, right, image, filters))
    results = {
        "numpy matmul": left @ right,
        "numpy tanh": np.tanh(left),
        "numpy exp": np.exp(left),
        "numpy log1p": np.log1p(np.abs(left)),
        "numpy sum": left.sum(),
        "numpy qr": np.linalg.qr(left[0])[0],
        "scipy solve": scipy.linalg.solve(left[0] @ left[0].T, left[0, :, 0]),
        "torch matmul": (x @ y).numpy(),
        "torch dot": (x[0].flatten() @ y[0].flatten()).numpy(),
        "torch tanh": x.tanh().numpy(),
        "torch exp": x.exp().numpy(),
        "torch softmax": x.softmax(2).numpy(),
        "torch sum": x.sum().numpy(),
        "torch conv": torch.nn.functional.conv2d(image, filters).numpy(),
    }
    for name, result in results.items():
        print(np.dtype(precision), name, hashlib.md5(np.ascontiguousarray(result)).hexdigest())
"""

AGENT = "snapshots/0/2.safetensors"
COMMANDS = (
    "train --task hopper --algo ppo --seeds 0-1 --snapshots snapshots --records records",
    "train --task humanoid --algo trpo --seeds 0 --snapshots trpo/snapshots --records trpo/records",
    f"sample --checkpoint {AGENT} --out rollouts.zarr",
    f"probe gradient --checkpoint {AGENT} --rollouts rollouts.zarr --vectors g.zarr --out gradient.nc",
    f"probe steps --checkpoint {AGENT} --rollouts rollouts.zarr --vectors s.zarr --out steps.nc",
)


def python(*arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """Run Python with nothing in its environment but what is named."""
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environment
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=clean, capture_output=True, text=True)


def operations(first: str, **environment: str) -> list[str]:
    """Digests of many operations' results after the line `first`."""
    done = python("-W", "error", "-c", first + OPERATIONS, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_libraries_compute_alike_in_every_environment():
    expected = operations("import pgprim.kernels")
    assert len(expected) == 28
    for variant, environment in VARIANTS.items():
        assert operations("import pgprim.kernels", **environment) == expected, variant


def test_they_do_not_when_the_kernels_are_not_chosen():
    """The control: the variants do force other kernels, in numpy, in scipy and in torch."""
    one, other = operations(""), operations("", **VARIANTS["an old one"])
    different = {line.rpartition(" ")[0] for line, old in zip(one, other, strict=True) if line != old}
    assert {"float32 numpy matmul", "float32 torch matmul", "float64 scipy solve"} <= different


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_that_computes_chooses_the_kernels_before_numpy_is_loaded(package):
    """Importing any module imports its package first. `pgprim` itself and `adopt`, which training loops use, choose nothing."""
    code = f"import sys, pgprim.{package}; print('numpy' in sys.modules, pgprim.kernels.kernels())"
    assert python("-c", code).stdout == f"False {NAME}\n"


def test_packages_that_choose_no_kernels_load_none_or_are_used_in_other_programs():
    others = {path.parent.name for path in ROOT.glob("pgprim/*/__init__.py")} - set(PACKAGES)
    assert others <= {"adopt", "core", "types"}
    code = "import os; before = dict(os.environ); import pgprim.adopt, pgprim.library; print(os.environ == before)"
    assert python("-c", code).stdout == "True\n"


def test_commands_compute_alike_whatever_the_environment_says():
    """As Python starts them: no other module of pgprim is named."""
    first = "import runpy; commands = runpy.run_module('pgprim.commands.train', run_name='as imported')"
    expected = operations("import pgprim.kernels")
    assert all(operations(first, **environment) == expected for environment in ({}, *VARIANTS.values()))


def test_libraries_run_the_kernels_that_were_chosen():
    core = np._core._multiarray_umath
    assert [name for name in core.__cpu_dispatch__ if core.__cpu_features__[name]] == ["X86_V3"]
    assert torch.backends.cpu.get_cpu_capability() == "AVX2"
    assert (torch.get_num_threads(), kernels()) == (1, "x86-64-avx2")


def test_commands_refuse_libraries_that_were_loaded_too_early(tmp_path):
    code = (
        "import numpy, runpy, sys; sys.argv[1:] = '--checkpoint none --out out.zarr'.split(); "
        "runpy.run_module('pgprim.commands.sample', run_name='__main__')"
    )
    done = python("-c", code, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "python -m pgprim sample: numpy was imported before pgprim.kernels and has chosen its kernels by the "
        "processor: import pgprim.kernels first"
    )


def test_elsewhere_they_compute_under_another_name():
    done = python("-c", "import numpy, pgprim.rl.networks; print(pgprim.kernels.kernels())")
    assert done.stdout == "unknown\n", done.stderr


def test_commands_refuse_a_glibc_without_the_processors_instructions():
    done = python(
        "-m", "pgprim.commands.sample", "--checkpoint", "none", "--out", "out",
        GLIBC_TUNABLES="glibc.cpu.hwcaps=-FMA",
    )  # fmt: skip
    assert done.returncode == 1
    assert "GLIBC_TUNABLES is 'glibc.cpu.hwcaps=-FMA'" in done.stderr


def write_params(folder: Path) -> None:
    """The default set, small."""
    yaml = YAML(typ="safe", pure=True)
    params = narrow(yaml.load((ROOT / "workflow/scales/default.yaml").read_text()), {"iterations": [2]})
    params["train"] |= {
        "iterations": 2, "snapshot_every": 2, "pairs": 512, "minibatches": 8, "value_epochs": 2,
    }  # fmt: skip
    params["sample"] = {
        "streams": 7, "pairs": 600, "estimates": 4, "kept": 7, "trials": 4, "deep": {"seeds": [], "pairs": 600}
    }  # fmt: skip
    for probe in ("gradient", "steps"):
        params["probes"]["rollouts"][probe] |= {"budgets": [100, 600]}
    params["fit"] |= {"beyond": 100}
    params["baselines"] |= {"budgets": [600], "pairs": 600, "beyond": 100}
    params["plot"]["budget"] = 600
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(params, file)


def artifacts(folder: Path, **environment: str) -> dict[str, str]:
    """Digests of all that the commands write."""
    folder.mkdir()
    write_params(folder)
    for command in COMMANDS:
        name, *arguments = command.split()
        done = python("-m", f"pgprim.commands.{name}", *arguments, folder=folder, **environment)
        assert done.returncode == 0, done.stderr
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
def test_commands_write_the_same_bytes_in_every_environment(tmp_path):
    expected = artifacts(tmp_path / "expected")
    assert {AGENT, "gradient.nc", "steps.nc"} <= set(expected)
    for number, (variant, environment) in enumerate(VARIANTS.items()):
        assert artifacts(tmp_path / f"folder {number}", **environment) == expected, variant
