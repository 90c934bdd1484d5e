"""The declarations of dvc.yaml and params.yaml, read as DVC reads them, and one sentence for what DVC cannot use."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dvc
from dvc.dvcfile import load_file
from dvc.exceptions import DvcException
from dvc.parsing import DataResolver, MatrixDefinition, is_map_or_seq
from dvc.parsing.context import KeyNotInContext
from dvc.repo import Repo
from dvc.utils.serialize import YAMLFileCorruptedError
from dvc.utils.strictyaml import YAMLValidationError

from dvcsnake.disk_cache import DiskCache
from dvcsnake.dvc_api.files import digest
from dvcsnake.errors import UserError, in_a_sentence, not_yaml


def definitions(repo: Repo, root: Path, saved: DiskCache) -> list[dict[str, Any]]:
    """dvc.yaml's stages as written, and resolved by stage name."""
    key = [dvc.__version__, *(digest(root / name) for name in ("dvc.yaml", "params.yaml"))]
    return saved.get("definitions", key, lambda: _resolve(repo, root))


def _resolve(repo: Repo, root: Path) -> list[dict[str, Any]]:
    # not `.stages`, which reads dvc.lock too: that takes DVC seconds for a thousand stages
    with named_faults():
        dvcfile = load_file(repo, str(root / "dvc.yaml"))
        if "vars" in dvcfile.contents:
            raise UserError("dvc.yaml has `vars`, but values must come from params.yaml")
        written = dvcfile.contents.get("stages")
        if not written:
            raise UserError("dvc.yaml has no stages: `stages` must list at least one")
        _check_matrices(dvcfile.resolver)
        return [written, dvcfile.resolver.resolve()["stages"] or {}]  # DVC joins no stages at all to None


def _check_matrices(resolver: DataResolver) -> None:
    """Refuse a matrix over a single value, on which DVC fails without a word."""
    for name, definition in resolver.definitions.items():
        if isinstance(definition, MatrixDefinition):
            for key, values in definition.resolved_iterable.items():
                if not is_map_or_seq(values):
                    raise UserError(f"dvc.yaml: stages.{name}.matrix.{key} must be a list, but is {values}")


@contextmanager
def named_faults() -> Iterator[None]:
    """Have what DVC cannot use be one sentence with its file, key and value."""
    try:
        yield
    except DvcException as error:
        raise _named_fault(error) from None


def _named_fault(error: DvcException) -> UserError:
    cause = error.__cause__ or error.__context__
    match error:
        case YAMLFileCorruptedError():
            return not_yaml(error.path, cause or error)
        case YAMLValidationError():
            first = error.exc.errors[0]
            where = ".".join(map(str, first.path)) or "the file"
            return UserError(f"{os.path.normpath(error.path)}: {where} is wrong: {first.error_message}")
    if isinstance(cause, KeyNotInContext):
        where = re.search(r"'([^']*)' in '", str(error))
        home = "its matrix or foreach" if cause.key.split(".")[0] in ("item", "key") else "params.yaml"
        return UserError(
            f"{home} lacks the key {cause.key}, which {where[1] if where else 'a stage'} in dvc.yaml needs"
        )
    return UserError(in_a_sentence(error))
