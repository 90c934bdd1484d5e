"""Write a table of every trained agent's final return and primitives.

The primitives are the agreement of its gradient estimates, the error of its value network and the surrogate's promise
of its steps, one number per agent each. The figure `reliability` draws their correlation with the final return.
"""

import argparse
from pathlib import Path

from pgprim.commands.command import load_params, make_parser, output, run
from pgprim.plotting.combine import load_results
from pgprim.store.datasets import save_dataset
from pgprim.store.provenance import provenance, union
from pgprim.studies.reliability.seeds import relate_seeds


def main(args: argparse.Namespace) -> None:
    """Load, compute one number per agent and quantity, and write."""
    params = load_params()
    budget, share = params["plot"]["budget"], params["reliability"]["final"]
    results = [load_results([folder]) for folder in (args.records, args.gradient, args.value, args.landscape)]
    used = {"plot": {"budget": budget}, "reliability": {"final": share}}
    ds = relate_seeds(*results, budget, share)
    origin = union([provenance(used), *(result.attrs for result in results)])
    save_dataset(args.out, ds.assign_attrs(origin | ds.attrs))


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.relate", __doc__)
    parser.add_argument("--records", required=True, type=Path, help="folder of training records")
    for name, words in (
        ("gradient", "gradient estimates"),
        ("value", "value prediction errors"),
        ("landscape", "landscapes"),
    ):
        parser.add_argument(f"--{name}", required=True, type=Path, help=f"folder of {words}")
    parser.add_argument("--out", type=output, required=True, metavar="NC", help="the numbers")
    run(main, parser)
