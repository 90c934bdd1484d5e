"""The page as a file: what it holds, what it says of what is missing, and that it is the same bytes each time."""

import base64
import gzip
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from PIL import Image

from pgprim.core.intervals import Interval
from pgprim.plotting.style import ALGOS, look
from pgprim.probes.baselines.measure import ESTIMATES as BASELINES
from pgprim.probes.floors.measure import ESTIMATES as FLOORS
from pgprim.probes.gradient.measure import ESTIMATES as GRADIENT
from pgprim.probes.steps.measure import ESTIMATES as STEPS
from pgprim.probes.trust_region.measure import ESTIMATES as TRUST_REGION
from pgprim.probes.value.measure import ESTIMATES as VALUE
from pgprim.report.claims.claim import Evidence
from pgprim.report.site.captions import caption
from pgprim.report.site.claims import counts, evidence
from pgprim.report.site.collect import LABELLED, Estimates, labelled, load, planes
from pgprim.report.site.encode import encode, numbers, pack
from pgprim.report.site.findings import findings
from pgprim.report.site.page import LIMIT
from pgprim.report.site.pictures import SIZES, pictures
from pgprim.types.params import read
from tests.checkouts import PROJECT
from tests.report import test_claim
from tests.report.site.conftest import make_page

MEASURED = {
    "gradient": GRADIENT,
    "steps": STEPS,
    "baselines": BASELINES,
    "value": VALUE,
    "floors": FLOORS,
    "trust_region": TRUST_REGION,
}


def unpack(packed: str) -> str:
    """The text that was packed, as the browser unpacks it."""
    return gzip.decompress(base64.b64decode(packed)).decode()


def data_of(page: Path) -> dict:
    packed = re.search(r'id="packed-data">([^<]*)<', page.read_text())
    return json.loads(unpack(packed[1]))


@pytest.mark.parametrize("probe", LABELLED)
def test_what_the_page_shows_of_a_probe_is_what_the_probe_measures(probe):
    assert {name.removesuffix("_ci") for name in LABELLED[probe]} - {"scale_is_infinite"} <= set(
        MEASURED[probe]
    )


def test_numbers_keep_four_digits_and_nothing_that_json_does_not_know():
    assert numbers(np.array([0.123456, 1e-9 / 3, 12345678.0, 3.0, np.nan, np.inf])) == [
        0.1235, 3.333e-10, 12350000, 3, None, None,
    ]  # fmt: skip
    assert numbers(np.array([7, 123456])) == [7, 123456]


def test_a_dataset_is_the_same_after_it_was_encoded():
    values = np.array([[1.0, 2.5], [np.nan, 4.0]])
    ds = xr.Dataset({"x": (("task", "budget"), values)}, {"task": ["a", "b"], "budget": [10, 20]})
    told = encode(ds, ["x", "not there"])
    assert told["dims"] == {"task": ["a", "b"], "budget": [10, 20]} and list(told["vars"]) == ["x"]
    back = np.array(told["vars"]["x"]["data"], dtype=float).reshape(2, 2)
    np.testing.assert_array_equal(back, ds.x)


def test_packed_text_is_the_text_and_always_the_same():
    text = "ΔR, </script>, “x” " * 50
    assert unpack(pack(text)) == text and pack(text) == pack(text) and re.fullmatch(r"[\w+/=]+", pack(text))


def scales(values) -> xr.Dataset:
    """Gradient estimates of one task at three budgets, from a table of noise scales: checkpoints by budgets."""
    table = np.array(values, dtype=float)[None, None, None]
    dims = ("task", "algo", "seed", "iteration", "budget")
    attrs = {"long_name": "gradient noise scale", "units": "pairs"}
    iterations = 150 * np.arange(1, 1 + table.shape[3])
    return xr.Dataset(
        {
            "noise_scale": (dims, table, attrs),
            "noise_scale_episodes": (dims, table, attrs),
            "cosine": (dims, np.where(np.isnan(table), np.nan, 0.25)),
        },
        {
            "task": ["hopper"],
            "algo": ["ppo"],
            "seed": [0],
            "iteration": iterations,
            "budget": [100, 200, 400],
        },
    )


def test_a_noise_scale_is_that_of_the_largest_budget_even_if_it_is_infinite():
    ds = scales([[1.0, 2.0, 3.0], [4.0, 5.0, np.nan], [6.0, 7.0, np.inf]])
    told = labelled({"gradient": Estimates({"hopper/ppo/0/150.nc": ds}, {})})["gradient"]["vars"]
    assert told["noise_scale"]["data"] == told["noise_scale_episodes"]["data"] == [3, 5, None]
    assert told["scale_is_infinite"]["data"] == [False, False, True]
    assert told["scale_is_infinite"]["dims"] == ["task", "algo", "seed", "iteration"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([[1, 2, 2000], [1, 4000, np.nan]], "has a median of 3K pairs. Training uses 200 pairs per iteration."),
        ([[1, 2, 3], [1, 2, 5], [4, 5, np.inf]], "has a median of 5 pairs, but at 1 of 3 checkpoints the estimates"),
        ([[1, 2, 3], [4, 5, np.inf]], "The median gradient noise scale is infinite: at 1 of 2 checkpoints the"),
        ([[4, 5, np.inf]] * 2, "The median gradient noise scale is infinite: at 2 of 2 checkpoints the estimates"),
    ],
)  # fmt: skip
def test_a_median_noise_scale_counts_infinite_ones(table, words):
    assert words in findings({"gradient": scales(table)}, [], 200, ("ppo",))[0].text


def test_algorithms_that_are_not_the_paper_s_look_different_from_each_other():
    algos = (*ALGOS, "dapo", "vpo")
    one = scales([[1, 2, 3]])
    both = xr.concat([one.assign_coords(algo=[algo]) for algo in algos[-2:]], "algo", join="outer")
    steps = [
        {"algo": algo, "kind": "few", "iteration": 1, "pairs": 200, "promised": 0.2, "promised_fresh_unclipped": 0.1}
        for algo in algos[-2:]
    ]  # fmt: skip
    gradients, _, promises = findings({"gradient": both}, steps, 200, algos)
    for algo in algos[-2:]:
        colour = look(algo, algos).colour.lower()
        assert colour in gradients.svg and colour in promises.svg


def claim(rule, *rows) -> dict:
    """A claim as `read_claims` reads it, judged by the real code."""
    judged = test_claim.judged(lambda *_: iter(rows), rule, test_claim.agents(test_claim.MEANS))
    return judged | {"section": "gradients"}


def test_evidence_puts_intervals_and_the_threshold_on_one_scale():
    it = claim({"above": 0.0}, Evidence("hopper", "", Interval(2.0, 1.0, 3.0), 4))
    told = evidence({"it": it})[0]
    low, high = told["ends"]
    assert low < 0 and high > 3
    at = told["rows"][0]["at"]
    for place, value in ((told["threshold"]["at"], 0), (at["low"], 1), (at["value"], 2), (at["high"], 3)):
        assert place == pytest.approx(100 * (value - low) / (high - low), abs=0.01)
    assert told["rule"] == "above 0" and told["rows"][0]["task"] == "Hopper"


def test_verdicts_are_counted_by_today_s_rules_alone():
    rows = [Evidence("hopper", "", Interval(value, value - 0.1, value + 0.1), 4) for value in (0.7, 0.3)]
    mixed = claim({"above": 0.5}, *rows)
    claims = {"a": mixed, "b": mixed | {"first_rule": True}}
    assert counts(evidence(claims)) == {"reproduced": 0, "mixed": 1, "not reproduced": 0, "inconclusive": 0}


def test_a_caption_is_html_and_its_title_its_first_sentence():
    template = "**Figure {{ snakemake.output[0][11:12] }}.** Cosine of a < b, V\\ :sup:`π`. More.\n\n{{ snakemake.config.x }}"
    told = caption(template, "fig3", {"x": "five"})
    assert told.title == "Figure 3. Cosine of a < b, Vπ"
    assert (
        "<strong>Figure 3.</strong>" in told.html
        and "<sup>π</sup>" in told.html
        and "<p>five</p>" in told.html
    )


def test_pictures_are_as_large_as_the_room_allows(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (600, 1400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    files = {"a": tmp_path / "a.png"}
    largest, smallest = pictures(files, 10**9)["a"], pictures(files, 1)["a"]
    assert (largest["width"], largest["height"]) == (1210, 519)
    assert smallest["width"] == SIZES[-1][0]
    between = pictures(files, len(largest["data"]) - 1)["a"]
    assert smallest["width"] < between["width"] < largest["width"]


def test_a_plane_has_its_values_in_the_order_that_it_says(study):
    landscape = load(study / "data/estimates/landscape")
    told = planes(landscape, 0.95)
    one = next(plane for plane in told if (plane["task"], plane["kind"]) == ("hopper", "many"))
    name = f"hopper/{one['algo']}/{one['seed']}/{one['iteration']}/many.nc"
    ds = landscape.parts[name].squeeze(drop=True)
    reward = one["rewards"][1]
    assert [each["pairs"] for each in one["rewards"]] == [2000, 12000]
    i, j = 3, 1
    expected = float(ds.reward.sel(alpha=one["alpha"][i], beta=one["beta"][j], budget=12000))
    assert reward["reward"][i * len(one["beta"]) + j] == pytest.approx(expected, rel=1e-3)
    # The model's surface is a plane: smoothing brings the values nearer to it.
    alpha, beta = np.meshgrid(one["alpha"], one["beta"], indexing="ij")
    surface = (1000 + 40 * alpha - 120 * beta).ravel()
    raw, smoothed = (
        np.square(np.array(one["rewards"][0][key]) - surface).mean() for key in ("reward", "smoothed")
    )
    assert smoothed < raw / 2


class Outside(HTMLParser):
    """Collects what a page would load."""

    def __init__(self):
        super().__init__()
        self.loads = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.loads += [attrs[key] for key in ("src", "srcset", "data") if key in attrs and tag != "a"]
        self.loads += [attrs["href"]] if tag == "link" else []


def test_the_page_loads_nothing_and_is_within_its_limit(study):
    page = study / "site/index.html"
    parser = Outside()
    parser.feed(page.read_text())
    assert parser.loads and all(load.startswith("data:image/webp;base64,") for load in parser.loads)
    assert page.stat().st_size <= LIMIT <= 6_000_000
    assert "MIT" in page.read_text(), "the drawing library's licence is there"


def test_every_agent_is_there_with_the_digests_of_its_files_and_checkpoints(study):
    told = data_of(study / "site/index.html")["agents"]
    assert len(told) == 8
    agent = next(one for one in told if (one["task"], one["algo"], one["seed"]) == ("hopper", "trpo", 1))
    assert list(agent["checkpoints"]) == ["0", "150", "300"] and agent["environment"] == '{"id": "Made-v0"}'
    probes = {file["probe"] for file in agent["files"]}
    assert probes == {*LABELLED, "landscape"}
    assert all((study / file["path"]).is_file() and len(file["sha256"]) == 64 for file in agent["files"])


def test_the_same_study_is_the_same_page(study, tmp_path):
    first = (study / "site/index.html").read_bytes()
    made = make_page(study, "--audits", "audits", "--out", str(tmp_path / "again.html"))
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "again.html").read_bytes() == first


def test_what_is_missing_is_said_in_a_plain_note(study, tmp_path):
    for name in ("params.yaml", "workflow"):
        (tmp_path / name).symlink_to(study / name)
    shutil.copytree(
        study / "data/estimates/gradient/hopper/ppo", tmp_path / "data/estimates/gradient/hopper/ppo"
    )
    made = make_page(tmp_path)
    assert made.returncode == 0, made.stderr
    page = tmp_path / "site/index.html"
    text = re.sub(r"\s+", " ", page.read_text())
    assert (
        "Not measured in this set, or missing here: baselines, floors, landscape, steps, trust region, value."
        in text
    )
    assert "fig1 is not here yet" in text and "There are no judged claims here" in text
    told = data_of(page)
    assert told["planes"] == [] and list(told["probes"]) == ["gradient"] and len(told["agents"]) == 2


def test_a_page_of_one_s_own_is_moved_aside_and_bad_input_ends_in_one_sentence(study, tmp_path):
    own = tmp_path / "mine.html"
    own.write_text("my notes")
    made = make_page(study, "--out", str(own))
    assert made.returncode == 0 and any(p.read_text() == "my notes" for p in tmp_path.iterdir() if p != own)
    for name in ("params.yaml", "workflow"):
        (tmp_path / name).symlink_to(study / name)
    (tmp_path / "data/claims").mkdir(parents=True)
    (tmp_path / "data/claims/values.json").write_text("{")
    made = make_page(tmp_path)
    assert made.returncode == 1 and made.stderr.count("\n") == 1 and "no rows of claims" in made.stderr


def test_the_pipeline_s_page_shows_every_figure_where_it_is_drawn():
    pipeline = yaml.safe_load((PROJECT / "dvc.yaml").read_text())
    stages = pipeline["stages"]
    drawn = {}
    for stage in stages.values():
        command = stage.get("do", stage)["cmd"]
        if plot := re.search(r"commands\.plot (\S+) --by (\S+) --out figures/\1\.pdf", command):
            items = stage.get("foreach", {plot[1]: {"by": plot[2]}})
            drawn |= {name: item["by"] for name, item in items.items()}
    groups = [group.split() for group in stages["site"]["cmd"].split("--draw ")[1:]]
    assert {name: by for by, *names in groups for name in names} == drawn
    assert {f"figures/{name}.png" for name in drawn} == set(pipeline["plots"])
    deps = set(stages["site"]["deps"])
    assert {path for name in drawn for path in (f"figures/{name}.png", f"data/figures/{name}.nc")} <= deps
    assert {f"data/estimates/{probe}" for probe in (*LABELLED, "landscape")} <= deps
    params = read(PROJECT / "workflow/scales/default.yaml")
    read_by_captions = set(
        re.findall(r"config\.(\w+)", (PROJECT / "workflow/report/figures.rst").read_text())
    )
    assert read_by_captions & set(params) <= set(stages["site"]["params"])
