"""What a probe finds."""

import importlib
import sys
from pathlib import Path

from pgprim import work


def main() -> None:
    probe = sys.argv.pop(1)
    args = work.arguments("--checkpoint", "--rollouts", "--gradients", "--out")
    work.ran("estimate", args.out)
    estimate = importlib.import_module(f"pgprim.probes.{probe}.estimate").estimate
    text = "".join(path.read_text() for path in sorted(Path(args.rollouts).rglob("c")))
    work.write_folder(args.gradients, {"grad": text})
    work.write(args.out, estimate(text, **work.params()["estimate"][probe]))


main()
