"""Sharing results: those that `dvc push` uploads, and those that it leaves on this machine."""

from collections.abc import Callable

from dvcsnake.dvc_api import Repository
from dvcsnake.errors import UserError, in_a_sentence
from dvcsnake.pipeline import Pipeline


def push(
    repository: Repository,
    remote: str | None = None,
    everything: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Copy results and the run cache, which maps keys to results, to a remote.

    Args:
        repository: the DVC repository.
        remote: the remote's name; None for the default.
        everything: also copy outputs with `cache: false` in dvc.yaml, such as rollouts.
        say: takes one line of text for the user.

    Raises:
        UserError: If there is no such remote, or none is named and none is the default.
    """
    name = remote or repository.remotes.default
    if name is None:
        others = ", ".join(repository.remotes.names)
        either = f"name one with `--remote` ({others}), or " if others else ""
        raise UserError(f"there is no default remote: {either}`dvc remote add -d NAME URL` makes one")
    if name not in repository.remotes.names:
        known = ", ".join(repository.remotes.names) or "none"
        raise UserError(
            f"there is no DVC remote called {name} (there are: {known}); `dvc remote add` makes one"
        )
    pipeline = Pipeline(*repository.definitions())
    locked = repository.lock_file.read()
    outs: dict[bool, list[dict]] = {True: [], False: []}
    for stage in pipeline.stages.values():
        recorded = {out["path"]: out for out in locked.get(stage.name, {}).get("outs", [])}
        for out in stage.outs:
            if out.path in recorded:
                outs[out.is_shared].append(recorded[out.path])
    for other in repository.remotes.names:
        missing = [out for out in outs[True] if not repository.objects.is_cached(out)]
        if missing and other != name:
            repository.remotes.fetch(missing, other)
    try:
        repository.remotes.push(remote)
    except UserError:
        raise
    except Exception as error:  # each kind of remote has exceptions of its own
        raise UserError(
            f"nothing or not all was copied to the remote {name}: {in_a_sentence(error)}"
        ) from None
    say(f"dvc: {len(outs[True])} outputs and the run cache are on the remote {name}")
    if everything:
        held = [out for out in outs[False] if repository.objects.is_cached(out)]
        repository.remotes.push_outputs(held, remote)
        say(f"dvc: so are {len(held)} of {len(outs[False])} outputs that `dvc push` leaves out")
        if len(held) < len(outs[False]):
            say("dvc: the others are not on this machine")
