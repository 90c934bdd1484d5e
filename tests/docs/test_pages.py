"""README and docs tell the truth: links, paths, commands, generated parts, and the site that is built of them."""

import ast
import hashlib
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pgprim.__main__ import commands
from pgprim.commands.pages import filled, priced, read_pages, state_of
from pgprim.plotting.save import first_page
from pgprim.report.claims.claims import CLAIMS
from pgprim.report.pages import FIGURE, RESULTS, State, images, recorded, shown
from pgprim.types.errors import UserError

ROOT = Path(__file__).parents[2]
PAGES = read_pages(ROOT)
BRIDGE = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "bridge/README.md", *(ROOT / "bridge/docs").rglob("*.md")]
}
STUBS = {path for path in PAGES if path.startswith("docs/bridge/")}
"""Pages of the site that include the bridge's own."""

WRITTEN = {path: set(re.findall(r"Write `([^`]+)`", text)) for path, text in PAGES.items()}
"""Files that a page tells its reader to write."""

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:pgprim|tests|bench|workflow|docs|bridge|profiles|remote)/[\w./-]+)`")


def heading_ids(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = [line.lstrip("#").strip() for line in text.splitlines() if re.match(r"#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code_of(text: str, languages: str) -> list[str]:
    """Lines of a page's code blocks in some languages, without comments."""
    blocks = re.findall(rf"```(?:{languages})\n(.*?)```", text, re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def test_there_are_pages():
    assert len(PAGES) > 25 and len(BRIDGE) == 3


@pytest.mark.parametrize(
    ("modules", "page"),
    [
        ("pgprim/core/*.py", "docs/api/core.md"),
        ("pgprim/probes/*/measure.py", "docs/api/probes.md"),
        ("pgprim/library.py", "docs/api/library.md"),
    ],
)
def test_the_reference_has_every_module(modules, page):
    files = [file for file in ROOT.glob(modules) if file.stem != "__init__"]
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
    listed = set(re.findall(r"automodule:: (pgprim\.(?:core|probes|library)[\w.]*)", PAGES[page]))
    assert names and listed == names


def test_every_probe_and_study_has_a_page():
    named = {"fit": "baselines", "robustness": "reliability"}
    for record in [*ROOT.glob("pgprim/probes/*/record.py"), *ROOT.glob("pgprim/studies/*/record.py")]:
        page = PAGES[f"docs/probes/{named.get(record.parent.name, record.parent.name)}.md"]
        for part in (
            "**Question.**",
            "## Definition",
            "## How to read it",
            "## What it cannot say",
            "## Code",
        ):
            assert part in page or (part == "## Definition" and "## Planes" in page), part


@pytest.mark.parametrize("page", sorted({*PAGES, *BRIDGE} - STUBS))
def test_links_lead_somewhere(page):
    text = (PAGES | BRIDGE)[page]
    without_code = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for link in LINK.findall(without_code):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in heading_ids(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", sorted({*PAGES} - STUBS))
def test_paths_exist(page):
    for path in set(PATH.findall(PAGES[page])) - WRITTEN[page]:
        if not re.search(r"[A-Z]{4}", path):  # NAME stands for what the reader chooses
            assert (ROOT / path.rstrip(".")).exists(), path


def modules() -> dict[str, str]:
    """Source of the modules that pages run by `python -m`, by name."""
    files = [*(ROOT / "pgprim/commands").glob("*.py"), *(ROOT / "bench").glob("*.py")]
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): file.read_text(encoding="utf-8")
        for file in files
    }


@cache
def options_of(command: str) -> str:
    """Help of a command."""
    line = [sys.executable, "-m", "pgprim", command, "--help"]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("page", sorted({*PAGES} - STUBS))
def test_commands_exist_with_their_options(page):
    for line in [*code_of(PAGES[page], "bash|sh"), *re.findall(r"`([^`\n]+)`", PAGES[page])]:
        if match := re.match(r"python -m (bench\.\w+|dvcsnake)\b", line):
            assert match[1] == "dvcsnake" or match[1] in modules(), line
        if match := re.match(r"python -m pgprim(?: |\.commands\.)(\w+)(.*)", line):
            name, rest = match.groups()
            assert name in commands(), line
            for option in re.findall(r" (--[a-z][\w-]*)", rest):
                assert option in options_of(name), line


@pytest.mark.parametrize("page", sorted({*PAGES} - STUBS))
def test_targets_of_make_and_snakemake_exist(page):
    text = PAGES[page]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    declared = re.findall(r"^(?:\.PHONY:|BENCHMARKS :=) (.+)$", makefile, re.MULTILINE)
    targets = {name for line in declared for name in line.split()}
    figures = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    for line in [*code_of(text, "bash|sh"), *re.findall(r"`([^`\n]+)`", text)]:
        words = line.split()
        if words[:1] == ["make"]:
            named = [
                word for word in words[1:] if not re.search(r"[=/A-Z-]", word) or word.startswith("bench-")
            ]
            assert {word for word in named if word != "bench-NAME"} <= targets, line
        if words[:1] in (["make"], ["snakemake"]):
            for figure in re.findall(r"figures/(\w+)\.pdf", line):
                known = f"figures/{figure}.png" in figures
                assert known or figure in ("NAME", "fig99") or f"      {figure}: {{by:" in text, line


def test_generated_parts_are_up_to_date():
    assert filled(PAGES, state_of(ROOT)) == PAGES, "`make pages` brings them up to date"


def test_costs_are_those_of_the_default_set():
    page = PAGES["docs/costs.md"]
    assert priced(page, ROOT) == page, "`python -m pgprim pages` brings it up to date"
    row = re.search(r"^(\| Fig\. 8 \|.*\|) [\d.]+ \|\n", page, re.MULTILINE)
    assert row and priced(page.replace(row[0], f"{row[1]} 99 |\n"), ROOT) == page
    for rows in ("", 2 * row[0]):
        told = rf"^docs/costs\.md: has {rows.count('Fig. 8')} rows of Fig\. 8 "
        with pytest.raises(UserError, match=told):
            priced(page.replace(row[0], rows), ROOT)


def test_images_are_the_figures_on_record():
    known = recorded(yaml.load((ROOT / "dvc.lock").read_text(), Loader=yaml.CSafeLoader))
    present = {path.stem: path for path in (ROOT / "docs/images").glob("*.png")}
    wanted = images(PAGES)
    assert set(present) - {"growth"} <= set(wanted), "an image that no page shows"
    for image in set(present) & set(wanted):
        name, is_first_page = wanted[image]
        if is_first_page:
            with Image.open(present[image]) as shown_part:
                part, page = np.asarray(shown_part), np.asarray(first_page(present[name]))
            assert part.shape == page.shape and np.array_equal(part, page), image
        else:
            assert hashlib.md5(present[image].read_bytes()).hexdigest() == known[name], image


@pytest.mark.parametrize("page", ["README.md", "docs/findings.md", "docs/index.md", "docs/concepts.md"])
def test_images_of_an_overview_fit_on_a_screen(page):
    for image in images({page: PAGES[page]}):
        path = ROOT / "docs/images" / f"{image}.png"
        if path.exists():
            with Image.open(path) as opened:
                width, height = opened.size
            assert height <= 1.3 * width, f"{image} is {height} high: show its page 1"


def test_marks_name_figures_and_claims():
    state = state_of(ROOT)
    names = [
        name.strip()
        for text in PAGES.values()
        for mark in RESULTS.finditer(text)
        for name in mark["names"].split(",")
    ]
    assert set(names) == set(CLAIMS) and set(shown(PAGES)) <= state.declared
    assert sum(text.count("<!-- figure ") for text in PAGES.values()) == sum(
        len(FIGURE.findall(text)) for text in PAGES.values()
    )


def test_the_readme_stays_short_with_all_figures_and_results():
    summary = "reproduced on 4 of 6 tasks and algorithms (Hopper PPO); inconclusive: Humanoid PPO; not reproduced: Humanoid TRPO"
    claims = {name: {"statement": claim.statement, "summary": summary} for name, claim in CLAIMS.items()}
    state = state_of(ROOT)
    full = State(state.declared, state.declared, frozenset(images(PAGES)), claims)
    readme = filled({"README.md": PAGES["README.md"]}, full)["README.md"]
    assert "reproduced on 4 of 6 tasks and algorithms (1 inconclusive, 1 not reproduced)" in readme
    assert len(readme.split()) <= 1200 and len(PAGES["README.md"].split()) <= 1200
    assert len(shown({"README.md": readme})) == 7


class Resources(HTMLParser):
    """Addresses that a browser loads by itself to show a page."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video"):
            self.found.append(values.get("src") or "")
        if tag == "link" and values.get("rel") in (
            "stylesheet",
            "preload",
            "icon",
            "preconnect",
            "dns-prefetch",
        ):
            self.found.append(values.get("href") or "")


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    line = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*line, "-d", str(tmp_path / "cache"), str(ROOT / "docs"), str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(PAGES) - 2
    for page in pages:
        reader = Resources()
        text = page.read_text(encoding="utf-8")
        reader.feed(text)
        assert not [address for address in reader.found if re.match(r"(\w+:)?//", address)], page
        assert "$$" not in text.replace("\\$\\$", ""), page
    for style in (tmp_path / "site/_static").rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", style.read_text(encoding="utf-8"))
    gradient = (tmp_path / "site/probes/gradient.html").read_text(encoding="utf-8")
    assert "<math" in gradient
    library = (tmp_path / "site/api/library.html").read_text(encoding="utf-8")
    functions = ast.parse((ROOT / "pgprim/library.py").read_text(encoding="utf-8")).body
    public = [node.name for node in functions if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]
    assert public and all(f'id="pgprim.library.{name}"' in library for name in public)
