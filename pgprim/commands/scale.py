"""Choose a parameter set: write `params.yaml` from one of the sets in `workflow/scales`.

`default.yaml` is a complete set. Every other file there has only the values that differ, so each number is written
once. The resulting `params.yaml` is complete and keeps both files' comments.
"""

import argparse
import io
import re
import subprocess
from pathlib import Path
from types import NoneType
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarint import ScalarInt

from pgprim.commands.command import make_parser, run
from pgprim.commands.params import check
from pgprim.store.files import write_bytes
from pgprim.types.errors import UserError
from pgprim.types.params import parse, read_text

SCALES = Path("workflow/scales")
PARAMS = Path("params.yaml")

STANDS_FOR = "\N{ASTERISK OPERATOR}"
"""Marks an alias while a set is assembled: dumping real aliases would misplace the comments after them."""

_ALIAS = re.compile(r"(?<=[ \[])\*(?=\w+ *(?:[,\]#\n]|$))")


def find_set(name: str, scales: Path = SCALES) -> Path:
    """The file of a parameter set, from its name in the folder of sets or from its path.

    Raises:
        UserError: if there is no such set.
    """
    for path in (scales / f"{name}.yaml", Path(name)):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in scales.glob("*.yaml")))
    raise UserError(f"{name} is no parameter set; known in {scales}: {known}; or give the path of a file")


def render(path: Path, scales: Path = SCALES) -> str:
    """The text of the whole parameter file that a set stands for: `default.yaml`, overlaid with the set.

    A set may use YAML aliases of `default.yaml` (`*pairs`). If it redefines an anchored value, all aliases of the
    anchor change with it. If its tasks differ, probes and studies that `default.yaml` limits to some tasks use the
    set's tasks.

    Raises:
        UserError: if a file cannot be read, or the result is not a valid parameter file.
    """
    whole = scales / "default.yaml"
    head, text = _split(read_text(whole))
    if path.resolve() == whole.resolve():
        check(parse(text, whole), whole)
        return head + text
    own_head, own = _split(read_text(path))
    base, overlay = (
        parse(_ALIAS.sub(STANDS_FOR, each), file, _round_trip(), -len(first.splitlines()))
        for each, file, first in ((text, whole, head), (own, path, own_head))
    )
    if not isinstance(overlay, CommentedMap | NoneType):
        raise UserError(
            f"{path} must be a mapping of what differs from {whole}, such as `sample: {{pairs: 1000}}`"
        )
    _keep_anchors(base)
    _overlay(base, overlay or CommentedMap())
    _follow_tasks(base, overlay or CommentedMap())
    dumped = io.StringIO()
    _round_trip().dump(base, dumped)
    rendered = (own_head or head) + dumped.getvalue().replace(STANDS_FOR, "*")
    check(parse(rendered, path), path)
    return rendered


def load_set(path: Path) -> Any:
    """The parameters of a set, from its file (`render`)."""
    return parse(render(path), path)


def choose(name: str, force: bool = False) -> Path:
    """Write `params.yaml` from a set, in one atomic step.

    Args:
        name: a set's name or path.
        force: overwrite edits that are saved nowhere else; the old file is kept as `params.yaml.bak`.

    Returns:
        The set's file.

    Raises:
        UserError: if the set is unknown or invalid, or if overwriting would lose edits and `force` is not given.
    """
    path = find_set(name)
    text = render(path)
    if PARAMS.exists() and not _is_kept_elsewhere(PARAMS):
        if not force:
            raise UserError(
                f"{PARAMS} has edits that stand neither in a set of {SCALES} nor in the last commit; "
                f"save what differs as {SCALES}/NAME.yaml, or give --force, which keeps the old file as {PARAMS}.bak"
            )
        write(PARAMS.with_name(f"{PARAMS.name}.bak"), PARAMS.read_text(encoding="utf-8"))
    write(PARAMS, text)
    return path


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a list that was written on one line stays there
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def _split(text: str) -> tuple[str, str]:
    """A file's first lines of comment, and the rest."""
    head = re.match(r"(?:#.*\n|\n)*", text)[0]
    return head, text[len(head) :]


def _keep_anchors(tree: CommentedMap) -> None:
    """Have all anchors dumped, as if something referred to them."""
    for value in tree.values():
        if isinstance(value, CommentedMap):
            _keep_anchors(value)
        elif isinstance(value, CommentedSeq) and value.anchor.value is not None:
            value.anchor.always_dump = True


def _overlay(base: CommentedMap, overlay: CommentedMap) -> None:
    """Put the values of `overlay` into `base`, each with its comment, which gives its source."""
    for key, value in overlay.items():
        old = base.get(key)
        if isinstance(value, CommentedMap) and isinstance(old, CommentedMap):
            _overlay(old, value)
            continue
        base[key] = _with_name_of(old, value)
        spacing = _after_first_line(base.ca.items.pop(key, None))
        if key in overlay.ca.items:
            base.ca.items[key] = overlay.ca.items[key]
            token = base.ca.items[key][2]
            if token is not None:
                token.value = token.value.split("\n")[0] + "\n" + spacing


def _follow_tasks(base: CommentedMap, overlay: CommentedMap) -> None:
    """Give the set's tasks to blocks that name other tasks and that the set does not define."""
    tasks = base["tasks"]
    if not isinstance(tasks, CommentedSeq):
        return
    for name, block in base.items():
        own, told = (
            each.get("tasks") if isinstance(each, CommentedMap) else None
            for each in (block, overlay.get(name))
        )
        if told is None and isinstance(own, CommentedSeq) and any(task not in tasks for task in own):
            all_of_them = CommentedSeq(tasks)
            all_of_them.fa.set_flow_style()
            follows = CommentedMap(tasks=all_of_them)
            follows.yaml_add_eol_comment("ours: as tasks", "tasks", column=41)
            _overlay(block, follows)


def _with_name_of(old: Any, value: Any) -> Any:
    """The value with the anchor that the old one has, if it has one."""
    anchor = getattr(old, "anchor", None)
    if anchor is None or anchor.value is None:
        return value
    if isinstance(value, CommentedSeq):
        value.yaml_set_anchor(anchor.value, always_dump=True)
        return value
    return ScalarInt(value, anchor=anchor.value)


def _after_first_line(comment: list[Any] | None) -> str:
    """Blank lines and whole-line comments between a key's own comment and the next key."""
    token = comment[2] if comment else None
    return token.value.partition("\n")[2] if token is not None else ""


def _is_kept_elsewhere(params: Path) -> bool:
    """Whether a set or the last commit has exactly this text."""
    text = params.read_text(encoding="utf-8")
    for path in SCALES.glob("*.yaml"):
        try:
            if text == render(path):
                return True
        except UserError:
            continue  # another set's mistake is not this one's
    try:
        committed = subprocess.run(["git", "show", f"HEAD:./{params}"], capture_output=True, check=False)
    except FileNotFoundError:  # no Git here
        return False
    return committed.returncode == 0 and committed.stdout == text.encode()


def write(path: Path, text: str) -> None:
    """Write a text file that is meant to be changed by hand, in one atomic step."""
    write_bytes(path, text.encode(), lambda _: True)


def main(args: argparse.Namespace) -> None:
    """Write `params.yaml` and print its source."""
    path = choose(args.set, args.force)
    print(f"{PARAMS} now holds the parameter set {path.stem} ({path})")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = make_parser("pgprim.commands.scale", "Write params.yaml from a parameter set.")
    known = ", ".join(sorted(path.stem for path in SCALES.glob("*.yaml")))
    result.add_argument("set", help=f"a set in {SCALES} ({known}), or the path of a file that holds one")
    result.add_argument(
        "--force",
        action="store_true",
        help=f"overwrite edits of {PARAMS} that are saved nowhere else; keeps {PARAMS}.bak",
    )
    return result


if __name__ == "__main__":
    run(main, parser())
