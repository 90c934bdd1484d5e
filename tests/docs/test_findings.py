"""Numbers in the text of docs/findings.md and the README come from the data, or from the parameter file."""

import re

import pytest

from pgprim.commands.pages import params_of_set
from pgprim.plotting.labels import count_label
from tests.docs.test_pages import PAGES, ROOT

NUMBER = re.compile(r"(?<![\w.·⁻-])−?\d+(?:\.\d+)?(?:[KM]\b)?")
"""A number as text has it: 0.31, −2, 500K."""

GENERATED = re.compile(r"<!-- (?P<kind>table|figure|results|computed)\b.*?<!-- /(?P=kind) -->", re.DOTALL)
NAMES = re.compile(
    r"Figs?\. [\d, and-]+|Secs?\. [\d.]+|MuJoCo [\d.]+|-v\d|Walker2d|fig\d+|arXiv:[\d.v]+|\(http[^)]*\)|`[^`]*`|ICLR \d+|Python [\d.]+"
)
COUNTED = 20
"""Counts of things up to this may stand in a text by themselves: four tasks, 3 agents."""


def numbers_of(value: object) -> set[str]:
    """All numbers of a parameter file as texts may write them."""
    if isinstance(value, dict):
        return {text for key, each in value.items() for text in numbers_of(key) | numbers_of(each)}
    if isinstance(value, list):
        return {text for each in value for text in numbers_of(each)}
    if isinstance(value, bool) or not isinstance(value, int | float):
        return set()
    return {f"{value:g}", count_label(value), f"{100 * value:g}"}


def unfounded(section: str, known: set[str]) -> list[str]:
    """Numbers in a section's own words that stand in none of its tables and are not known otherwise."""
    tables = "\n".join(match[0] for match in GENERATED.finditer(section))
    founded = known | set(NUMBER.findall(tables))
    words = NAMES.sub("", GENERATED.sub("", section))
    return [
        number
        for number in NUMBER.findall(words)
        if number not in founded and not (number.isdigit() and int(number) <= COUNTED)
    ]


def test_a_number_that_no_table_has_is_seen():
    table = "<!-- table x -->\n\n| 0.31 (0.2 to 500K) |\n\n<!-- /table -->\n"
    assert unfounded(
        f"{table}\nIt is 0.31 at 2K pairs on Walker2d (Fig. 12), 500K by −0.5 and 0.32.", {"2K"}
    ) == ["−0.5", "0.32"]
    assert unfounded("Of 30 agents 20 do so.", set()) == ["30"]
    assert numbers_of({"a": [2048, {"b": 0.95}], "c": "7"}) == {"2048", "2K", "204800", "0.95", "95"}


SECTIONS = PAGES["docs/findings.md"].split("\n## ") + [
    section for section in PAGES["README.md"].split("\n## ") if section.startswith("What the study shows")
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.split("\n")[0][:30])
def test_every_number_of_findings_and_results_is_in_a_table_or_a_parameter(section):
    assert unfounded(section, numbers_of(params_of_set(ROOT))) == []
