"""Entries of dvc.lock and of the run cache as text, in format 2.0.

They are read and written with libyaml: DVC's own round trip takes 10 s for a thousand stages.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from dvcsnake.whole_files import write_whole

# How dvc.lock writes one file or folder: {"hash": "md5", "md5": ..., "size": ..., "nfiles": ...}.
Hash = dict[str, Any]
# How dvc.lock writes one stage: {"cmd": ..., "deps": [...], "params": {...}, "outs": [...]}.
Entry = dict[str, Any]


class Loader(yaml.CSafeLoader):
    """YAML 1.2 scalars, as DVC writes them, with libyaml's speed."""


class Dumper(yaml.CSafeDumper):
    """Quotes what either YAML 1.1 or 1.2 would not take for a string."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write what occurs twice twice."""
        return True


_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_SCALARS = [
    ("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF"),
    ("tag:yaml.org,2002:null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+"), "-+0123456789"),
    ("tag:yaml.org,2002:float", _FLOAT, "-+0123456789."),
]
Loader.yaml_implicit_resolvers = {}
for _tag, _regex, _first in _SCALARS:
    _anchored = re.compile(f"^(?:{_regex.pattern})$")
    Loader.add_implicit_resolver(_tag, _anchored, list(_first))
    Dumper.add_implicit_resolver(_tag, _anchored, list(_first))
# "012" is the number twelve in YAML 1.2 and ten in 1.1
Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


def parse(text: str | bytes) -> Any:
    """The value of a text of YAML 1.2."""
    return yaml.load(text, Loader)


def write_entry(path: Path, data: Any) -> None:
    """Replace a file by an entry, or by all of dvc.lock."""
    text = yaml.dump(data, None, Dumper, sort_keys=False, width=1000, allow_unicode=True, encoding="utf-8")
    write_whole(path, text, survives_power_cut=True)


def is_plain_out(out: Any) -> bool:
    """Whether a recorded output has a path, a hash and nothing that DVC would act on."""
    return (
        isinstance(out["path"], str)
        and re.fullmatch(r"[0-9a-f]{32}(\.dir)?", out["md5"]) is not None
        and out.get("hash") == "md5"
        and out.keys() <= {"path", "hash", "md5", "size", "nfiles", "isexec"}
    )
