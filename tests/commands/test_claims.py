"""The claims' command: rows in, a page's table out; and the docs' own table is that of the claims that are shared."""

import argparse
import json
from pathlib import Path

import pytest
import yaml

from pgprim.commands.claims import main
from pgprim.report.claims.claims import CLAIMS
from pgprim.report.claims.first import FIRST_CLAIMS
from pgprim.report.claims.table import BEGIN, END, insert
from pgprim.types.errors import UserError
from tests.dag.checkouts import PROJECT
from tests.report.test_claim import MEANS, agents, judged, per_task


def shared_claims() -> dict:
    """`data/claims.json` as `dvc.lock` names it, from the repository's own remote."""
    lock = yaml.safe_load((PROJECT / "dvc.lock").read_text(encoding="utf-8"))
    if "claims" not in lock["stages"]:
        pytest.skip("the claims of the default set are not computed yet")
    (out,) = lock["stages"]["claims"]["outs"]
    return json.loads((PROJECT / "remote/files/md5" / out["md5"][:2] / out["md5"][2:]).read_text("utf-8"))


def test_the_docs_show_the_shared_claims():
    claims = shared_claims()
    page = (PROJECT / "docs/claims.md").read_text(encoding="utf-8")
    assert insert(page, claims) == page


def test_every_claim_is_shared_with_today_s_rule():
    claims = shared_claims()
    text = (PROJECT / "workflow/scales/default.yaml").read_text(encoding="utf-8")
    params = yaml.safe_load(text)["claims"]
    assert claims.keys() == {*CLAIMS, *(f"first_rule/{name}" for name in FIRST_CLAIMS)}
    for name, claim in claims.items():
        block, known = ("first_rules", FIRST_CLAIMS) if claim["first_rule"] else ("rules", CLAIMS)
        key = name.removeprefix("first_rule/")
        assert claim["rule"] == params[block][key] and claim["statement"] == known[key].statement


def show(kept: str, page: str) -> None:
    main(argparse.Namespace(out=Path(kept), into=Path(page), inputs=[]))


def test_claims_go_into_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("claims.json").write_text(json.dumps({"it": judged(per_task, {"above": 0.4}, agents(MEANS))}))
    Path("page.md").write_text(f"# Page\n\n{BEGIN}\n{END}\n\nrest\n")
    show("claims.json", "page.md")
    page = Path("page.md").read_text()
    assert page.startswith("# Page\n") and page.endswith("\nrest\n")
    assert "It is so" in page and "| hopper |" in page and "| humanoid |" in page


def test_a_page_without_marks_or_missing_claims_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("page.md").write_text("# Page\n")
    with pytest.raises(UserError, match=r"rows.json: no rows of claims .* `snakemake rows.json`"):
        show("rows.json", "page.md")
    Path("rows.json").write_text("{}")
    with pytest.raises(UserError, match=r"page.md: has no lines"):
        show("rows.json", "page.md")
