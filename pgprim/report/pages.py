"""Generated parts of README and docs: figures, results, and a sentence on how much is computed.

A part is between two marks, which are Markdown comments and name its content:

* `<!-- figure fig3: ALT TEXT -->` ... `<!-- /figure -->`: the figure, or the command that makes it; of a figure with
  several pages, `<!-- figure fig3 page 1: ALT TEXT -->` shows the first alone;
* `<!-- results NAME, NAME -->` ... `<!-- /results -->`: the verdicts on these claims, a line each;
* `<!-- table NAME -->` ... `<!-- /table -->`: numbers from the figures' data (`report.tables`);
* `<!-- computed -->` ... `<!-- /computed -->`: how much of the default set is computed.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pgprim.report.claims.claims import CLAIMS
from pgprim.report.claims.table import SECTIONS

IMAGES = "docs/images"
"""Folder of the figures that pages show."""

FIGURE = re.compile(
    r"<!-- figure (?P<name>\w+)(?P<first> page 1)?: (?P<alt>[^\n]*?) -->\n(?:.*?\n)??<!-- /figure -->",
    re.DOTALL,
)
RESULTS = re.compile(r"<!-- results (?P<names>[\w, \n]+?) -->\n(?:.*?\n)??<!-- /results -->", re.DOTALL)
TABLE = re.compile(r"<!-- table (?P<name>\w+) -->\n(?:.*?\n)??<!-- /table -->", re.DOTALL)
COMPUTED = re.compile(r"<!-- computed -->\n(?:.*?\n)??<!-- /computed -->", re.DOTALL)


@dataclass(frozen=True)
class State:
    """Results that pages may show.

    Attributes:
        declared: Names of all figures of the pipeline.
        figures: Names of the figures that are recorded.
        images: Names of the images that `IMAGES` has (`images`).
        claims: Judged claims by name; those of sections that are not judged yet are missing.
        tables: Tables of numbers as Markdown, by name.
    """

    declared: frozenset[str]
    figures: frozenset[str]
    images: frozenset[str]
    claims: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, str] = field(default_factory=dict)


def recorded(lock: Mapping[str, Any]) -> dict[str, str]:
    """MD5 of the PNG of each figure of `dvc.lock`, by name.

    Args:
        lock: The parsed file.
    """
    return dict(_outputs(lock, r"figures/(\w+)\.png"))


def shared_data(lock: Mapping[str, Any]) -> dict[str, str]:
    """MD5 of the data of each figure of `dvc.lock`, by name.

    Args:
        lock: The parsed file.
    """
    return dict(_outputs(lock, r"data/figures/(\w+)\.nc"))


def shared_claims(lock: Mapping[str, Any]) -> dict[str, str]:
    """MD5 of the judged claims of each section that `dvc.lock` has, in the order of the paper's sections.

    Args:
        lock: The parsed file.
    """
    digests = dict(_outputs(lock, r"data/claims/(\w+)\.json"))
    return {section: digests[section] for section in SECTIONS if section in digests}


def _outputs(lock: Mapping[str, Any], pattern: str) -> Iterator[tuple[str, str]]:
    """Name and MD5 of each recorded output whose path is of a pattern, which holds the name."""
    for stage in lock["stages"].values():
        for out in stage.get("outs", ()):
            if match := re.fullmatch(pattern, out["path"]):
                yield match[1], out["md5"]


def shown(pages: Mapping[str, str]) -> list[str]:
    """Names of the figures that pages have marks for, each once, in their order.

    Args:
        pages: Text by path.
    """
    return list(dict.fromkeys(name for name, _ in images(pages).values()))


def images(pages: Mapping[str, str]) -> dict[str, tuple[str, bool]]:
    """The images that pages show, by name: the figure of each, and whether it is the first page alone.

    Args:
        pages: Text by path.
    """
    marks = [mark for text in pages.values() for mark in FIGURE.finditer(text)]
    return {_image(mark): (mark["name"], bool(mark["first"])) for mark in marks}


def _image(mark: re.Match[str]) -> str:
    return f"{mark['name']}-page1" if mark["first"] else mark["name"]


def fill(path: str, text: str, state: State) -> str:
    """A page with all its generated parts updated.

    Args:
        path: Path of the page, relative to the root of the repository.
        text: Text of the page.
        state: Results.

    Raises:
        ValueError: A mark names a figure, a claim or a table that does not exist.
    """
    folder = posixpath.dirname(path) or "."
    text = FIGURE.sub(lambda mark: _figure(mark, folder, state), text)
    text = RESULTS.sub(lambda mark: _results(mark, folder, state), text)
    text = TABLE.sub(lambda mark: _table(mark["name"], state), text)
    return COMPUTED.sub(f"<!-- computed -->\n{computed(state)}\n<!-- /computed -->", text)


def computed(state: State) -> str:
    """Sentences on how much of the default set is computed, and on what replaces the rest."""
    num_drawn = len(state.declared & state.figures)
    if not num_drawn:
        figures = f"None of the {len(state.declared)} figures is computed yet"
    elif num_drawn < len(state.declared):
        figures = f"{num_drawn} of {len(state.declared)} figures are computed"
    else:
        figures = f"All {num_drawn} figures are computed"
    num = sum(name in state.claims for name in CLAIMS)
    judged = {0: "none is judged yet", 1: "1 is judged", len(CLAIMS): "all are judged"}.get(
        num, f"{num} are judged"
    )
    return f"{figures}. Of {len(CLAIMS)} claims, {judged}."


def _figure(mark: re.Match[str], folder: str, state: State) -> str:
    name, alt, image = mark["name"], mark["alt"], _image(mark)
    if name not in state.declared:
        raise ValueError(f"{name} is no figure of dvc.yaml")
    if image in state.images and name in state.figures:
        lines = [f"![{alt}]({posixpath.relpath(f'{IMAGES}/{image}.png', folder)})"]
    else:
        lines = [f"*{alt}: not computed yet; `snakemake figures/{name}.pdf` makes this figure.*"]
    return "\n".join([f"<!-- figure {name}{mark['first'] or ''}: {alt} -->", *lines, "<!-- /figure -->"])


def _results(mark: re.Match[str], folder: str, state: State) -> str:
    names = [name.strip() for name in mark["names"].split(",")]
    if unknown := [name for name in names if name not in CLAIMS]:
        raise ValueError(f"{unknown[0]} is no claim of pgprim/report/claims")
    link = f"[claims]({posixpath.relpath('docs/claims.md', folder)})"
    if any(name in state.claims for name in names):
        lines = [f"* {_verdict(name, state)} ({link})." for name in names]
    else:
        lines = [f"*Not judged yet. The rules are already fixed: {link}.*"]
    return "\n".join([f"<!-- results {mark['names']} -->", *lines, "<!-- /results -->"])


def _verdict(name: str, state: State) -> str:
    if name not in state.claims:
        return f"{CLAIMS[name].statement}: not judged yet"
    claim = state.claims[name]
    return f"{claim['statement']}: **{_short(claim['summary'])}**"


def _table(name: str, state: State) -> str:
    if name not in state.tables:
        raise ValueError(f"the table {name} does not exist; there are {', '.join(state.tables)}")
    return f"<!-- table {name} -->\n\n{state.tables[name]}\n\n<!-- /table -->"


def _short(summary: str) -> str:
    """A claim's summary with numbers of tasks instead of their names, which the table of claims has."""
    first, *others = summary.split("; ")
    first = re.sub(r"^(reproduced on \d+ of \d+ [a-z ]+?) \(.*\)$", r"\1", first)
    counts = [f"{names.count(',') + 1} {verdict}" for verdict, names in (one.split(": ") for one in others)]
    return first + (f" ({', '.join(counts)})" if counts else "")
