"""The claims' command: verdicts per section; and the docs' own table is that of the shared claims."""

import argparse
import json
from importlib import import_module
from pathlib import Path

import pytest
import xarray as xr
import yaml

from pgprim.commands.claims import main
from pgprim.report.claims import trust_regions
from pgprim.report.claims.first import FIRST_CLAIMS
from pgprim.report.claims.table import SECTIONS, insert, read_claims
from pgprim.store.datasets import save_dataset
from pgprim.types.errors import UserError
from tests.checkouts import PROJECT
from tests.report.test_claims import bounds


@pytest.fixture(scope="module")
def shared() -> dict[str, Path]:
    """Judged claims of the sections that `dvc.lock` has, from the repository's own remote."""
    lock = yaml.load((PROJECT / "dvc.lock").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    outs = {out["path"]: out for stage in lock["stages"].values() for out in stage.get("outs", ())}
    digests = {
        section: outs[path]["md5"] for section in SECTIONS if (path := f"data/claims/{section}.json") in outs
    }
    if not digests:
        pytest.skip("no section's claims of this edition's default set are judged yet")
    return {name: PROJECT / "remote/files/md5" / md5[:2] / md5[2:] for name, md5 in digests.items()}


def test_the_docs_show_the_shared_claims(shared):
    page = (PROJECT / "docs/claims.md").read_text(encoding="utf-8")
    assert insert(page, read_claims(shared)) == page


def test_every_claim_is_shared_with_today_s_rule(shared):
    text = (PROJECT / "workflow/scales/default.yaml").read_text(encoding="utf-8")
    params = yaml.safe_load(text)["claims"]
    for section, path in shared.items():
        claims = json.loads(path.read_text("utf-8"))
        module, first = import_module(f"pgprim.report.claims.{section}"), FIRST_CLAIMS[section]
        assert claims.keys() == {*module.CLAIMS, *(f"first_rule/{name}" for name in first)}
        for name, claim in claims.items():
            block, known = ("first_rules", first) if claim["first_rule"] else ("rules", module.CLAIMS)
            key = name.removeprefix("first_rule/")
            assert claim["rule"] == params[block][key] and claim["statement"] == known[key].statement


def test_a_section_is_judged_from_its_own_results(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    train = bounds()
    both = xr.concat([train, train.assign_coords(part=["held_out"])], "part", data_vars="minimal")
    for name, values in both.data_vars.items():
        values.attrs |= {"units": "1", "long_name": name}
    save_dataset(tmp_path / "trust_region/all.nc", both)
    inputs = [tmp_path / "trust_region"]
    main(argparse.Namespace(section="trust_regions", out=tmp_path, inputs=inputs))
    judged = json.loads((tmp_path / "trust_regions.json").read_text())
    first = {f"first_rule/{name}" for name in FIRST_CLAIMS["trust_regions"]}
    assert judged.keys() == {*trust_regions.CLAIMS, *first}
    assert judged["trpo_keeps_delta"]["verdict"] == "reproduced"
    assert judged["first_rule/ppo_breaks_eps"]["verdict"] == "not reproduced"


def test_a_section_whose_results_are_not_given_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    with pytest.raises(UserError, match=r"^no results of ablation are given"):
        main(argparse.Namespace(section="training", out=tmp_path, inputs=[]))
