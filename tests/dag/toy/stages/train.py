"""Snapshots that do not depend on how long training goes on, and records that do."""

from pgprim import work


def main() -> None:
    args = work.arguments("--task", "--algo", "--seeds", "--snapshots", "--records")
    train = work.params()["train"]
    work.ran("train", args.snapshots)
    steps = range(train["iterations"] + 1)
    files = {
        f"{seed}/{step}.safetensors": f"{args.task} {args.algo} {seed} {step} {train['gamma']}\n"
        for seed in args.seeds.split("-")
        for step in steps
    }
    work.write_folder(args.snapshots, files)
    work.write_folder(args.records, {name: f"{name} {len(steps)}\n" * 3 for name in ("zarr.json", "ret")})


main()
