"""The exception for errors that the user can correct, and other exceptions as one sentence."""

import errno
import re
from pathlib import Path


class UserError(Exception):
    """Bad input: one sentence that names the file, key and value at fault and what would be right."""


def not_yaml(path: str | Path, error: BaseException) -> UserError:
    """The error of a file that cannot be parsed.

    Args:
        path: The file, as the user is to read its name.
        error: What PyYAML or ruamel.yaml raised; both mark the place in the same way.
    """
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    if marker := re.search(r"^<{7}( |$)", text, re.MULTILINE):
        line = text.count("\n", 0, marker.start()) + 1
        return UserError(f"{path}, line {line}: conflict markers of a merge, so not valid YAML")
    mark = getattr(error, "problem_mark", None)
    where = f"{path}, line {mark.line + 1}" if mark else path
    return UserError(
        f"{where}: not valid YAML, {getattr(error, 'problem', None) or str(error).splitlines()[0]}"
    )


def in_a_sentence(error: BaseException) -> str:
    """An exception, with what caused it, on one line."""
    if isinstance(error, FileNotFoundError) and error.filename == "git":
        return "there is no program git on PATH; this needs one, so install Git"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" at {error.filename}" if error.filename else ""
        return f"the disk is full{where} ({error.strerror}): nothing is lost, make room and run it again"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = " ".join(str(error).split()) or type(error).__name__
    cause = error.__cause__ or error.__context__
    # A lookup that failed earlier, such as in a cache, is the context of all that its handler does, but no reason.
    is_reason = cause is not None and not isinstance(cause, LookupError) and not isinstance(error, UserError)
    more = in_a_sentence(cause) if is_reason else ""
    return f"{text}: {more}" if more and more not in text else text
