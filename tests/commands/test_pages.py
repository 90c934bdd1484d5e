"""The command that fills the README and docs: figures and results go in, twice is once, and a wrong input is one sentence."""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

from pgprim.commands.pages import main
from pgprim.commands.scale import find_set, render
from pgprim.report.pages import Recorded, State, computed
from pgprim.types.errors import UserError
from tests.dag.checkouts import PROJECT
from tests.report.test_claim import MEANS, agents, judged, per_task

PNG = (PROJECT / "docs/images/growth.png").read_bytes()
README = """# It

<!-- figure fig1: Agreement -->
<!-- /figure -->

<!-- figure fig3: Errors -->
<!-- /figure -->

<!-- results it -->
<!-- /results -->

<!-- computed -->
<!-- /computed -->
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one recorded figure, a judged claim, and pages with marks."""
    monkeypatch.chdir(tmp_path)
    for folder in ("docs/images", "docs/probes", "figures", "data"):
        Path(folder).mkdir(parents=True)
    shutil.copytree(PROJECT / "workflow", "workflow")
    shutil.copyfile(PROJECT / "dvc.yaml", "dvc.yaml")
    shutil.copyfile(PROJECT / "docs/costs.md", "docs/costs.md")
    Path("params.yaml").write_text(render(find_set("default")))
    Path("figures/fig1.png").write_bytes(PNG)
    out = {"path": "figures/fig1.png", "md5": hashlib.md5(PNG).hexdigest()}
    stage = {"cmd": "python -m pgprim.commands.plot fig1 --by probes/gradient", "outs": [out]}
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"figure@fig1": stage}}))
    Path("data/claims.json").write_text(json.dumps({"it": judged(per_task, {"above": 0.4}, agents(MEANS))}))
    Path("README.md").write_text(README)
    Path("docs/probes/gradient.md").write_text("<!-- figure fig1: Agreement -->\n<!-- /figure -->\n")
    return tmp_path


def pages(figures: bool = False) -> None:
    main(argparse.Namespace(figures=figures))


def test_figures_and_results_go_in_and_twice_is_once(repository, capsys):
    pages()
    readme = Path("README.md").read_text()
    assert "![Agreement](docs/images/fig1.png)" in readme and "first edition" not in readme
    assert "*Errors: not computed yet; `snakemake figures/fig3.pdf` makes this figure.*" in readme
    assert "* It is so: **" in readme and "([claims](docs/claims.md))" in readme
    assert "1 of the second edition's" in readme and "claims are judged" in readme
    assert "![Agreement](../images/fig1.png)" in Path("docs/probes/gradient.md").read_text()
    assert Path("docs/images/fig1.png").read_bytes() == PNG
    assert "README.md is brought up to date" in capsys.readouterr().out
    pages()
    assert Path("README.md").read_text() == readme and capsys.readouterr().out == ""


def test_a_figure_of_an_earlier_edition_says_so(repository):
    Path("dvc.lock").write_text(
        Path("dvc.lock").read_text().replace("pgprim.commands.plot", "pgprim.stages.plot")
    )
    pages()
    readme = Path("README.md").read_text()
    assert "From the first edition" in readme and "None of the second edition's" in readme


def test_claims_that_are_not_judged_yet_are_no_results(repository):
    Path("data/claims.json").unlink()
    pages()
    readme = Path("README.md").read_text()
    assert "*Not judged yet." in readme and "**" not in readme


def test_the_figures_of_all_pages_are_listed_once(repository, capsys):
    pages(figures=True)
    assert capsys.readouterr().out == "figures/fig1.pdf figures/fig3.pdf\n"
    assert Path("README.md").read_text() == README


def test_a_figure_that_is_not_on_record_is_refused(repository):
    Path("figures/fig1.png").write_bytes(PNG + b"x")
    with pytest.raises(UserError, match=r"figures/fig1\.png is not what dvc.lock records"):
        pages()
    assert not Path("docs/images/fig1.png").exists()


def test_another_parameter_set_is_refused(repository):
    Path("params.yaml").write_text(render(find_set("smoke")))
    with pytest.raises(
        UserError, match=r"params\.yaml is the parameter set smoke, but the pages show default"
    ):
        pages()


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        ("<!-- figure fig99: It -->\n<!-- /figure -->", "README.md: fig99 is no figure of dvc.yaml"),
        ("<!-- results its -->\n<!-- /results -->", "README.md: its is no claim of data/claims.json"),
    ],
)
def test_a_mark_of_nothing_is_one_sentence(repository, mark, sentence):
    Path("README.md").write_text(f"# It\n\n{mark}\n")
    with pytest.raises(UserError, match=sentence):
        pages()


def test_a_whole_edition_is_all_figures():
    names = frozenset({"fig1", "fig2"})
    state = State(names, dict.fromkeys(names, Recorded("0", current=True)), names, None)
    assert computed(state) == (
        "All 2 figures of the second edition are computed, and the paper's claims are not judged yet."
    )
