"""Plain `dvc pull FILE` without loading every stage."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from dvc.dvcfile import load_file
from dvc.fs import LocalFileSystem
from dvc.repo import Repo
from dvc.repo.index import Index, IndexView
from dvc.repo.stage import StageInfo
from dvc.stage.loader import StageLoader

from dvcsnake.dvc_api.definitions import definitions
from dvcsnake.dvc_api.entries import Entry, parse
from dvcsnake.dvc_api.files import digest, saved_in
from dvcsnake.errors import UserError
from dvcsnake.hooks import settings
from dvcsnake.pipeline import Pipeline
from dvcsnake.versions import require


def index_of(repo: Repo, targets: Any, options: Mapping[str, Any]) -> IndexView | None:
    """DVC's view of targets that are outputs, or files in them, from the stages that make these alone.

    To see who makes a file DVC loads every stage, twice in `dvc pull FILE`: 30 s of CPU time for 1300 stages. `startup`
    has it ask here first. Other targets are left to DVC, and so is what cannot be read, with what DVC says about it.

    Args:
        repo: The repository.
        targets: What was named on the command line.
        options: The other arguments of DVC's `index_from_targets`.

    Returns:
        What DVC's own function returns, without its check that no two stages make the same file; None where that
        function is to be called.
    """
    if not targets or any(options.get(name) for name in ("with_deps", "recursive", "types")):
        return None
    try:
        infos = _makers(repo, targets)
    except Exception:  # whatever is wrong with a file, DVC says it
        return None
    if infos is None:
        return None
    index = Index(repo, stages=list({info.stage for info in infos}))
    index._collected_targets[Index._hash_targets(targets)] = infos
    return index.targets_view(targets, **options)


def _makers(repo: Repo, targets: Iterable[str]) -> list[StageInfo] | None:
    """The stages that make some targets, each with the target's full path; None if one is no output of a stage."""
    root = Path(repo.root_dir)
    if not isinstance(repo.fs, LocalFileSystem) or settings(root) is None:
        return None
    require("dvc", "dvc-data")
    saved = saved_in(root)
    written, stages = definitions(repo, root, saved)
    maker = Pipeline(written, stages).maker
    entries = saved.get("lock", digest(root / "dvc.lock"), lambda: _whole_entries(root / "dvc.lock"))
    loaded, infos = {}, []
    for target in targets:
        full = repo.fs.abspath(target)
        relative = PurePosixPath(os.path.relpath(full, root))
        name = next((maker[str(part)] for part in (relative, *relative.parents) if str(part) in maker), None)
        if name is None or "wdir" in stages[name] or target in stages or target in written:
            return None  # to DVC a stage's name comes before an output's
        if name not in loaded:
            dvcfile = load_file(repo, str(root / "dvc.yaml"))
            loaded[name] = StageLoader.load_stage(dvcfile, name, stages[name], entries.get(name, {}))
        infos.append(StageInfo(loaded[name], full))
    return infos


def _whole_entries(path: Path) -> dict[str, Entry]:
    """The entries of a dvc.lock with which nothing is wrong."""
    entries = parse(path.read_bytes())["stages"]
    if not all(isinstance(entry, dict) and "cmd" in entry for entry in entries.values()):
        raise UserError("dvc.lock has entries without content")
    return entries
