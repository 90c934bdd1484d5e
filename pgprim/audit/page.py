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

from pgprim.audit.draw import Report, draw_history, draw_section
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

GENERATOR = b"pgprim audit"
"""Mark of a page that may be replaced."""


def write_page(out: Path, report: Report) -> None:
    """Write `audit.html` and `audit.pdf`.

    Args:
        out: The audit's folder.
        report: From `findings.audit_findings`.
    """
    folder = out / str(report["agent"]["iteration"])
    write_bytes(
        out / "audit.html", html(folder, report).encode(), lambda path: GENERATOR in path.read_bytes()
    )
    with writing(out / "audit.pdf") as partial, style():
        metadata = {"Creator": "pgprim", "Producer": None, "CreationDate": None, "Title": title(report)}
        with PdfPages(partial, metadata=metadata) as file:
            for page in printed(folder, report):
                file.savefig(page)


def title(report: Report) -> str:
    """Title of the page."""
    agent = report["agent"]
    return f"Audit of {agent['name']}, {agent['env_id']}, iteration {agent['iteration']}"


def subtitle(report: Report) -> str:
    """The audited agent, and the number of pairs behind the audit."""
    agent, size = report["agent"], report["size"]
    return (
        f"{agent['file']}, written by {agent['written_by']}; {show(agent['pairs'])} pairs per update. Gradients are from "
        f"{size['streams']} streams of {show(size['stream_pairs'])} pairs. Intervals are {100 * report['level']:g} %, within "
        "this agent: another training seed may differ by more. " + study_note(report)
    )


def study_note(report: Report) -> str:
    """Source of the study's numbers beside the agent's, or a sentence that there are none."""
    if not has_study(report):
        return "The study's datasets are missing (--study names their folder), so there is nothing to compare with."
    return "Each number has the median, lowest and highest value of the study's trained agents beside it."


def has_study(report: Report) -> bool:
    """Whether any number of the study was found."""
    findings = [one for section in report["sections"] for one in section["findings"]]
    return any("median" in (one["study"] or {}) for one in findings)


def notes(report: Report) -> list[str]:
    """Fidelity of the checkpoint, and assumptions and omissions of reading the file."""
    agent, fidelity = report["agent"], report["agent"]["fidelity"]
    faithful = (
        f"The checkpoint reproduces the networks of the file: cosine of its policy gradient to autograd's {fidelity['grad_cosine']:.6f}, "
        f"largest difference of V {fidelity['value_error']:.1g} of its standard deviation, of log π {fidelity['logp_error']:.1g} nats."
    )
    return [
        faithful,
        *(f"Assumed: {one}" for one in agent["assumed"]),
        *(f"Left out: {one}" for one in agent["left_out"]),
    ]


def has_history(report: Report) -> bool:
    """Whether there is more than one checkpoint or update to show."""
    return len(report["history"]["checkpoints"]) > 1 or bool(report["history"]["updates"])


def html(folder: Path, report: Report) -> str:
    """The page as one text, with embedded pictures."""
    pictures = {}
    with style():
        for section in report["sections"]:
            figure = Figure(figsize=SIZE, layout="constrained")
            draw_section(figure, section["key"], folder, report)
            pictures[section["key"]] = _embedded(figure)
        if has_history(report):
            figure = Figure(figsize=(7.4, 2.0), layout="constrained")
            draw_history(figure, report)
            pictures["history"] = _embedded(figure)
    environment = Environment(
        loader=PackageLoader("pgprim.audit", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html").render(
        title=title(report),
        subtitle=subtitle(report),
        notes=notes(report),
        report=report,
        pictures=pictures,
        has_study=has_study(report),
        show=show,
        show_interval=show_interval,
    )


def _embedded(figure: Figure) -> str:
    """A figure as a data URI."""
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "pgprim"}):  # names within the picture, random otherwise
        figure.savefig(file, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()


def printed(folder: Path, report: Report) -> list[Figure]:
    """The page for paper: one sheet with every section, and a second one with the history and the notes."""
    first, second = Figure(figsize=A4), Figure(figsize=A4)
    y = _write(first, 0.975, title(report), 15, 80, weight="bold")
    y = _write(first, y, subtitle(report), 7.5, 138, color=GREY)
    for section in report["sections"]:
        first.add_artist(_rule(y))
        y = _print_section(first, y - 0.008, section, folder, report)
    y = 0.975
    if has_history(report):
        y = _write(second, y, "Over training", 12, 80, weight="bold")
        draw_history(_place(second, (MARGIN - 0.03, 1 - MARGIN), (y - 0.2, y)), report)
        y -= 0.22
    if has_study(report):
        y = _write(second, y, "What the study's agents show at the same places", 12, 80, weight="bold")
    for section in report["sections"] if has_study(report) else ():
        for one in section["findings"]:
            if one["study"]:
                y = _write(second, y, f"{one['title']}: {one['study']['sentence']}", 7.5, 138)
    y = _write(second, y - 0.01, "How the agent was read", 12, 80, weight="bold")
    for note in notes(report):
        y = _write(second, y, note, 7.5, 138)
    return [first, second]


def _print_section(
    page: Figure, top: float, section: Mapping[str, Any], folder: Path, report: Report
) -> float:
    """Print one section below a height; returns the height below it."""
    y = top = _write(page, top, section["question"], 10.5, 60, weight="bold")
    y = _write(page, y, section["headline"], 7.5, 68, style="italic")
    lowest = y - PICTURE
    draw_section(_place(page, (MARGIN - 0.03, COLUMN - 0.02), (lowest, y)), section["key"], folder, report)
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


def _of_study(one: Mapping[str, Any]) -> str:
    study = one["study"] or {}
    if "median" not in study:
        return ""
    return f"study {show(study['median'])} ({show(study['lowest'])} to {show(study['highest'])})"


def _number(one: Mapping[str, Any]) -> str:
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
