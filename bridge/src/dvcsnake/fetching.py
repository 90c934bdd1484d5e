"""Restoring recorded outputs from the cache or from a remote."""

from collections.abc import Callable, Iterable
from typing import Any

from dvcsnake.errors import in_a_sentence
from dvcsnake.project import CACHE, Project


class Remotes:
    """The remotes of a repository, the default one first. A failing remote is reported once and not queried again.

    Args:
        project: the project.
    """

    def __init__(self, project: Project):
        self._project = project
        self._usable = list(project.repository.remotes.names)

    def __iter__(self):
        return iter(list(self._usable))

    def ask(self, remote: str, question: Callable[[str], Any]) -> Any:
        """Query a remote; None if it fails."""
        try:
            self._project.repository.remotes.open(remote)
            return question(remote)
        except Exception as problem:  # each kind of remote has exceptions of its own
            self._usable.remove(remote)
            reason = in_a_sentence(problem)
            self._project.say(
                f"dvc: the remote {remote} cannot be used ({reason}); what only it has is computed instead"
            )
            return None


def fetch_runs(project: Project, remotes: Remotes, keys: list[str]) -> int:
    """Ask all remotes what they have on record under some keys; returns the number of new records."""
    total = 0
    for remote in remotes:
        if copied := remotes.ask(remote, lambda name: project.repository.remotes.fetch_runs(keys, name)):
            project.say(f"dvc: the remote {remote} has records of {copied} stages")
            total += copied
    return total


def bring(project: Project, remotes: Remotes, outs: list[dict]) -> dict[str, str]:
    """Restore outputs, or in a dry run find out whether they could be restored; returns the source of each."""
    missing = _uncached(project, outs)
    origin = {out["path"]: CACHE for out in outs if out not in missing}
    for remote in remotes:
        if missing:
            still = _fetch(project, remotes, missing, remote)
            origin |= {out["path"]: f"the remote {remote}" for out in missing if out not in still}
            missing = still
    return {
        out["path"]: origin[out["path"]]
        for out in outs
        if out["path"] in origin and (project.dry_run or project.restore(out))
    }


def _fetch(project: Project, remotes: Remotes, outs: list[dict], remote: str) -> list[dict]:
    """Fetch outputs into the cache; returns those that the remote lacks. A dry run only queries."""
    if project.dry_run:
        offered = remotes.ask(remote, lambda name: project.repository.remotes.offered(outs, name)) or []
        return [out for out in outs if out not in offered]
    remotes.ask(remote, lambda name: project.repository.remotes.fetch(outs, name))
    return _uncached(project, outs)


def _uncached(project: Project, outs: Iterable[dict]) -> list[dict]:
    return [out for out in outs if not project.repository.objects.is_cached(out)]
