"""The steps before Snakemake plans: decide by hashes what is up to date, and set modification times accordingly.

Snakemake compares modification times, DVC hashes. The prelude finds the verdict on every stage from hashes, restores
outputs from the cache, and sets times so that Snakemake reaches the same verdicts. When the targets are known, it
restores or fetches the outputs that they need, so that only stages that must be computed become jobs.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from dvcsnake import run_cache, versions_of_code
from dvcsnake.digests import project_digests, write_digests
from dvcsnake.errors import UserError
from dvcsnake.fetching import Remotes, bring, fetch_runs
from dvcsnake.hooks import price
from dvcsnake.mending import bring_in_line, clear_placeholders, sweep, write_lock
from dvcsnake.placeholders import read as read_placeholder
from dvcsnake.project import CACHE, NEEDED, SCHEDULED, Project, write_names
from dvcsnake.times import align
from dvcsnake.verdicts import Survey, is_stale, survey


@dataclass(frozen=True)
class Plan:
    """The restored outputs of a run, and its remaining jobs.

    Attributes:
        survey: the verdicts.
        todo: the stages that are left to jobs, once the targets are known.
        brought: the source of each output that was restored, or in a dry run would be.
    """

    survey: Survey
    todo: frozenset[str] = frozenset()
    brought: Mapping[str, str] = field(default_factory=dict)


def prepare(project: Project) -> Plan:
    """Repair the workspace and set modification times; a dry run changes only times and code digests."""
    with project.repository.locked():
        if not project.dry_run:
            project.repository.remotes.verify()
            project.repository.lock_file.install_merge_driver()
        write_code(project)
        clear_placeholders(project)
        sweep(project)
        now = survey(project.repository, project.pipeline)
        if not project.dry_run:
            project.repository.lock_file.record()
        now, brought = bring_in_line(project, now)
        align(project, now)
    done = sum(judged.verdict in ("fresh", "behind") for judged in now.stages.values())
    project.say(f"dvc: {done} of {len(now.stages)} stages up to date")
    return Plan(now, brought=brought)


def finish(project: Project) -> None:
    """Bring dvc.lock up to date with what the jobs recorded."""
    with project.repository.locked():
        clear_placeholders(project)
        write_lock(project, survey(project.repository, project.pipeline))
        project.repository.runs.clear_journal()


def settle(project: Project, plan: Plan, targets: Iterable[str]) -> Plan:
    """Restore or fetch the outputs that the targets need; `todo` then names the stages that are left to jobs.

    Args:
        project: the project.
        plan: what `prepare` returned.
        targets: what Snakemake was asked for: files, names of stages in dvc.yaml, `all`; empty means the default
            targets.
    """
    needed = outputs_of(project, targets)
    plan = resolve(project, plan, needed)
    if not project.dry_run:
        for name in plan.todo:  # Snakemake removes what lies in the place of a job's outputs
            for out in project.pipeline.stages[name].outs:
                if not read_placeholder(project.root, out.path):
                    project.repository.objects.set_aside(out.path)
        write_names(project.root, NEEDED, {project.pipeline.maker[path] for path in needed})
        write_names(project.root, SCHEDULED, set(plan.todo))
    align(project, plan.survey, plan.todo)
    if not set(targets) - {"all"} and (line := left_out(project)):
        project.say(line)
    for line in announcement(project, plan):
        project.say(line)
    return plan


def resolve(project: Project, plan: Plan, needed: list[str]) -> Plan:
    """Restore what is needed, backwards from the end of the pipeline; stages that cannot be restored must run."""
    maker, remotes = project.pipeline.maker, Remotes(project)
    plan = _consult_remotes(project, remotes, plan, needed)
    now, brought = plan.survey, dict(plan.brought)
    todo: set[str] = set()
    reached: set[str] = set()
    due = set(needed)
    while due:
        late = {maker[path] for path in due if now.stages[maker[path]].verdict == "stale"}
        wanted = [
            path for path in sorted(due) if maker[path] not in late and path in now.stages[maker[path]].absent
        ]
        arrived = bring(project, remotes, [now.stages[maker[path]].recorded(path) for path in wanted])
        now, brought = _arrive(now, maker, arrived), brought | arrived
        late |= {maker[path] for path in wanted if path not in arrived}
        reached |= due
        due = {path for name in late - todo for path in _reads(project, name)} - reached
        todo |= late
    return Plan(now, frozenset(todo), brought)


def _arrive(now: Survey, maker: Mapping[str, str], arrived: Iterable[str]) -> Survey:
    changed = {}
    for path in arrived:
        name = maker[path]
        judged = changed.get(name, now.stages[name])
        changed[name] = replace(judged, absent=judged.absent - {path})
    return now.with_stages(changed) if changed else now


def _consult_remotes(project: Project, remotes: Remotes, plan: Plan, needed: list[str]) -> Plan:
    """Query the remotes' run caches for unknown stages, in waves: an answer makes the keys of further stages known."""
    tried: set[str] = set()
    while is_stale(project.pipeline, plan.survey, needed) and (
        keys := sorted(plan.survey.unanswered - tried)
    ):
        tried.update(keys)
        if not fetch_runs(project, remotes, keys):
            break
        with project.repository.locked():
            now, brought = bring_in_line(project, survey(project.repository, project.pipeline))
            align(project, now)
            plan = Plan(now, brought={**plan.brought, **brought})
    return plan


def write_code(project: Project) -> None:
    """Run the stage that all others depend on; it takes milliseconds."""
    repository, hooks = project.repository, project.repository.hooks
    if hooks.package is None:
        return
    params = repository.params()
    texts = project_digests(repository.root, hooks, params, repository.saved.get)
    write_digests(repository.root / hooks.code, texts)
    versions_of_code.keep(repository.root, hooks.package, texts.values())
    stage = project.pipeline.code_stage(hooks.code)
    asked = run_cache.question(stage, params, {path: repository.hashes.of(path) for path in stage.deps})
    if asked is None:
        missing = next(path for path in stage.deps if repository.hashes.of(path) is None)
        raise UserError(f"dvc.yaml: stage {stage.name} reads {missing}, which does not exist")
    repository.runs.record({**asked, "outs": [{"path": hooks.code, **repository.objects.store(hooks.code)}]})


def outputs_of(project: Project, targets: Iterable[str]) -> list[str]:
    """The outputs that targets stand for: files, stages, or all default targets."""
    pipeline, outputs = project.pipeline, set()
    for target in list(targets) or ["all"]:
        path = os.path.normpath(target)
        if target == "all":
            outputs.update(default_targets(project))
        elif target in pipeline.definitions:
            outputs.update(out.path for stage in pipeline.members(target) for out in stage.outs)
        elif target in pipeline.stages:
            outputs.update(out.path for out in pipeline.stages[target].outs)
        elif path in pipeline.maker:
            outputs.add(path)
    return sorted(outputs)


def unknown(project: Project, target: str) -> str:
    """A sentence about an unknown target, with the nearest valid one."""
    pipeline = project.pipeline
    close = get_close_matches(target, [*pipeline.maker, *pipeline.stages, *pipeline.definitions], 1)
    return f"no stage of dvc.yaml is, or makes, {target}" + (f"; did you mean {close[0]}?" if close else "")


def mistyped_input(project: Project) -> str | None:
    """A sentence about an input that default targets need and that no parameters provide; None if there is none."""
    pipeline, lacking = project.pipeline, _lacking(project)
    makers = dict.fromkeys(map(pipeline.maker.get, project.repository.hooks.default_targets(pipeline.maker)))
    for missing in dict.fromkeys(lacking[name] for name in makers if name in lacking):
        reader = next((name for name in lacking if pipeline.is_literal(name, missing)), None)
        if reader and not pipeline.may_be_made(missing) and not _is_tracked(project, missing):
            hint = _hint(project, missing)
            return (
                f"dvc.yaml: stage {reader} reads {missing}, which no stage makes and which is not here{hint}"
            )
    return None


def _is_tracked(project: Project, path: str) -> bool:
    """Whether `dvc add` tracks a path, or a folder that it is in, so that `dvc pull` brings it."""
    return any((project.root / f"{part}.dvc").exists() for part in (path, *Path(path).parents))


def _hint(project: Project, missing: str) -> str:
    """The output whose path is most like that of a missing input, as the end of a sentence."""
    close = None if project.pipeline.may_be_made(missing) else project.pipeline.nearest(missing)
    return f"; did you mean {close}?" if close else ""


def without_targets(project: Project) -> str | None:
    """A line for a project in which no default target can be made."""
    if default_targets(project):
        return None
    patterns = ", ".join(project.repository.hooks.targets)
    return left_out(project) or (
        f"dvc: no output of dvc.yaml matches the default targets, {patterns}: change `targets` in [tool.dvcsnake] of "
        "pyproject.toml, or in the hooks that it names"
    )


def default_targets(project: Project) -> list[str]:
    """The default targets, without those whose inputs the parameters do not provide."""
    hooks, pipeline = project.repository.hooks, project.pipeline
    lacking = _lacking(project)
    return [path for path in hooks.default_targets(pipeline.maker) if pipeline.maker[path] not in lacking]


def left_out(project: Project) -> str | None:
    """A line about default targets whose inputs the parameters do not provide."""
    hooks, pipeline = project.repository.hooks, project.pipeline
    lacking = _lacking(project)
    names = sorted({pipeline.maker[path] for path in hooks.default_targets(pipeline.maker)} & lacking.keys())
    if not names:
        return None
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    missing = lacking[names[0]]
    return f"dvc: left out: {shown}; nothing makes {missing} with these parameters{_hint(project, missing)}"


def _lacking(project: Project) -> dict[str, str]:
    """Stages whose inputs, or those of a stage before them, nothing provides; with that input."""
    code = f"{project.repository.hooks.code}/"
    return project.pipeline.lacking(lambda path: path.startswith(code) or (project.root / path).exists())


def _reads(project: Project, name: str) -> list[str]:
    """The outputs of other stages that a stage reads."""
    stage, hooks = project.pipeline.stages[name], project.repository.hooks
    for dep in stage.deps:
        if dep.startswith(f"{hooks.code}/") and not os.path.exists(project.root / dep):
            module = Path(hooks.package or "", dep.removeprefix(f"{hooks.code}/")).with_suffix(".py")
            raise UserError(f"{name} in dvc.yaml runs {module.as_posix()}, which does not exist")
    return [path for dep in stage.deps for path in project.pipeline.made_of(dep)]


def announcement(project: Project, plan: Plan) -> list[str]:
    """Lines about restored outputs (in a dry run: outputs to restore) and remaining jobs."""
    pipeline, lines = project.pipeline, []
    origins = Counter(
        (pipeline.stages[pipeline.maker[path]].group, place) for path, place in plan.brought.items()
    )
    for (group, place), count in origins.items():
        done = "restored" if place == CACHE else "fetched"
        verb = f"would be {done}:" if project.dry_run else done
        lines.append(f"dvc: {verb} {count} {'output' if count == 1 else 'outputs'} of {group} from {place}")
    if plan.todo:
        stages = [stage for name, stage in pipeline.stages.items() if name in plan.todo]
        counts = Counter(stage.group for stage in stages)
        jobs = ", ".join(f"{count} {group}" for group, count in counts.items())
        cost = price(project.repository.hooks, stages)
        lines.append(f"dvc: to be computed unless inputs turn out the same: {jobs}{cost}")
    return lines
