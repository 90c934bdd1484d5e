"""Series that do not depend on how long the simulation goes on, and records that do."""

import importlib.util

from weather import work


def instrument(path: str) -> float:
    """What an instrument of the user's own adds."""
    spec = importlib.util.spec_from_file_location("instrument", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.OFFSET


def main() -> None:
    args = work.arguments("--city", "--model", "--stations", "--series", "--records")
    params = work.params()
    work.ran("simulate", args.series)
    offset = sum(map(instrument, params["instruments"][args.city]))
    steps = range(params["simulate"]["length"] + 1)
    files = {
        f"{station}/{step}.txt": f"{args.city} {args.model} {station} {step} {params['simulate']['drift'] + offset}\n"
        for station in args.stations.split("-")
        for step in steps
    }
    work.write_folder(args.series, files)
    work.write_folder(args.records, {name: f"{name} {len(steps)}\n" * 3 for name in ("zarr.json", "ret")})


main()
