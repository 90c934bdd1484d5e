"""One snapshot out of many."""

from pathlib import Path

from pgprim import work


def main() -> None:
    args = work.arguments("--training", "--seed", "--iteration", "--out")
    work.ran("checkpoint", args.out)
    (found,) = Path(args.training).glob(f"*/{args.seed}/{args.iteration}.safetensors")
    work.write(args.out, "one " + found.read_text())


main()
