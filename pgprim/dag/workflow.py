"""What the Snakefile imports: the pipeline of dvc.yaml as arguments of Snakemake's rules."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.io import directory
from snakemake.logging import logger

from pgprim.dag.dvcapi import Repository
from pgprim.dag.pipeline import figures, is_folder
from pgprim.dag.planning import Plan
from pgprim.types.errors import UserError


class Workflow:
    """Rules take their inputs, outputs and wildcards from here.

    Args:
        workflow: Snakemake's own object of that name.
    """

    def __init__(self, workflow: Any):
        self._workflow = workflow
        self._checked = False
        try:
            self._plan = Plan(Repository("."), say=logger.info)
            if workflow.is_main_process:
                self._plan.prepare(dry_run=workflow.output_settings.dryrun)
        except UserError as error:
            raise WorkflowError(str(error)) from None
        self._pipeline = self._plan.pipeline

    def finish(self) -> None:
        """For onsuccess and onerror: write dvc.lock."""
        self._plan.finish()

    def figures(self) -> list[str]:
        """All figures: the default target."""
        return figures(self._pipeline.maker)

    def other_groups(self, *mentioned: str) -> list[str]:
        """Stage groups of dvc.yaml that have no rule of their own; `code` needs none."""
        return [group for group in self._pipeline.groups if group not in ("code", *mentioned)]

    def inputs(self, group: str) -> Callable[..., list[str]]:
        """Input function: what the job's stage reads, folders as the outputs they consist of."""
        first = self._pipeline.patterns(group)[0]

        def find(wildcards: Any) -> list[str]:
            stage = self._pipeline.stages[self._pipeline.maker[first.format(**dict(wildcards.items()))]]
            if self._workflow.is_main_process:
                self._check_settings()
                if not self._workflow.output_settings.dryrun:
                    self._plan.fetch_inputs(stage.name)
            return [path for dep in stage.deps for path in (self._pipeline.made_of(dep) or [dep])]

        return find

    def outputs(self, group: str) -> list[str]:
        """Output patterns."""
        return [directory(path) if is_folder(path) else path for path in self._pipeline.patterns(group)]

    def stage(self, group: str) -> Callable[..., str]:
        """Params function: the name of the job's stage."""
        return lambda wildcards, output: self._pipeline.maker[str(output[0])]

    def wildcards(self, group: str) -> dict[str, str]:
        """Wildcard constraints, so that only what dvc.yaml lists matches."""
        return {name: "|".join(map(re.escape, values)) for name, values in self._pipeline.wildcard_values(group).items()}

    def path(self, folder: str, group: str, suffix: str) -> str:
        """A pattern for a job's log or benchmark: its first output's, under another folder."""
        first = Path(self._pipeline.patterns(group)[0])
        parts = first.parts[1:] if first.parts[0] == "data" else first.parts
        return f"{Path(folder, *parts).with_suffix('')}{suffix}"

    def _check_settings(self) -> None:
        if self._workflow.dag_settings.max_checksum_file_size and not self._checked:
            raise WorkflowError("run with profiles/default (max-checksum-file-size: 0, rerun-triggers: mtime)")
        self._checked = True
