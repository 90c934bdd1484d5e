"""The command `probe`, called as the pipeline calls it, in this process."""

import argparse

from pgprim.commands import probe


def measure(name: str, out: str, case: str = "", vectors: str | None = None, **paths: str) -> None:
    """Measure one probe.

    Args:
        name: The probe.
        out: Where its numbers go.
        case: Its case.
        vectors: Where its vectors go.
        paths: `checkpoint`, `rollouts`, `rerun`; all others are results of other probes, `gradient__vectors` for vectors.
    """
    inputs = {key: paths.pop(key, None) for key in ("checkpoint", "rollouts", "rerun")}
    results = [(key.replace("__", "."), path) for key, path in paths.items()]
    probe.main(argparse.Namespace(probe=name, case=case, out=out, vectors=vectors, result=results, **inputs))
