"""A figure in three files."""

import importlib
import sys
from pathlib import Path

from weather import work


def main() -> None:
    figure = sys.argv.pop(1)
    args = work.arguments("--statistic", "--out", "--png", "--data", paths="inputs")
    work.ran("plot", figure)
    plot = importlib.import_module(f"weather.statistics.{args.statistic}.plot").plot
    files = sorted(
        file
        for path in map(Path, args.inputs)
        for file in ([path] if path.is_file() else path.rglob("*"))
        if file.is_file()
    )
    text = "".join(f"{file} {file.read_text()}" for file in files if file.name[0] != ".")
    for path in (args.out, args.png, args.data):
        work.write(path, plot(figure, text, **work.params()["plot"]))


main()
