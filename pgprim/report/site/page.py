"""The page: templates, code, style, results and pictures as one HTML file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

import xarray as xr
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from pgprim.plotting.labels import algo_label, order_algos, order_tasks, task_label
from pgprim.plotting.style import BASELINES, BATCHES, colour
from pgprim.report.site import claims as told_claims
from pgprim.report.site.agents import agents
from pgprim.report.site.captions import caption
from pgprim.report.site.collect import LABELLED, LANDSCAPE, Estimates, labelled, planes, slices
from pgprim.report.site.encode import encode, pack, to_json
from pgprim.report.site.findings import findings
from pgprim.report.site.pictures import pictures
from pgprim.types.errors import UserError

LIMIT = 6_000_000
"""Largest size of the page [bytes]."""

PICTURES = 1_000_000
"""Largest size of all pictures in it [bytes]; the PDFs beside the page have every detail."""

VIEWS = {
    "front": "Overview",
    "claims": "Claims",
    "gradients": "Gradients",
    "values": "Values",
    "landscapes": "Landscapes",
    "trust": "Trust regions",
    "reliability": "Reliability",
    "agents": "Agents",
    "gallery": "Figures",
}
"""The page's views by their address, in the order of its navigation."""

SCRIPTS = (
    *("data.js", "charts.js", "controls.js"),
    *("gradients.js", "values.js", "surfaces.js", "landscapes.js", "trust.js", "reliability.js", "agents.js"),
    *("claims.js", "main.js"),
)
"""The page's own code in the order in which it runs."""

FIGURE_DATA = {"fig8": ("return_mean", "seeds_mean"), "table1": ("value",)}
"""Figures whose datasets the views read, and the variables that they read."""


@dataclass(frozen=True)
class FigureFiles:
    """A figure's files and where it is drawn.

    Attributes:
        name: Such as `fig1`.
        by: The folder of the package that draws it, such as `probes/gradient`.
        pdf: Its PDF.
        png: Its PNG.
        data: Its dataset.
    """

    name: str
    by: str
    pdf: Path
    png: Path
    data: Path


@dataclass(frozen=True)
class Study:
    """All that the page shows.

    Attributes:
        params: The parameter file.
        captions: The template of captions.
        estimates: Results by probe.
        figures: The figures in the order of the gallery.
        datasets: Datasets of the figures in `FIGURE_DATA` by name; any may be missing.
        claims: Rows of claims by name.
        audits: Audits of agents from elsewhere by name.
    """

    params: Mapping[str, Any]
    captions: str
    estimates: Mapping[str, Estimates]
    figures: Sequence[FigureFiles]
    datasets: Mapping[str, xr.Dataset]
    claims: Mapping[str, Mapping[str, Any]]
    audits: Mapping[str, Mapping[str, Any]]


def render(study: Study) -> str:
    """The page as HTML that loads nothing else and is at most `LIMIT` large; the same study gives the same text.

    Raises:
        UserError: It would be larger even with the smallest pictures.
    """
    level = study.params["plot"]["level"]
    landscapes = study.estimates.get(LANDSCAPE, Estimates({}, {}))
    along = slices(landscapes)
    combined = {
        probe: study.estimates[probe].together()
        for probe in ("gradient", "value", "floors")
        if probe in study.estimates
    }
    meta = _meta(study)
    claims = told_claims.evidence(study.claims)
    payload = {
        "meta": meta,
        "probes": labelled(study.estimates),
        "figures": {
            name: encode(study.datasets[name], names)
            for name, names in FIGURE_DATA.items()
            if name in study.datasets
        },
        "planes": planes(landscapes, level),
        "slices": along,
        "agents": agents(study.estimates),
        "audits": dict(study.audits),
    }
    plotly = get_plotlyjs()
    context = {
        "views": VIEWS,
        "meta": meta,
        "findings": findings(combined, along, meta["pairs"], tuple(meta["algos"])),
        "claims": claims,
        "verdicts": told_claims.counts(claims),
        "style": Markup(_static("style.css")),
        "script": Markup("\n".join(_static(name) for name in SCRIPTS)),
        "data": Markup(pack(to_json(payload))),
        "plotly": Markup(pack(plotly)),
        "plotly_licence": _licence("plotly"),
        "missing": sorted(
            {*LABELLED, LANDSCAPE} - {probe for probe, one in study.estimates.items() if one.parts}
        ),
        "shown": [figure.name for figure in study.figures if figure.png.exists()],
        "gallery": [],
    }
    bare = _html(context)
    room = min(PICTURES, LIMIT - len(bare.encode()) - _markup_of(study))
    shown = pictures({figure.name: figure.png for figure in study.figures if figure.png.exists()}, room)
    page = _html(context | {"gallery": _gallery(study, shown)})
    if (size := len(page.encode())) > LIMIT:
        raise UserError(
            f"the page would have {size / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f} MB; show fewer figures or fewer seeds"
        )
    return page


def _markup_of(study: Study) -> int:
    """Upper bound of the size of the gallery's text [bytes]."""
    return sum(len(one["caption"].encode()) + 2000 for one in _gallery(study, {}))


def _gallery(study: Study, shown: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    entries = []
    for figure in study.figures:
        words = caption(study.captions, figure.name, study.params)
        entries.append(
            {
                "name": figure.name,
                "title": words.title,
                "caption": Markup(words.html),
                "source": f"pgprim/{figure.by}/plot.py",
                "pdf": str(figure.pdf),
                "data": str(figure.data),
                "picture": shown.get(figure.name),
            }
        )
    return entries


def _meta(study: Study) -> dict[str, Any]:
    """Data for all views: names, labels and colours of tasks and algorithms, checkpoints, pairs of training."""
    params, present = study.params, agents(study.estimates)
    tasks = order_tasks({*params["tasks"], *(agent["task"] for agent in present)})
    algos = order_algos({*params["algos"], *(agent["algo"] for agent in present)})
    return {
        "set": params["claims"]["set"],
        "pairs": params["train"]["pairs"],
        "tasks": {task: task_label(task) for task in tasks},
        "algos": {algo: {"label": algo_label(algo), "colour": colour(algo, tuple(algos))} for algo in algos},
        "batches": {kind: look.colour for kind, look in BATCHES.items()},
        "baselines": {baseline: look.colour for baseline, look in BASELINES.items()},
        "num_agents": len(present),
        "iterations": params["iterations"],
        "level": params["plot"]["level"],
        "final": params["reliability"]["final"],
    }


def _static(name: str) -> str:
    text = files(__package__).joinpath("static", name).read_text(encoding="utf-8")
    if re.search(r"</(script|style)", text, re.IGNORECASE):
        raise ValueError(f"{name}: would end the element that it stands in")
    return text


def _licence(package: str) -> str:
    """The licence text of an installed package."""
    installed = distribution(package)
    path = next(
        path
        for path in installed.files or ()
        if path.name.upper().startswith("LICENSE") and "dist-info" in str(path)
    )
    return path.locate().read_text(encoding="utf-8")


def _html(context: Mapping[str, Any]) -> str:
    folder = files(__package__).joinpath("templates")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(context)
