"""The run cache: maps command, parameters and input hashes of a run to the hashes of its outputs.

An entry has the form that dvc.lock gives a stage. Entries are kept in DVC's run cache under the key that DVC itself
computes, so that `dvc repro` finds results that Snakemake computed, and vice versa.
"""

from collections.abc import Mapping
from typing import Any

from dvcsnake.dvc_api import Entry, Hash, Repository
from dvcsnake.errors import UserError
from dvcsnake.pipeline import Stage

# The command in entries that say what a folder of outputs hashes to; no stage has it.
FOLDER = "none: the hash of a folder that other stages fill"


def question(stage: Stage, params: Mapping[str, Any], hashes: Mapping[str, Hash | None]) -> Entry | None:
    """A run to look up, as an entry whose outputs have only paths; None if the hash of an input is unknown.

    Args:
        stage: the stage.
        params: the whole parameter file.
        hashes: of every dependency of the stage.
    """
    if any(hashes[path] is None for path in stage.deps):
        return None
    entry: Entry = {"cmd": stage.cmd}
    if stage.deps:
        entry["deps"] = [{"path": path, **hashes[path]} for path in stage.deps]
    if stage.params:
        entry["params"] = {"params.yaml": {key: param_value(params, key, stage) for key in stage.params}}
    entry["outs"] = [{"path": out.path} for out in stage.outs]
    return entry


def param_value(params: Mapping[str, Any], key: str, stage: Stage) -> Any:
    """The parameter with a dotted key that a stage reads."""
    value: Any = params
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise UserError(f"params.yaml lacks the key {key}, which stage {stage.name} reads")
        value = value[part]
    return value


def folder_question(path: str, members: Mapping[str, Hash]) -> Entry:
    """The question for a folder's hash, as an entry: the outputs in it as dependencies, the folder as output.

    Hashing a folder needs the listings of its subfolders, which are not shared if their content is not. So the answer
    is recorded in dvc.lock and in the run cache, like that of a stage.
    """
    deps = [{"path": member, **known} for member, known in members.items()]
    return {"cmd": FOLDER, "deps": deps, "outs": [{"path": path}]}


def fits(repository: Repository, asked: Entry, entry: Entry) -> bool:
    """Whether an entry answers a question."""
    if "outs" not in entry:
        return False
    return _gist(entry) == _gist(asked) or repository.runs.key(entry) == repository.runs.key(asked)


def _gist(entry: Entry) -> str:
    """The content of an entry's key, which is faster to compare than keys are to compute."""
    deps = [(dep["path"], dep["md5"]) for dep in entry.get("deps", ())]
    return repr((entry["cmd"], deps, entry.get("params"), [out["path"] for out in entry["outs"]]))


def answers(repository: Repository, asked: Entry, locked: Entry | None) -> list[Entry]:
    """Recorded answers to a question, most trusted first: dvc.lock, then the run cache from new to old."""
    first = [locked] if locked and fits(repository, asked, locked) else []
    return first + [entry for entry in repository.runs.find(repository.runs.key(asked)) if entry not in first]


def best(repository: Repository, entries: list[Entry]) -> Entry | None:
    """The first entry whose outputs the cache holds, or else the first."""
    if len(entries) < 2:
        return entries[0] if entries else None
    held = (entry for entry in entries if all(map(repository.objects.is_cached, entry["outs"])))
    return next(held, entries[0])


def bare(out: Mapping[str, Any]) -> Hash:
    """The hash of a recorded output, without its path."""
    return {key: value for key, value in out.items() if key != "path"}


def same(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether two hashes are known and equal."""
    return bool(one and other and one["md5"] == other["md5"])
