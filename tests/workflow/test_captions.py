"""Every figure of dvc.yaml has a caption of its own in the report, with its parameters, and a place in `dvc plots show`."""

import io

import pytest
import yaml
from docutils.core import publish_doctree
from dvcsnake.pipeline import Pipeline
from jinja2 import Environment, StrictUndefined

from pgprim.types.params import read
from tests.checkouts import PROJECT

DVC = yaml.safe_load((PROJECT / "dvc.yaml").read_text())
CONFIG = read(PROJECT / "workflow/scales/default.yaml")
TEMPLATE = Environment(undefined=StrictUndefined).from_string(
    (PROJECT / "workflow/report/figures.rst").read_text()
)


def drawn() -> list[str]:
    """The names of all figures."""
    patterns = {group: Pipeline(DVC["stages"], {}).patterns(group) for group in DVC["stages"]}
    names = []
    for group, paths in patterns.items():
        for path in (path for path in paths if path.startswith("figures/") and path.endswith(".pdf")):
            names += [path.format(key=key) for key in DVC["stages"][group].get("foreach", [""])]
    return sorted(name.removeprefix("figures/").removesuffix(".pdf") for name in names)


class Job:
    """What Snakemake tells a caption."""

    config = CONFIG

    def __init__(self, figure: str):
        self.output = [f"figures/{figure}.pdf", f"figures/{figure}.png", f"data/figures/{figure}.nc"]


def caption(figure: str) -> str:
    return TEMPLATE.render(snakemake=Job(figure))


@pytest.mark.parametrize("figure", drawn())
def test_a_figure_has_a_caption_of_its_own(figure):
    text = caption(figure)
    warnings = io.StringIO()
    tree = publish_doctree(text, settings_overrides={"warning_stream": warnings, "report_level": 1})
    assert not warnings.getvalue()
    first, *others = [paragraph.astext() for paragraph in tree.findall() if paragraph.tagname == "paragraph"]
    assert first.startswith(f"Figure {figure[3:]}." if figure[3:].isdigit() else "")
    assert text.strip().startswith("**") and len(first) > 40
    assert any(paragraph.startswith("Parameters: ") for paragraph in others)


def test_no_two_captions_are_alike():
    assert len({caption(figure) for figure in drawn()}) == len(drawn())


def test_there_are_figures_and_a_stranger_s_has_the_plain_caption():
    assert {"fig1", "fig2", "fig8", "fig9", "fig10", "table1"} <= set(drawn())
    assert caption("returns").strip() == "returns, drawn from data/figures/returns.nc."


def test_dvc_plots_shows_every_figure():
    of_the_paper = [figure for figure in drawn() if not figure.startswith("mine/")]
    assert sorted(DVC["plots"]) == sorted(f"figures/{figure}.png" for figure in of_the_paper)
