"""A folder of two files."""

from pathlib import Path

from weather import work


def main() -> None:
    args = work.arguments("--year", "--out")
    work.ran("draw", args.out)
    text = Path(args.year).read_text() * work.params()["draw"]["times"]
    work.write_folder(args.out, {"low/c": text, "high/c": text.upper()})


main()
