"""A statistic of the draws."""

import importlib
import sys
from pathlib import Path

from weather import work


def main() -> None:
    statistic = sys.argv.pop(1)
    args = work.arguments("--draws", "--replicates", "--out")
    work.ran("estimate", args.out)
    estimate = importlib.import_module(f"weather.statistics.{statistic}.estimate").estimate
    text = "".join(path.read_text() for path in sorted(Path(args.draws).rglob("c")))
    work.write_folder(args.replicates, {"values": text})
    work.write(args.out, estimate(text, **work.params()["estimate"][statistic]))


main()
