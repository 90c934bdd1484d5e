"""Arguments for Snakemake's rules from the pipeline of dvc.yaml; the Snakefile imports this."""

import logging
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dvcsnake.errors import UserError, in_a_sentence
from dvcsnake.versions import require

try:
    require("dvc", "dvc-data", "snakemake")
except UserError as error:
    sys.exit(f"dvcsnake: {error}")

from snakemake.cli import get_argument_parser
from snakemake.exceptions import WorkflowError
from snakemake.io import Mtime, directory, report
from snakemake.logging import logger

from dvcsnake import progress, together, why
from dvcsnake.dvc_api import FAILURES
from dvcsnake.hooks import load_hooks
from dvcsnake.pipeline import Stage, is_folder
from dvcsnake.prelude import (
    default_targets,
    finish,
    mistyped_input,
    outputs_of,
    prepare,
    settle,
    unknown,
    without_targets,
)
from dvcsnake.project import hold, open_project

# Options with which Snakemake shows or forces stages that are up to date, so that it must be told of all of them.
WHOLE = (
    "--report",
    "--dag",
    "--rulegraph",
    "--filegraph",
    "--d3dag",
    "--summary",
    "--detailed-summary",
    "-S",
    "-D",
)

# How Snakemake warns in a report, file by file, of every output that it did not make itself.
NO_METADATA = "Missing metadata for file"


class Workflow:
    """Rules take their inputs, outputs and wildcards from here.

    Args:
        workflow: Snakemake's own object of that name.

    Attributes:
        rules: the file with the rules of all stages that have none yet; include it after your own.
        job: the shell command of every rule.
    """

    rules = str(Path(__file__).with_name("rules.smk"))
    job = "python -m dvcsnake run {params.stage:q} > {log:q} 2>&1"

    def __init__(self, workflow: Any):
        logging.raiseExceptions = False  # or a full disk is a traceback for each line of Snakemake's log file
        self._workflow = workflow
        self._settled = False
        # By stage that shares a process, all that share it, the leader first.
        self._bundles: dict[str, list[str]] = {}
        try:
            if workflow.is_main_process:
                load_hooks().check()
            is_dry = workflow.output_settings.dryrun or "--lint" in sys.argv
            self._project = open_project(".", logger.info, is_dry)
            if workflow.is_main_process:
                self._lock = hold(self._project.root)
                self._plan = prepare(self._project)
        except (UserError, *FAILURES) as error:
            sys.exit(f"dvcsnake: {in_a_sentence(error)}")  # Snakemake would add the line of the Snakefile
        if _is_asked_for("--report"):
            logger.addFilter(_OneWarning())
        self._pipeline = self._project.pipeline
        self._hooks = self._project.repository.hooks
        self._captions = str(self._project.root / self._hooks.captions) if self._hooks.captions else None

    def finish(self) -> None:
        """For onsuccess and onerror: write dvc.lock."""
        together.write(self._project.root, {})
        try:
            finish(self._project)
        except (UserError, *FAILURES) as error:
            logger.error(f"dvcsnake: dvc.lock is not written, the next run does it: {in_a_sentence(error)}")

    def targets(self) -> list[str]:
        """The default targets."""
        return default_targets(self._project)

    def other_groups(self) -> list[str]:
        """Stage groups of dvc.yaml that have no rule yet.

        The stage that writes digests of code needs none, nor does a group without stages, whose wildcards nothing
        would hold.
        """
        ruled = {rule.name for rule in self._workflow.rules}
        return [
            group
            for group in self._pipeline.groups
            if group not in ruled
            and self._hooks.code not in self._pipeline.patterns(group)
            and self._pipeline.members(group)  # a rule without values for its wildcards would match anything
        ]

    def describe(self) -> None:
        """Check the targets, once all rules exist, and give rules the descriptions in dvc.yaml (`desc`)."""
        if self._workflow.is_main_process:
            for target in self._unknown_targets():
                sys.exit(f"dvcsnake: {unknown(self._project, target)}")
            self._check_default_targets()
        for rule in self._workflow.rules:
            if not rule.docstring and rule.name in self._pipeline.definitions:
                rule.docstring = self._pipeline.description(rule.name)

    def _unknown_targets(self) -> list[str]:
        """Unknown targets of the command line. Snakemake would provide its targets too late for a better message."""
        words = [word for word in sys.argv[1:] if not word.startswith("-") and self._is_unknown(word)]
        return [target for target in _named_targets() if target in words] if words else []

    def _check_default_targets(self) -> None:
        """Refuse an input that nothing can provide, and say if there is nothing to make, unless targets are named."""
        fault, line = mistyped_input(self._project), without_targets(self._project)
        if (fault or line) and not set(_named_targets()) - {"all"}:
            if fault:
                sys.exit(f"dvcsnake: {fault}")
            logger.info(line)

    def _is_unknown(self, word: str) -> bool:
        rules = self._workflow.rules
        is_made = any(rule.name == word or rule.is_producer(word) for rule in rules)
        return not (word.isdigit() or is_made or outputs_of(self._project, [word]))

    def resource(self, group: str, key: str, default: int) -> Callable[..., int]:
        """Resource function: the value under `meta` of the job's stage in dvc.yaml, or else the default.

        A leader's job needs the memory and time of its whole bundle.
        """

        def find(wildcards: Any) -> int:
            stage = self._stage_of(group, wildcards)
            bundle = self._bundles.get(stage.name, [])
            times = len(bundle) if bundle[:1] == [stage.name] and key in ("mem_mb", "runtime") else 1
            return int(stage.meta.get(key, default)) * times

        return find

    def _stage_of(self, group: str, wildcards: Any) -> Stage:
        first = self._pipeline.patterns(group)[0]
        return self._pipeline.stages[self._pipeline.maker[first.format(**dict(wildcards.items()))]]

    def inputs(self, group: str) -> Callable[..., list[str]]:
        """Input function: what the job's stage reads, folders as the outputs they consist of.

        Empty for a stage that is up to date, so that Snakemake does not examine the stages before it, which may be
        absent or many.
        """

        def find(wildcards: Any) -> list[str]:
            stage = self._stage_of(group, wildcards)
            if self._workflow.is_main_process:
                self._settle()
                if stage.name not in self._plan.todo and not self._wants_everything():
                    return []
            bundle = self._bundles.get(stage.name, [stage.name])
            # The leader reads what all read; the others wait for it.
            readers = bundle if stage.name == bundle[0] else [stage.name]
            deps = dict.fromkeys(dep for name in readers for dep in self._pipeline.stages[name].deps)
            led_by = [out.path for out in self._pipeline.stages[bundle[0]].outs] if readers != bundle else []
            return [path for dep in deps for path in (self._pipeline.made_of(dep) or [dep])] + led_by

        return find

    def outputs(self, group: str) -> list[str]:
        """Output patterns."""
        return [directory(path) if is_folder(path) else path for path in self._pipeline.patterns(group)]

    def results(self, group: str) -> list[str]:
        """The same, with figures marked for `snakemake --report`."""
        return [
            report(path, self._captions, category="Figures", labels=self._labels(path))
            if self._hooks.is_reported(path)
            else path
            for path in self.outputs(group)
        ]

    def _labels(self, pattern: str) -> Callable[[Any], dict[str, str]]:
        """Labels function of the report: the hooks' labels of the output."""
        return lambda wildcards: dict(self._hooks.labels(pattern.format(**dict(wildcards.items()))))

    def stage(self, group: str) -> Callable[..., str]:
        """Params function: the name of the job's stage."""
        return lambda wildcards, output: self._pipeline.maker[str(output[0])]

    def wildcards(self, group: str) -> dict[str, str]:
        """Wildcard constraints, so that only what dvc.yaml lists matches."""
        return {
            name: "|".join(map(re.escape, values))
            for name, values in self._pipeline.wildcard_values(group).items()
        }

    def path(self, folder: str, group: str, suffix: str) -> str:
        """A pattern for a job's log or benchmark: its first output's, under another folder."""
        first = Path(self._pipeline.patterns(group)[0])
        parts = first.parts[1:] if first.parts[0] == "data" else first.parts
        return f"{Path(folder, *parts).with_suffix('')}{suffix}"

    def _settle(self) -> None:
        """Restore or fetch what the targets need; this is the first moment at which Snakemake provides the targets."""
        if self._settled:
            return
        self._settled = True
        if self._workflow.dag_settings.max_checksum_file_size:
            raise WorkflowError(
                "run with profiles/default (max-checksum-file-size: 0, rerun-triggers: mtime)"
            )
        try:
            self._plan = settle(self._project, self._plan, sorted(self._workflow.dag_settings.targets))
            bundled = together.bundles(self._pipeline, self._plan.todo)
            if not self._project.dry_run:
                together.write(self._project.root, bundled)
            self._bundles = {name: bundle for bundle in bundled.values() for name in bundle}
            progress.announce(self._pipeline.maker, self._seconds(), self._at_once())
        except (UserError, *FAILURES) as error:
            sys.exit(f"dvcsnake: {in_a_sentence(error)}")
        if self._project.dry_run:
            for line in why.lines(self._project, self._plan):
                logger.info(line)
            self._pretend()

    def _seconds(self) -> dict[str, float | None]:
        """Expected time of each stage that must run; a leader has the time of its whole bundle."""
        stages = [stage for name, stage in self._pipeline.stages.items() if name in self._plan.todo]
        each = dict(zip((stage.name for stage in stages), self._hooks.seconds(stages), strict=True))
        for name, bundle in self._bundles.items():
            if name == bundle[0] and None not in (times := [each[one] for one in bundle]):
                each |= dict.fromkeys(bundle, 0.0) | {name: sum(times)}
        return each

    def _at_once(self) -> int:
        """Number of jobs that may run in parallel."""
        settings = self._workflow.resource_settings
        return (self._workflow.local_exec and settings.cores) or settings.nodes or settings.cores or 1

    def _pretend(self) -> None:
        """Make Snakemake's dry run treat outputs that a run would have restored as present."""
        known, now = self._workflow.iocache, Mtime(local=time.time())
        for path in self._plan.brought:
            if self._pipeline.maker[path] not in self._plan.todo:
                known.exists_local[path], known.mtime[path] = True, now
                known.size[path] = 1  # not none, or Snakemake would read it

    def _wants_everything(self) -> bool:
        settings = self._workflow.dag_settings
        forced = settings.forceall or settings.forcerun or settings.forcetargets
        return bool(forced or _is_asked_for(*WHOLE))


def _named_targets() -> list[str]:
    """The targets of the command line."""
    arguments, _ = get_argument_parser().parse_known_args(sys.argv[1:])
    return list(arguments.targets or [])


def _is_asked_for(*options: str) -> bool:
    return any(argument.split("=")[0] in options for argument in sys.argv[1:])


class _OneWarning(logging.Filter):
    """Logs once, in a report, the warning that Snakemake logs for every fetched file."""

    def __init__(self) -> None:
        super().__init__()
        self._said = False

    def filter(self, record: logging.LogRecord) -> bool:
        if not str(record.msg).startswith(NO_METADATA):
            return True
        if not self._said:
            self._said = True
            logger.info(
                "dvcsnake: the report has no run times of outputs that were fetched or made by `dvc repro`"
            )
        return False
