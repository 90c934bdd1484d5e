import json
import re

from bench.records import judged, origin, save, table


def test_records_say_when_where_and_with_what(tmp_path):
    save(tmp_path / "new/a.json", {"found": 1})
    record = json.loads((tmp_path / "new/a.json").read_text())
    assert record["found"] == 1
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d, .+ cores, \d+ GiB; Python 3.*, mujoco [\d.]+, .*\.", origin(record)
    )


def test_tables_are_aligned_markdown():
    assert table(("a", "b"), [("long", "1"), ("x", "1000")]) == "\n".join(
        ["| a    |    b |", "|------|-----:|", "| long |    1 |", "| x    | 1000 |"]
    )


def test_only_what_misses_its_target_is_bold():
    assert [judged("1", fits) for fits in (True, False, None)] == ["1", "**1**", "1"]
