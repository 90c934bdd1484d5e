"""The page says what the records say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.records import origin
from bench.report import BENCHMARKS, DOCS, PARTS, read_records, render
from tests.bench.examples import RECORDS

PAGE = (DOCS / "performance.md").read_text()


def test_the_page_is_what_its_numbers_give():
    assert render(PAGE, read_records(DOCS / "performance")) == PAGE


def test_make_writes_the_page(tmp_path):
    """The command that the page names, in a copy, with the environment that runs the tests."""
    root = DOCS.parent
    for folder in ("bench", "bridge", "docs/performance"):
        shutil.copytree(root / folder, tmp_path / folder)
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copyfile(root / file, tmp_path / file)
    (tmp_path / "docs/images").mkdir()
    (tmp_path / "docs/performance.md").write_text(render(PAGE, {}))
    Path(tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/.installed").touch()
    command = [
        "make",
        "bench-report",
        f"VENV={tmp_path / 'venv'}",
        f"PATH={Path(sys.executable).parent}:/usr/bin:/bin",
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "docs/performance.md").read_text() == PAGE


def test_growth_has_its_figure():
    for path in re.findall(r"!\[.*\]\((.*)\)", PAGE):
        assert (DOCS / path).is_file()


def test_every_benchmark_has_its_place():
    text = render(PAGE, RECORDS)
    for name, module in PARTS.items():
        between = re.search(f"<!-- {name} -->\n(.*)\n<!-- /{name} -->", text, re.DOTALL)[1]
        assert between == f"{origin(RECORDS[name])}\n\n{module.page(RECORDS[name])}"
    assert render(text, RECORDS) == text


def test_prose_stays_and_what_was_not_measured_is_told():
    text = render(render(PAGE, RECORDS), {})
    assert re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", text, flags=re.DOTALL) == re.sub(
        r"<!-- (\w+) -->.*?<!-- /\1 -->", "", PAGE, flags=re.DOTALL
    )
    assert text.count("Not measured yet") == len(PARTS)


def test_a_page_without_a_mark_is_refused():
    with pytest.raises(ValueError, match="<!-- dag -->"):
        render(PAGE.replace("<!-- dag -->", ""), RECORDS)


def test_make_runs_every_benchmark():
    found = re.search(r"^BENCHMARKS := (.*)$", (DOCS.parent / "Makefile").read_text(), re.MULTILINE)[1]
    assert found.split() == [f"bench-{name}" for name in BENCHMARKS]
