"""One year out of many."""

from pathlib import Path

from weather import work


def main() -> None:
    args = work.arguments("--series", "--station", "--year", "--out")
    work.ran("pick", args.out)
    (file,) = Path(args.series).glob(f"*/{args.station}/{args.year}.txt")
    work.write(args.out, "one " + file.read_text())


main()
