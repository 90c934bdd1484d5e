"""A folder of two files."""

from pathlib import Path

from pgprim import work


def main() -> None:
    args = work.arguments("--checkpoint", "--out")
    work.ran("sample", args.out)
    text = Path(args.checkpoint).read_text() * work.params()["sample"]["trials"]
    work.write_folder(args.out, {"obs/c": text, "act/c": text.upper()})


main()
