"""The whole audit: adopted checkpoints into their folders, jobs, findings, page."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pgprim.adopt.adopted import Adopted
from pgprim.audit.findings import audit_findings
from pgprim.audit.jobs import CHECKPOINT, PLAN, UPDATE_PROBES, code, measure_updates
from pgprim.audit.page import write_page
from pgprim.audit.plan import Size, plan, work
from pgprim.audit.schedule import Task, run_all
from pgprim.experience.updates import given_updates, look_at_updates
from pgprim.store.checkpoints import load_checkpoint, save_checkpoint
from pgprim.store.datasets import load_dataset, save_dataset
from pgprim.store.files import digest, write_json
from pgprim.store.provenance import provenance
from pgprim.types.checkpoint import Checkpoint
from pgprim.types.errors import UserError

SERIES = "series"
"""Folder of the results of a series of checkpoints."""

ADOPTED = "adopted.json"
"""File beside each checkpoint that lists what was read, assumed and left out."""


@dataclass(frozen=True)
class Ran:
    """Result of a run of an audit.

    Attributes:
        jobs: Jobs that were run; those that were done before are not among them.
        page: The page.
    """

    jobs: list[Task]
    page: Path


def audit(
    out: Path,
    adopted: Iterable[Adopted],
    size: Size,
    *,
    jobs: int,
    study: Path,
    every: bool = False,
) -> Ran:
    """Audit an agent; only new checkpoints are computed.

    Args:
        out: Folder of the audit, with a folder per checkpoint.
        adopted: The agent's checkpoints by rising iteration.
        size: How much is measured.
        jobs: Number of parallel processes.
        study: Folder of the study's published datasets; it may be missing.
        every: Whether all checkpoints are audited, or the last one alone.

    Raises:
        UserError: The folder holds an audit of another agent, or a job fails.
    """
    checkpoints = [keep(out, one) for one in adopted]
    chosen = checkpoints if every else checkpoints[-1:]
    folders = [out / str(one.iteration) for one in chosen]
    seconds = {}
    for folder, checkpoint in zip(folders, chosen, strict=True):
        parameters = plan(checkpoint, size)
        write_json(folder / PLAN, parameters)
        seconds[folder] = work(parameters, checkpoint.settings["pairs"])
    ran = run_all(folders, seconds, jobs)
    beyond = json.loads((folders[-1] / PLAN).read_text())["updates"]["beyond"]
    measure_series(out, checkpoints, beyond)
    report = audit_findings(out, chosen[-1].iteration, study)
    write_json(out / "audit.json", report)
    write_page(out, report)
    return Ran(ran, out / "audit.html")


def keep(out: Path, adopted: Adopted) -> Checkpoint:
    """Write one checkpoint into its folder.

    Raises:
        UserError: The audit's folder holds checkpoints of another agent.
    """
    checkpoint, agent, fidelity = adopted.checkpoint, adopted.agent, adopted.fidelity
    for file in sorted(out.glob(f"*/{CHECKPOINT}")):
        other = load_checkpoint(file)
        for name in ("algo", "environment", "num_obs", "num_act"):
            here, there = getattr(checkpoint, name), getattr(other, name)
            if here != there:
                raise UserError(
                    f"{out}: holds the audit of another agent ({file} has {name} {_show(there)}, {agent.path} has "
                    f"{_show(here)}); give another folder by --out"
                )
    folder = out / str(checkpoint.iteration)
    save_checkpoint(folder / CHECKPOINT, checkpoint)
    about = {
        "file": agent.path,
        "written_by": agent.written_by,
        "assumed": list(agent.assumed),
        "left_out": list(agent.left_out),
        "grad_cosine": fidelity.grad_cosine,
        "value_error": fidelity.value_error,
        "logp_error": fidelity.logp_error,
        "returns": fidelity.returns.tolist(),
    }
    write_json(folder / ADOPTED, about)
    return checkpoint


def measure_series(out: Path, checkpoints: Sequence[Checkpoint], beyond: int) -> None:
    """Results of the probes `value` and `trust_region` for the updates between a series' checkpoints, on fresh pairs.

    Args:
        out: Folder of the audit; nothing is written where the series holds no update.
        checkpoints: By rising iteration.
        beyond: Pairs past the cut.
    """
    updates, first = given_updates(checkpoints), checkpoints[0]
    if not updates:
        return
    files = [out / str(one.iteration) / CHECKPOINT for one in checkpoints]
    attrs = provenance({"updates": {"beyond": beyond}}, agent=first) | {
        "code": code(),
        "snapshots_sha256": " ".join(digest(file) for file in files),
    }
    if all(_is_made_from(out / SERIES / output, attrs) for output in UPDATE_PROBES):
        return
    arrays = look_at_updates(updates, beyond)
    for output, numbers in measure_updates(arrays, [before for before, _ in updates]).items():
        save_dataset(out / SERIES / output, numbers.assign_attrs(numbers.attrs | attrs))


def _is_made_from(path: Path, attrs: dict[str, Any]) -> bool:
    try:
        return attrs.items() <= load_dataset(path).attrs.items()
    except UserError:
        return False


def _show(value: Any) -> str:
    return str(np.asarray(value)) if np.ndim(value) else getattr(value, "id", str(value))
