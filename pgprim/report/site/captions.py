"""Captions of the figures as HTML, from the template that Snakemake's report uses too."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

from docutils.core import publish_parts
from jinja2 import Environment, StrictUndefined


@dataclass(frozen=True)
class Caption:
    """Title and text of a figure.

    Attributes:
        title: The caption's first sentence as plain text, such as "Figure 1. Mean pairwise cosine of ... Humanoid".
        html: All of the caption.
    """

    title: str
    html: str


@dataclass(frozen=True)
class _Job:
    """Variables that Snakemake gives to a caption."""

    output: list[str]
    config: Mapping[str, Any]


def caption(template: str, figure: str, params: Mapping[str, Any]) -> Caption:
    """Render the caption of a figure.

    Args:
        template: A Jinja2 template of reStructuredText that reads `snakemake.output` and `snakemake.config`.
        figure: The figure's name.
        params: The parameter file.
    """
    job = _Job([f"figures/{figure}.pdf", f"figures/{figure}.png", f"data/figures/{figure}.nc"], params)
    text = Environment(undefined=StrictUndefined).from_string(template).render(snakemake=job)
    settings = {"report_level": 5, "file_insertion_enabled": False, "raw_enabled": False}
    html = publish_parts(text, writer="html5", settings_overrides=settings)["body"]
    words = [
        unescape(re.sub(r"<[^>]+>", "", part)).split()
        for part in re.findall(r"<p>(.*?)</p>", html, re.DOTALL)
    ]
    first = re.split(r"(?<=[^.]{12}[.])\s", " ".join(words[0]))[0] if words else figure
    return Caption(first.rstrip("."), html.strip())
