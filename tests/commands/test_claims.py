"""The claims' command: rows in, a page's table out; and the README's own table is that of the rows that are shared."""

import argparse
import json
from pathlib import Path

import pytest
import yaml

from pgprim.commands.claims import main
from pgprim.report.claims.claims import CLAIMS
from pgprim.report.claims.table import BEGIN, END, insert
from pgprim.types.errors import UserError
from tests.dag.checkouts import PROJECT


def shared_rows() -> dict:
    """`data/claims.json` as `dvc.lock` names it, from the repository's own remote."""
    lock = yaml.safe_load((PROJECT / "dvc.lock").read_text(encoding="utf-8"))
    (out,) = lock["stages"]["claims"]["outs"]
    return json.loads((PROJECT / "remote/files/md5" / out["md5"][:2] / out["md5"][2:]).read_text("utf-8"))


def test_the_readme_shows_the_shared_rows():
    page = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert insert(page, shared_rows()) == page


def test_every_claim_has_a_shared_row_with_today_s_rule():
    rows = shared_rows()
    rules = yaml.safe_load((PROJECT / "workflow/scales/default.yaml").read_text(encoding="utf-8"))["claims"][
        "rules"
    ]
    assert {name: row["rule"] for name, row in rows.items()} == rules
    assert rows.keys() == CLAIMS.keys()
    assert all(row["statement"] == CLAIMS[name].statement for name, row in rows.items())


def show(kept: str, page: str) -> None:
    main(argparse.Namespace(out=Path(kept), into=Path(page), inputs=[]))


def test_rows_go_into_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("claims.json").write_text(json.dumps(shared_rows()))
    Path("page.md").write_text(f"# Page\n\n{BEGIN}\n{END}\n\nrest\n")
    show("claims.json", "page.md")
    page = Path("page.md").read_text()
    assert page.startswith("# Page\n") and page.endswith("\nrest\n")
    assert all(claim.statement in page for claim in CLAIMS.values())


def test_a_page_without_marks_or_missing_rows_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("page.md").write_text("# Page\n")
    with pytest.raises(UserError, match=r"rows.json: no rows of claims .* `snakemake rows.json`"):
        show("rows.json", "page.md")
    Path("rows.json").write_text(json.dumps(shared_rows()))
    with pytest.raises(UserError, match=r"page.md: has no lines"):
        show("rows.json", "page.md")
    assert Path("page.md").read_text() == "# Page\n"
