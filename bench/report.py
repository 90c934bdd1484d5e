"""Write the benchmarks' results into `docs/performance.md`, between marks, and draw the figure of growth.

The numbers come from `docs/performance/*.json`, which `make bench JSON=docs/performance` writes.
"""

import argparse
import json
import re
from pathlib import Path

from bench import dag, growth, pace, schedule, stages
from bench.records import origin

DOCS = Path(__file__).parents[1] / "docs"
BENCHMARKS = {"pace": pace, "growth": growth, "dag": dag, "stages": stages, "schedule": schedule}
PARTS = BENCHMARKS | {"first_edition": pace}
"""What the page shows: the benchmarks, and the pace of the first edition as its own `bench.pace` found it."""


def render(text: str, records: dict[str, dict]) -> str:
    """The page with what stands between its marks made anew.

    Args:
        text: The page. `<!-- NAME -->` and `<!-- /NAME -->` enclose what a benchmark found.
        records: What the JSON files hold, by their names.

    Raises:
        ValueError: The page lacks the marks of one of them.
    """
    for name, module in PARTS.items():
        if name in records:
            found = f"{origin(records[name])}\n\n{module.page(records[name])}"
        else:
            found = f"Not measured yet: `make bench-{name}`." if name in BENCHMARKS else "Not measured yet."
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        parts = re.split(f"{start}|{end}", text)
        if len(parts) != 3:
            raise ValueError(f"the page must have {start} and {end}, each once")
        text = f"{parts[0]}{start}\n{found}\n{end}{parts[2]}"
    return text


def read_records(folder: Path) -> dict[str, dict]:
    """Results of the benchmarks that ran."""
    return {
        name: json.loads(path.read_text()) for name in PARTS if (path := folder / f"{name}.json").exists()
    }


def main() -> None:
    """Write the page and the figure."""
    from pgprim.plotting.save import save

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=DOCS / "performance", help="the JSON files")
    parser.add_argument("--page", type=Path, default=DOCS / "performance.md")
    parser.add_argument("--figure", type=Path, default=DOCS / growth.FIGURE)
    args = parser.parse_args()
    records = read_records(args.folder)
    args.page.write_text(render(args.page.read_text(), records))
    if "growth" in records:
        save(growth.draw(records["growth"]), args.figure)


if __name__ == "__main__":
    main()
