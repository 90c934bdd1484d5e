"""Run one probe on a checkpoint, on its rollouts, or on re-run iterations of its training.

Calls `measure` of `pgprim/probes/NAME/measure.py` with the opened inputs and the probe's own parameters. The module is
imported by name, so no probe's results depend on another probe's code.
"""

import argparse
import importlib
from dataclasses import replace

import torch
import xarray as xr

from pgprim.commands.command import code_of, load_params, make_parser, output, record, run
from pgprim.store.datasets import save_dataset, save_store
from pgprim.store.files import Pieces
from pgprim.store.fits import save_fit
from pgprim.store.inputs import Inputs, Measured, describe, open_inputs
from pgprim.types.errors import UserError
from pgprim.types.fit import Fit


def main(args: argparse.Namespace) -> None:
    """Open the inputs, measure, and save the result."""
    torch.set_num_threads(1)
    params, probe = load_params(), record(args.probe)
    used = {}
    if "rollouts" in probe.reads:
        used["sample"] = {name: params["sample"][name] for name in probe.sample}
    own = probe.used(params, args.case)
    used |= probe.nested(own)
    paths = {"checkpoint": args.checkpoint, "rollouts": args.rollouts, "rerun": args.rerun}
    paths = {name: path for name, path in (paths | dict(args.result or ())).items() if path}
    _require_paths(probe.reads, paths)
    inputs = open_inputs(paths, params["sample"], args.case)
    attrs = describe(paths, inputs, used) | {"probe": args.probe}
    code = _code(args, inputs, "case" in probe.reads)
    with Pieces(args.out, attrs | {"case": args.case, "code": code}) as pieces:
        measure = importlib.import_module(f"pgprim.probes.{args.probe}.measure").measure
        _save(measure(Inputs(**vars(inputs) | {"pieces": pieces}), own), attrs, args)


def _code(args: argparse.Namespace, inputs: Inputs, is_of_probe: bool) -> list[str]:
    """Digests of the code of a measurement: the probe's own, its agent's and its task's.

    Args:
        args: The command line.
        inputs: The opened inputs.
        is_of_probe: Whether the case is a probe, whose code is then added.
    """
    names = [args.probe, args.case] if is_of_probe else [args.probe]
    measures = [f"probes/{name}/measure" for name in names]
    if (agent := inputs.checkpoint) is not None:
        task, algo = agent.task, agent.algo
    elif inputs.rerun is not None:
        task, algo = (inputs.rerun.attrs[name] for name in ("task", "algo"))
    else:
        return code_of("commands/probe", *measures)
    return code_of("commands/probe", *measures, f"agents/{algo}", f"environments/{task}")


def _save(measured: Measured, attrs: dict, args: argparse.Namespace) -> None:
    if args.vectors:
        vectors = xr.Dataset() if measured.vectors is None else measured.vectors
        save_store(args.vectors, vectors.assign_attrs(attrs))
    if isinstance(measured.numbers, Fit):
        save_fit(args.out, replace(measured.numbers, made_from=attrs))
    else:
        save_dataset(args.out, measured.numbers.assign_attrs(attrs))


def _require_paths(reads: tuple[str, ...], paths: dict[str, str]) -> None:
    wanted = set(reads) - {"case"}
    for name in sorted(wanted):
        if not paths.get(name):
            option = f"--{name}" if name in ("checkpoint", "rollouts", "rerun") else f"--result {name}=FILE"
            raise UserError(f"{option} is missing, but must be given, because the probe reads it")
    for name, path in paths.items():
        if name.removesuffix(".vectors") not in wanted:
            raise UserError(f"{path}: {name} is given, but the probe reads {', '.join(sorted(wanted))}")


def _result(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=FILE, such as fit=data/fits/hopper/ppo/0/150.safetensors"
        )
    return name, path


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.probe", __doc__)
    parser.add_argument("probe", metavar="NAME", help="a folder of pgprim/probes, such as gradient")
    parser.add_argument("--checkpoint", help="the agent, a checkpoint file")
    parser.add_argument("--rollouts", help="its Zarr store of rollouts")
    parser.add_argument("--rerun", help="Zarr store of iterations of its training that were run again")
    parser.add_argument(
        "--result",
        type=_result,
        action="append",
        metavar="NAME=FILE",
        help="another probe's result: NAME=FILE for its numbers, NAME.vectors=STORE for its vectors",
    )
    parser.add_argument("--case", default="", help="which of the probe's cases, such as few of landscape")
    parser.add_argument("--vectors", type=output, help="Zarr store for the large arrays that the probe keeps")
    parser.add_argument("--out", type=output, required=True, help="file for the numbers that figures read")
    run(main, parser)
