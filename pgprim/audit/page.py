"""The page of an audit: the self-contained `audit.html`, and `audit.pdf`, from the same findings."""

import base64
import io
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context, rcParams
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

from pgprim.audit.draw import draw_history, draw_section
from pgprim.audit.findings import show, show_interval
from pgprim.plotting.style import GREY, style
from pgprim.store.files import write_bytes, writing

SIZE = (4.6, 2.3)
"""Size of a picture on the HTML page [inch]."""

A4 = (8.27, 11.69)

MARGIN, COLUMN = 0.06, 0.44
"""Left edges of a printed page's two columns, as shares of its width."""

PICTURE = 0.165
"""Height of a picture on a printed page, as a share of its height."""

Found = Mapping[str, Any]

GENERATOR = b"pgprim audit"
"""Mark of a page that may be replaced."""


def write_page(out: Path, found: Found) -> None:
    """Write `audit.html` and `audit.pdf`.

    Args:
        out: The audit's folder.
        found: What `findings.audit_findings` gives.
    """
    folder = out / str(found["agent"]["iteration"])
    write_bytes(out / "audit.html", html(folder, found).encode(), lambda path: GENERATOR in path.read_bytes())
    with writing(out / "audit.pdf") as partial, style():
        metadata = {"Creator": "pgprim", "Producer": None, "CreationDate": None, "Title": title(found)}
        with PdfPages(partial, metadata=metadata) as file:
            for page in printed(folder, found):
                file.savefig(page)


def title(found: Found) -> str:
    """Title of the page."""
    agent = found["agent"]
    return f"Audit of {agent['name']}, {agent['env_id']}, iteration {agent['iteration']}"


def subtitle(found: Found) -> str:
    """The audited agent, and the number of pairs behind the audit."""
    agent, size = found["agent"], found["size"]
    return (
        f"{agent['file']}, written by {agent['written_by']}; {show(agent['pairs'])} pairs per update. Gradients are from "
        f"{size['streams']} streams of {show(size['stream_pairs'])} pairs. Intervals are {100 * found['level']:g} %, within "
        "this agent: another training seed may differ by more. " + study_note(found)
    )


def study_note(found: Found) -> str:
    """Source of the study's numbers beside the agent's, or a sentence that there are none."""
    if not has_study(found):
        return "The study's datasets are missing (--study names their folder), so there is nothing to compare with."
    return "Each number has the median, lowest and highest value of the study's trained agents beside it."


def has_study(found: Found) -> bool:
    """Whether any number of the study was found."""
    findings = [one for section in found["sections"] for one in section["findings"]]
    return any("median" in (one["study"] or {}) for one in findings)


def notes(found: Found) -> list[str]:
    """Fidelity of the checkpoint, and assumptions and omissions of reading the file."""
    agent, fidelity = found["agent"], found["agent"]["fidelity"]
    faithful = (
        f"The checkpoint reproduces the networks of the file: cosine of its policy gradient to autograd's {fidelity['grad_cosine']:.6f}, "
        f"largest difference of V {fidelity['value_error']:.1g} of its standard deviation, of log π {fidelity['logp_error']:.1g} nats."
    )
    return [
        faithful,
        *(f"Assumed: {one}" for one in agent["assumed"]),
        *(f"Left out: {one}" for one in agent["left_out"]),
    ]


def has_history(found: Found) -> bool:
    """Whether there is more than one checkpoint or update to show."""
    return len(found["history"]["checkpoints"]) > 1 or bool(found["history"]["updates"])


def html(folder: Path, found: Found) -> str:
    """The page as one text, with embedded pictures."""
    pictures = {}
    with style():
        for section in found["sections"]:
            figure = Figure(figsize=SIZE, layout="constrained")
            draw_section(figure, section["key"], folder, found)
            pictures[section["key"]] = _embedded(figure)
        if has_history(found):
            figure = Figure(figsize=(7.4, 2.0), layout="constrained")
            draw_history(figure, found)
            pictures["history"] = _embedded(figure)
    environment = Environment(
        loader=PackageLoader("pgprim.audit", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html").render(
        title=title(found),
        subtitle=subtitle(found),
        notes=notes(found),
        found=found,
        pictures=pictures,
        has_study=has_study(found),
        show=show,
        show_interval=show_interval,
    )


def _embedded(figure: Figure) -> str:
    """A figure as a data URI."""
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "pgprim"}):  # names within the picture, random otherwise
        figure.savefig(file, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()


def printed(folder: Path, found: Found) -> list[Figure]:
    """The page for paper: one sheet with every section, and a second one with the history and the notes."""
    first, second = Figure(figsize=A4), Figure(figsize=A4)
    y = _write(first, 0.975, title(found), 15, 80, weight="bold")
    y = _write(first, y, subtitle(found), 7.5, 138, color=GREY)
    for section in found["sections"]:
        first.add_artist(_rule(y))
        y = _print_section(first, y - 0.008, section, folder, found)
    y = 0.975
    if has_history(found):
        y = _write(second, y, "Over training", 12, 80, weight="bold")
        draw_history(_place(second, (MARGIN - 0.03, 1 - MARGIN), (y - 0.2, y)), found)
        y -= 0.22
    if has_study(found):
        y = _write(second, y, "What the study's agents show at the same places", 12, 80, weight="bold")
    for section in found["sections"] if has_study(found) else ():
        for one in section["findings"]:
            if one["study"]:
                y = _write(second, y, f"{one['title']}: {one['study']['sentence']}", 7.5, 138)
    y = _write(second, y - 0.01, "How the agent was read", 12, 80, weight="bold")
    for note in notes(found):
        y = _write(second, y, note, 7.5, 138)
    return [first, second]


def _print_section(page: Figure, top: float, section: Found, folder: Path, found: Found) -> float:
    """Print one section below a height; returns the height below it."""
    y = top = _write(page, top, section["question"], 10.5, 60, weight="bold")
    y = _write(page, y, section["headline"], 7.5, 68, style="italic")
    lowest = y - PICTURE
    draw_section(_place(page, (MARGIN - 0.03, COLUMN - 0.02), (lowest, y)), section["key"], folder, found)
    y = top + 0.012
    for one in section["findings"]:
        width = _bold_width(f"{one['title']}: {_number(one)}")
        page.text(COLUMN + width, y, _of_study(one), size=6.4, va="top", color=GREY)
        y = _write(page, y, f"{one['title']}: {_number(one)}", 7, 200, COLUMN, weight="bold")
        y = _write(page, y, one["sentence"], 7, 98, COLUMN) - 0.001
    return min(y, lowest) - 0.004


def _place(page: Figure, across: tuple[float, float], upwards: tuple[float, float]) -> SubFigure:
    """A part of a page, by its ends as shares of the page."""
    (left, right), (bottom, top) = across, upwards
    grid = page.add_gridspec(
        3, 3, width_ratios=(left, right - left, 1 - right), height_ratios=(1 - top, top - bottom, bottom)
    )
    part = page.add_subfigure(grid[1, 1], facecolor="none")
    # In inches from the edges, so that labels have room whatever the part's size.
    width, height = (right - left) * A4[0], (top - bottom) * A4[1]
    part.subplots_adjust(0.5 / width, 0.42 / height, 1 - 0.08 / width, 1 - 0.2 / height, wspace=0.28)
    return part


def _bold_width(text: str) -> float:
    """Of a line of a finding, as a share of the page's width."""
    font = FontProperties(family=rcParams["font.family"], size=7, weight="bold")
    return TextPath((0, 0), text, prop=font).get_extents().width / 72 / A4[0] + 0.012


def _of_study(one: Found) -> str:
    study = one["study"] or {}
    if "median" not in study:
        return ""
    return f"study {show(study['median'])} ({show(study['lowest'])} to {show(study['highest'])})"


def _number(one: Found) -> str:
    return f"{show(one['value'], one['unit'])} {show_interval(one['low'], one['high'])}".strip()


def _write(
    page: Figure, y: float, text: str, size: float, width: int, left: float = MARGIN, **look: Any
) -> float:
    """Write wrapped lines below a height; returns the height below them."""
    lines = textwrap.wrap(text, width)
    page.text(left, y, "\n".join(lines), size=size, va="top", linespacing=1.15, **look)
    return y - len(lines) * 1.25 * size / 72 / A4[1] - 0.003


def _rule(y: float) -> Line2D:
    return Line2D([MARGIN, 1 - MARGIN], [y, y], color="0.8", linewidth=0.6)
