"""Agents of three libraries, audited end to end at a tiny scale."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pgprim.adopt.callback import SaveSeries
from pgprim.audit.findings import show
from tests.adopt import examples
from tests.audit.audits import ENVIRONMENT, OPTIONS, audit, command, visible

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    # safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

JOBS = 8
NORMALISER = ("--normaliser", "vecnormalize.pkl")


def make_ppo(folder):
    examples.train_sb3(folder, target_kl=0.05)
    return ("agent.zip", *NORMALISER)


def make_trpo(folder):
    examples.train_sb3_trpo(folder)
    return ("agent.zip", *NORMALISER)


def make_cleanrl(folder):
    examples.train_cleanrl(folder / "agent.cleanrl_model")
    # The script's own defaults are those of 2048 pairs; this one took 256.
    return ("agent.cleanrl_model", "--set", "pairs=256")


@pytest.fixture(scope="module", params=[make_ppo, make_trpo, make_cleanrl], ids=["ppo", "trpo", "cleanrl"])
def audited(request, tmp_path_factory):
    """Folder of an audit, and what it printed."""
    folder = tmp_path_factory.mktemp("audited")
    printed = audit(folder, *request.param(folder), *OPTIONS)
    return folder / "audit", printed


def load(path):
    return xr.load_dataset(path, engine="scipy")


def findings(out):
    found = json.loads((out / "audit.json").read_text())
    return found, {one["key"]: one for section in found["sections"] for one in section["findings"]}


def test_an_audit_ends_with_a_page_that_needs_nothing_beside_itself(audited):
    out, printed = audited
    assert f"{JOBS} jobs were run" in printed
    page = (out / "audit.html").read_text()
    assert (out / "audit.pdf").read_bytes().startswith(b"%PDF")
    links = re.findall(r'(?:src|href)\s*=\s*"([^"]*)"', page)
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    assert not re.search(r"<script|@import|url\(", page)


def test_the_page_s_numbers_are_those_of_the_datasets(audited):
    out, _ = audited
    found, numbers = findings(out)
    page, ends, pairs = visible((out / "audit.html").read_text()), {}, found["agent"]["pairs"]
    for key, one in numbers.items():
        source = one["source"]
        ds = load(out / source["file"])
        value = ds[source["variable"]].sel(source["at"]).values.ravel()
        how = source.get("how", "")
        if how == "mean over batches":
            assert value.size == 4
            value = [np.nanmean(value)] if np.isfinite(value).any() else [np.nan]
        elif how.startswith("times"):
            value = [float(re.match(r"times (\S+):", how)[1]) * value[0]]
        elif how.startswith("√"):
            value = [np.sqrt(max(0.0, value[0]) / ds["squared_value"].item())]
        elif "how" not in source:
            bounds = ds[f"{source['variable']}_ci"].sel(source["at"]).values.ravel()
            ends[key] = bounds
            for mine, theirs in zip((one["low"], one["high"]), bounds, strict=True):
                assert mine == (pytest.approx(theirs) if np.isfinite(theirs) else None)
        assert len(value) == 1
        if np.isfinite(value[0]):
            assert one["value"] == pytest.approx(value[0])
            assert show(float(value[0]), one["unit"]).replace("\u2009", " ") in page, key
        else:
            assert one["value"] is None
        low, value, high = one["low"], one["value"], one["high"]
        assert None in (low, value) or low <= value
        assert None in (value, high) or value <= high
    assert {"cosine", "noise_scale", "kept", "promised", "better_critic"} <= set(numbers)
    assert set(ends) >= {"cosine", "noise_scale", "kept"}
    assert numbers["cosine"]["source"]["at"] == {"budget": pairs}
    scale = numbers["noise_scale"]["value"]
    if scale is not None:
        assert numbers["batch_for_0.5"]["value"] == pytest.approx(scale)
        assert numbers["batch_for_0.9"]["value"] == pytest.approx(9 * scale)


def test_what_the_page_concludes_follows_from_its_intervals(audited):
    out, _ = audited
    found, numbers = findings(out)
    headlines = dict(zip(("gradient", "critic", "step", "trust_region"), found["headline"], strict=True))
    cosine, kept, kl = numbers["cosine"], numbers["kept"], numbers["kl_mean"]
    assert ("cannot be told from noise" in headlines["gradient"]) == (cosine["low"] <= 0)
    assert ("The true reward rises" in headlines["step"]) == (kept["low"] is not None and kept["low"] > 0)
    bound = found["agent"]["settings"].get("delta", found["agent"]["settings"].get("target_kl"))
    if bound is not None:
        assert ("keep" in headlines["trust_region"] and "Whether" not in headlines["trust_region"]) == (
            kl["high"] <= bound
        )
    assert found["agent"]["fidelity"]["grad_cosine"] > 0.9999


def test_without_the_study_s_datasets_the_page_says_so(audited):
    out, _ = audited
    _, numbers = findings(out)
    assert "The study's datasets are missing" in visible((out / "audit.html").read_text())
    assert all("median" not in (one["study"] or {}) for one in numbers.values())


def contents(out):
    """Bytes of all results by path."""
    files = [path for path in out.rglob("*") if path.is_file() and "log" not in path.parts]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def times(out):
    return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".nc", ".zarr")}


@pytest.mark.parametrize("audited", [make_ppo], indirect=True, ids=["ppo"])
def test_a_killed_audit_goes_on_and_ends_with_the_same_bytes(audited, tmp_path):
    out, _ = audited
    source = out.parent
    for path in source.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    found, _ = findings(out)
    args = [Path(found["agent"]["file"]).name]
    args += NORMALISER if (source / "vecnormalize.pkl").exists() else ("--set", "pairs=256")
    folder = tmp_path / "audit" / str(found["agent"]["iteration"])
    process = subprocess.Popen(
        command(*args, *OPTIONS),
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (folder / "rollouts.zarr").exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 30
    while (alive := workers_of(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not alive, "workers end with the audit"
    before = times(tmp_path / "audit")
    printed = audit(tmp_path, *args, *OPTIONS)
    assert int(re.match(r"(\d+) jobs", printed)[1]) < JOBS
    after = times(tmp_path / "audit")
    assert before.items() <= after.items()
    assert contents(tmp_path / "audit") == contents(out)


def workers_of(folder):
    """Processes that work on an audit below a folder."""
    alive = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words, where = (entry / "cmdline").read_bytes(), os.readlink(entry / "cwd")
            except OSError:  # it ended, or is another's
                continue
            if b"pgprim.audit.worker" in words and where.startswith(str(folder)):
                alive.append(entry.name)
    return alive


def test_a_second_checkpoint_computes_only_what_is_new_and_a_series_has_its_updates(tmp_path):
    saved = tmp_path / "saved"
    examples.train_sb3(tmp_path, callback=SaveSeries(saved, every=1), iterations=2)
    assert sorted(file.name for file in saved.iterdir()) == [f"{k}.safetensors" for k in range(3)]
    first = tmp_path / "series"
    first.mkdir()
    for k in range(2):
        shutil.copy(saved / f"{k}.safetensors", first)
    name = ("--name", "grown")
    assert f"{JOBS} jobs were run" in audit(tmp_path, first, *OPTIONS, *name)
    out = tmp_path / "audit"
    found, _ = findings(out)
    assert found["agent"]["iteration"] == 1
    assert found["history"]["updates"]["iteration"] == [0]
    before = times(out / "1")
    shutil.copy(saved / "2.safetensors", first)
    assert f"{JOBS} jobs were run" in audit(tmp_path, first, *OPTIONS, *name)
    assert times(out / "1") == before
    found, numbers = findings(out)
    assert [row["iteration"] for row in found["history"]["checkpoints"]] == [1, 2]
    assert found["history"]["checkpoints"][-1]["numbers"]["cosine"][0] == numbers["cosine"]["value"]
    assert found["history"]["updates"]["iteration"] == [0, 1]
    kl = load(out / "series/trust_region.nc").kl_mean.values.ravel()
    np.testing.assert_allclose(found["history"]["updates"]["kl_mean"], kl)
    assert "Over training" in (out / "audit.html").read_text()
    before = times(out)
    assert "nothing was new" in audit(tmp_path, first, *OPTIONS, *name)
    assert times(out) == before
