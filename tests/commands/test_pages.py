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
from pgprim.report.claims.claims import CLAIMS
from pgprim.report.claims.table import BEGIN, END, SECTIONS
from pgprim.report.pages import State, computed
from pgprim.types.errors import UserError
from tests.checkouts import PROJECT
from tests.report.test_claim import MEANS, agents, judged, per_task

JUDGED = Path("data/claims/gradients.json")
PNG = (PROJECT / "docs/images/growth.png").read_bytes()
README = """# It

<!-- figure fig1: Agreement -->
<!-- /figure -->

<!-- figure fig3: Errors -->
<!-- /figure -->

<!-- results agreement_is_poor -->
<!-- /results -->

<!-- results agreement_is_poor, choices_matter -->
<!-- /results -->

<!-- results choices_matter -->
<!-- /results -->

<!-- computed -->
<!-- /computed -->
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one recorded figure, one section with a judged claim, and pages with marks."""
    monkeypatch.chdir(tmp_path)
    for folder in ("docs/images", "docs/probes", "figures", "data/claims"):
        Path(folder).mkdir(parents=True)
    shutil.copytree(PROJECT / "workflow", "workflow")
    shutil.copyfile(PROJECT / "dvc.yaml", "dvc.yaml")
    shutil.copyfile(PROJECT / "docs/costs.md", "docs/costs.md")
    Path("params.yaml").write_text(render(find_set("default")))
    Path("figures/fig1.png").write_bytes(PNG)
    claim = judged(per_task, {"above": 0.4}, agents(MEANS))
    JUDGED.write_text(json.dumps({"agreement_is_poor": claim}))
    stages = {
        "figure@fig1": ("python -m pgprim.commands.plot fig1 --by probes/gradient", Path("figures/fig1.png")),
        "claims_gradients": ("python -m pgprim.commands.claims --section gradients", JUDGED),
    }
    lock = {
        name: {"cmd": cmd, "outs": [{"path": str(out), "md5": md5(out.read_bytes())}]}
        for name, (cmd, out) in stages.items()
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": lock}))
    Path("README.md").write_text(README)
    Path("docs/probes/gradient.md").write_text("<!-- figure fig1: Agreement -->\n<!-- /figure -->\n")
    Path("docs/claims.md").write_text(f"{BEGIN}\n\n{END}\n")
    return tmp_path


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def pages(targets: bool = False) -> None:
    main(argparse.Namespace(targets=targets))


def test_figures_and_results_go_in_and_twice_is_once(repository, capsys):
    pages()
    readme = Path("README.md").read_text()
    assert "![Agreement](docs/images/fig1.png)" in readme
    assert "*Errors: not computed yet; `snakemake figures/fig3.pdf` makes this figure.*" in readme
    assert "\n1 of " in readme and " figures are computed. " in readme
    assert "![Agreement](../images/fig1.png)" in Path("docs/probes/gradient.md").read_text()
    assert Path("docs/images/fig1.png").read_bytes() == PNG
    assert "README.md is brought up to date" in capsys.readouterr().out
    pages()
    assert Path("README.md").read_text() == readme and capsys.readouterr().out == ""


def test_claims_of_sections_that_are_judged_show_their_verdicts(repository):
    pages()
    verdict = "* It is so: **reproduced on 1 of 2 tasks (1 not reproduced)** ([claims](docs/claims.md))."
    of_another_section = "* PPO's implementation choices matter for its return: not judged yet ([claims]"
    only, both, other = Path("README.md").read_text().split("<!-- results ")[1:]
    assert verdict in only and "ot judged yet" not in only
    assert verdict in both and of_another_section in both
    assert "*Not judged yet. The rules are already fixed: [claims](docs/claims.md).*" in other
    assert f"Of {len(CLAIMS)} claims, 1 is judged." in other
    table = Path("docs/claims.md").read_text()
    assert table.count("It is so (Sec. 1)") == 1 and "choices matter" not in table


def test_without_a_judged_section_there_are_no_verdicts(repository):
    pages()
    lock = yaml.safe_load(Path("dvc.lock").read_text())
    del lock["stages"]["claims_gradients"]
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    pages()
    readme = Path("README.md").read_text()
    assert readme.count("*Not judged yet.") == 3 and "**" not in readme
    assert f"Of {len(CLAIMS)} claims, none is judged yet." in readme
    assert Path("docs/claims.md").read_text() == f"{BEGIN}\n\n{END}\n"


def test_recorded_claims_that_are_not_here_are_the_repository_s_own(repository):
    pages()
    readme, digest = Path("README.md").read_text(), md5(JUDGED.read_bytes())
    shared = Path("remote/files/md5", digest[:2], digest[2:])
    shared.parent.mkdir(parents=True)
    JUDGED.rename(shared)
    Path("README.md").write_text(README)
    pages()
    assert Path("README.md").read_text() == readme
    shared.unlink()
    with pytest.raises(
        UserError, match=rf"^{JUDGED} is neither here nor in .*`snakemake {JUDGED}` makes it$"
    ):
        pages()


def test_the_claims_and_the_figures_of_all_pages_are_listed_once(repository, capsys):
    pages(targets=True)
    claims = [f"data/claims/{section}.json" for section in SECTIONS]
    assert capsys.readouterr().out.split() == [*claims, "figures/fig1.pdf", "figures/fig3.pdf"]
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
        ("<!-- results its -->\n<!-- /results -->", "README.md: its is no claim of pgprim/report/claims"),
    ],
)
def test_a_mark_of_nothing_is_one_sentence(repository, mark, sentence):
    Path("README.md").write_text(f"# It\n\n{mark}\n")
    with pytest.raises(UserError, match=sentence):
        pages()


def test_a_whole_edition_is_all_figures_and_claims():
    names = frozenset({"fig1", "fig2"})
    state = State(names, names, names, {name: {} for name in CLAIMS})
    assert computed(state) == (f"All 2 figures are computed. Of {len(CLAIMS)} claims, all are judged.")
