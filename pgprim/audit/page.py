"""The page of an audit: `audit.html`, which needs nothing beside itself, and `audit.pdf`, from the same findings."""

import base64
import io
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pgprim.audit.draw import draw_history, draw_section
from pgprim.audit.findings import show, show_interval
from pgprim.plotting.style import GREY, style
from pgprim.store.files import write_bytes, writing

SIZE = (4.6, 2.3)
"""Of a picture on the HTML page [inch]."""

A4 = (8.27, 11.69)

MARGIN, GAP = 0.07, 0.04
"""Of a printed page, as shares of its width."""

Found = Mapping[str, Any]

GENERATOR = b"pgprim audit"
"""By which a page is known as one that may be replaced."""


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
    """Of the page."""
    agent = found["agent"]
    return f"Audit of {agent['name']}, {agent['env_id']}, iteration {agent['iteration']}"


def subtitle(found: Found) -> str:
    """What was audited, by how much."""
    agent, size = found["agent"], found["size"]
    return (
        f"{agent['file']}, written by {agent['written_by']}; {show(agent['pairs'])} pairs per update. Gradients are from "
        f"{size['streams']} streams of {show(size['stream_pairs'])} pairs. Intervals are {100 * found['level']:g} %, within "
        "this agent: another training seed may differ by more."
    )


def notes(found: Found) -> list[str]:
    """What was assumed and left out when the agent was read, and how faithful the reading is."""
    agent, fidelity = found["agent"], found["agent"]["fidelity"]
    faithful = (
        f"The agent inside computes what its file computes: gradient's cosine {fidelity['grad_cosine']:.6f} with autograd's, "
        f"largest error of V {fidelity['value_error']:.1g} of its spread, of log π {fidelity['logp_error']:.1g} nats."
    )
    return [
        faithful,
        *(f"Assumed: {one}" for one in agent["assumed"]),
        *(f"Left out: {one}" for one in agent["left_out"]),
    ]


def has_history(found: Found) -> bool:
    """Whether there is more than one moment to show."""
    return len(found["history"]["checkpoints"]) > 1 or bool(found["history"]["updates"])


def html(folder: Path, found: Found) -> str:
    """The page as one text, pictures within it."""
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
        show=show,
        show_interval=show_interval,
    )


def _embedded(figure: Figure) -> str:
    """A figure as an address that holds it whole."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()


def printed(folder: Path, found: Found) -> list[Figure]:
    """The page for paper: one sheet with every section, and a second one with the history and the notes."""
    first = Figure(figsize=A4)
    y = _write(first, 0.965, title(found), 15, 80, weight="bold")
    y = _write(first, y, subtitle(found), 8, 128, color=GREY)
    height = (y - 0.02) / len(found["sections"])
    for number, section in enumerate(found["sections"]):
        top = y - number * height
        first.add_artist(_rule(first, top))
        _print_section(first, top - 0.012, height, section, folder, found)
    second = Figure(figsize=A4)
    y = 0.965
    if has_history(found):
        y = _write(second, y, "Over training", 12, 80, weight="bold")
        part = second.add_subfigure(
            second.add_gridspec(1, 1, left=0.05, right=0.95, top=y, bottom=y - 0.18)[0]
        )
        draw_history(part, found)
        part.subplots_adjust(left=0.06, right=0.98, bottom=0.2, top=0.88, wspace=0.25)
        y -= 0.21
    y = _write(second, y, "All numbers", 12, 80, weight="bold")
    for section in found["sections"]:
        for one in section["findings"]:
            y = _write(second, y, f"{one['title']}: {_number(one)}, over {one['over']}.", 8, 128)
    y = _write(second, y - 0.01, "How the agent was read", 12, 80, weight="bold")
    for note in notes(found):
        y = _write(second, y, note, 8, 128)
    return [first, second]


def _print_section(
    page: Figure, top: float, height: float, section: Found, folder: Path, found: Found
) -> None:
    y = _write(page, top, section["question"], 11, 60, weight="bold")
    y = _write(page, y, section["headline"], 9, 116, style="italic")
    picture = page.add_subfigure(
        page.add_gridspec(1, 1, left=MARGIN - 0.02, right=0.50, top=y, bottom=top - height + 0.022)[0]
    )
    draw_section(picture, section["key"], folder, found)
    picture.subplots_adjust(left=0.12, right=0.98, bottom=0.2, top=0.9, wspace=0.3)
    for one in section["findings"]:
        y = _write(page, y, f"{one['title']}: {_number(one)}", 7, 75, left=0.52, weight="bold")
        y = _write(page, y, one["sentence"], 6.6, 84, left=0.52)
        if one["study"]:
            y = _write(page, y, one["study"]["sentence"], 6.2, 90, left=0.52, color=GREY)
        y -= 0.002


def _number(one: Found) -> str:
    return f"{show(one['value'], one['unit'])} {show_interval(one['low'], one['high'])}".strip()


def _write(
    page: Figure, y: float, text: str, size: float, width: int, left: float = MARGIN, **look: Any
) -> float:
    """Write wrapped lines below a height; returns the height below them."""
    lines = textwrap.wrap(text, width)
    page.text(left, y, "\n".join(lines), size=size, va="top", linespacing=1.15, **look)
    return y - len(lines) * 1.25 * size / 72 / A4[1] - 0.003


def _rule(page: Figure, y: float) -> Line2D:
    return Line2D([MARGIN, 1 - MARGIN], [y, y], color="0.8", linewidth=0.6, transform=page.transFigure)
