"""Update the figures, results and claims in README.md and docs from the computed results."""

import argparse
import hashlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pgprim.commands.command import load_params, make_parser, run
from pgprim.commands.cost import RATES, costs, drawing, table
from pgprim.commands.scale import load_set, write
from pgprim.plotting.figure_data import load_figure_data
from pgprim.plotting.save import first_page
from pgprim.report.claims.table import BEGIN, SECTIONS, insert, read_claims
from pgprim.report.pages import IMAGES, State, fill, images, recorded, shared_claims, shared_data, shown
from pgprim.report.tables import TABLES, markdown
from pgprim.types.errors import UserError
from pgprim.types.params import read

LOCK, PIPELINE = Path("dvc.lock"), Path("dvc.yaml")
REMOTE = Path("remote/files/md5")
"""Shared results by their hashes, in the repository itself."""

SET = "default"
"""The parameter set whose results pages show."""

COSTS = "docs/costs.md"
EVERY = ["hopper", "walker2d", "humanoid"]
ROLLOUTS = ["train", "checkpoint", "sample"]
LANDSCAPES = ["train", "checkpoint", "landscape"]
VALUES = ["train", "rerun", "value", "checkpoint", "floors"]
BASELINES = [*ROLLOUTS, "fit", "baselines"]
SEMANTICS = ["semantics training", "semantics of gradient", "semantics of steps"]
FIGURES = {
    "Figs. 1, 2": (["humanoid"], [*ROLLOUTS, "gradient"]),
    "Fig. 3": (["walker2d"], VALUES),
    "Fig. 4": (["walker2d", "hopper"], BASELINES),
    "Figs. 5, 19, 20": (["humanoid"], LANDSCAPES),
    "Figs. 6, 7, 13, 14": (["humanoid"], LANDSCAPES),
    "Fig. 8": (EVERY, ["train"]),
    "Figs. 9, 10": (["walker2d", "hopper"], [*ROLLOUTS, "gradient"]),
    "Figs. 11, 12": (EVERY, VALUES),
    "Figs. 15, 16": (["walker2d"], LANDSCAPES),
    "Figs. 17, 18": (["hopper"], LANDSCAPES),
    "ablation": (EVERY, ["ablation training"]),
    "alignment": (EVERY, LANDSCAPES),
    "clipping": (["humanoid"], ["clipping training"]),
    "gae": (["walker2d", "hopper"], BASELINES),
    "noise scale": (EVERY, [*ROLLOUTS, "gradient"]),
    "reliability": (
        EVERY,
        [*LANDSCAPES, "sample", "gradient", "rerun", "value", "robustness", "reliability training"],
    ),
    "sample regime": (EVERY, ["regime training"]),
    "promise": (EVERY, LANDSCAPES),
    "semantics": (EVERY, [*ROLLOUTS, "gradient", "steps", "rerun", "value", *SEMANTICS]),
    "slices": (EVERY, LANDSCAPES),
    "steps": (EVERY, [*ROLLOUTS, "steps"]),
    "trajectories": (["humanoid"], LANDSCAPES),
    "trust region": (EVERY, ["train", "rerun", "trust_region"]),
}
"""Tasks and kinds of stages that each row of the table of figures counts."""


def main(args: argparse.Namespace) -> None:
    """Copy the figures, fill the pages, and print which changed; or print the paths of figures and claims."""
    pages = read_pages(Path())
    if args.targets:
        claims = (f"data/claims/{section}.json" for section in SECTIONS)
        print(*claims, *(f"figures/{name}.pdf" for name in shown(pages)))
        return
    if (name := load_params()["claims"]["set"]) != SET:
        raise UserError(
            f"params.yaml is the parameter set {name}, but the pages show {SET}; `python -m pgprim scale {SET}`"
        )
    copy_figures(images(pages))
    changed = filled(pages, state_of(Path()))
    changed[COSTS] = priced(changed[COSTS], Path())
    for path, text in changed.items():
        if text != pages[path]:
            write(Path(path), text)
            print(f"{path} is brought up to date")


def read_pages(root: Path) -> dict[str, str]:
    """Text of the README and of all pages in docs, by path."""
    paths = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def state_of(root: Path) -> State:
    """Results that the repository has, as `dvc.lock` records them.

    Args:
        root: Of the repository.

    Raises:
        UserError: A recorded result is neither here nor among the repository's own.
    """
    declared, lock = (
        yaml.load((root / path).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        for path in (PIPELINE, LOCK)
    )
    figures = frozenset(recorded(lock))
    names = frozenset(path.removeprefix("figures/").removesuffix(".png") for path in declared["plots"])
    present = frozenset(path.stem for path in (root / IMAGES).glob("*.png"))
    data = {
        name: load_figure_data(_as_recorded(root, f"data/figures/{name}.nc", digest))
        for name, digest in shared_data(lock).items()
    }
    claims = read_claims(
        {
            section: _as_recorded(root, f"data/claims/{section}.json", digest)
            for section, digest in shared_claims(lock).items()
        }
    )
    params = params_of_set(root)
    return State(names, figures, present, claims, {name: markdown(name, data, params) for name in TABLES})


def filled(pages: dict[str, str], state: State) -> dict[str, str]:
    """All pages with their generated parts brought up to date.

    Raises:
        UserError: A mark names a figure, a claim or a table that does not exist.
    """
    result = {}
    for path, text in pages.items():
        try:
            result[path] = fill(path, text, state)
            if BEGIN in text:
                result[path] = insert(result[path], state.claims)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
    return result


def priced(text: str, root: Path) -> str:
    """The page of costs with core-hours per figure and the table of all stages brought up to date.

    Args:
        text: Of the page.
        root: Of the repository.

    Raises:
        UserError: A figure of `FIGURES` has no row of its own, or several.
    """
    yaml_of_set = params_of_set(root)
    rates, num_figures = read(root / RATES), len(read(root / PIPELINE)["plots"])
    for row, (tasks, kinds) in FIGURES.items():
        params = yaml_of_set | {"tasks": tasks}
        if "fit" in kinds:
            params["iterations"] = params["baselines"]["iterations"]
        hours = sum(cost.seconds for cost in costs(params, rates) if cost.kind in kinds) / 3600
        line = rf"^(\| {re.escape(row)} \|.*\|) [^|]* \|$"
        text, num_rows = re.subn(line, rf"\1 {hours:.1f} |", text, flags=re.MULTILINE)
        if num_rows != 1:
            raise UserError(
                f"{COSTS}: has {num_rows} rows of {row} in its table of figures, but must have one"
            )
    printed = table([*costs(yaml_of_set, rates), drawing(num_figures, rates)])
    before, begin, rest = text.partition("<!-- stages -->")
    _, end, after = rest.partition("<!-- /stages -->")
    return f"{before}{begin}\n```\n{printed}\n```\n{end}{after}"


def _as_recorded(root: Path, path: str, digest: str) -> Path:
    """A result as dvc.lock records it: the file that is here, or else the repository's own.

    Raises:
        UserError: There is neither.
    """
    here, shared = root / path, root / REMOTE / digest[:2] / digest[2:]
    if here.exists() and hashlib.md5(here.read_bytes()).hexdigest() == digest:
        return here
    if not shared.exists():
        raise UserError(
            f"{path} is neither here nor in {REMOTE} as dvc.lock records it; `snakemake {path}` makes it"
        )
    return shared


def params_of_set(root: Path) -> dict[str, Any]:
    """The parameters of the set whose results pages show.

    Args:
        root: Of the repository.
    """
    return load_set(root / f"workflow/scales/{SET}.yaml")


def copy_figures(wanted: Mapping[str, tuple[str, bool]]) -> None:
    """Copy PNGs of figures, or their first pages, to docs/images, each as dvc.lock records it.

    Args:
        wanted: From `report.pages.images`; images of figures that are not here stay as they are.

    Raises:
        UserError: A figure is another than that on record.
    """
    figures = recorded(yaml.load(LOCK.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
    for image, (name, is_first_page) in wanted.items():
        source, target = Path("figures", f"{name}.png"), Path(IMAGES, f"{image}.png")
        if not source.exists():
            continue
        if name not in figures or hashlib.md5(source.read_bytes()).hexdigest() != figures[name]:
            raise UserError(
                f"{source} is not what dvc.lock records; `snakemake figures/{name}.pdf` makes it anew"
            )
        if is_first_page:
            first_page(source).save(target)
        else:
            shutil.copyfile(source, target)


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.pages", __doc__)
    parser.add_argument(
        "--targets", action="store_true", help="only print the claims and figures that the pages show"
    )
    run(main, parser)
