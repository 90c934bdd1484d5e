"""Plain `dvc pull FILE` loads the stage of FILE alone, and does and says what DVC does without the bridge.

The environment of the tests may have the bridge from pip or on a path, so these tests make two of their own: one that reads
`dvcsnake.pth` when Python starts, and one that does not.
"""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from dvcsnake.dvc_api import Repository, index_of
from dvcsnake.pipeline import Pipeline
from toys import Checkout, toy_params

PTH = Path(__file__).parents[1] / "dvcsnake.pth"
INSIDE = "data/records/oslo/warm/0.zarr/ret"


@dataclass(frozen=True)
class Environments:
    """The Python of an environment with `dvcsnake.pth`, and of one without."""

    bridged: Path
    plain: Path


@pytest.fixture(scope="session")
def environments(tmp_path_factory) -> Environments:
    """Two environments that have the packages of this one."""

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp("environments") / name
        venv.EnvBuilder(symlinks=True).create(folder)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "_packages.pth").write_text("\n".join(path for path in sys.path if os.path.isdir(path)))
        return folder

    bridged, plain = make("bridged"), make("plain")
    (site,) = bridged.glob("lib/python*/site-packages")
    shutil.copy(PTH, site)
    return Environments(bridged / "bin/python", plain / "bin/python")


def test_other_processes_load_nothing(environments):
    code = "import sys; print(sorted(name for name in sys.modules if name.startswith('dvc')))"
    loaded = [
        subprocess.check_output([python, "-c", code], text=True).strip()
        for python in (environments.plain, environments.bridged)
    ]
    assert loaded == ["[]", "['dvcsnake', 'dvcsnake.startup']"]


def recorded(checkout: Checkout) -> dict[str, str]:
    """The hashes of all outputs, as dvc.lock has them."""
    entries = yaml.safe_load((checkout.path / "dvc.lock").read_text())["stages"].values()
    return {out["path"]: out["md5"] for entry in entries for out in entry["outs"]}


def lose_object(checkout: Checkout) -> None:
    md5 = recorded(checkout)["figures/fig2.pdf"]
    (checkout.path / "remote/files/md5" / md5[:2] / md5[2:]).unlink()


def conflict(checkout: Checkout) -> None:
    checkout.edit("dvc.lock", "schema: '2.0'\n", "<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> theirs\n")


def empty_entry(checkout: Checkout) -> None:
    checkout.edit("dvc.lock", "stages:\n", "stages:\n  figure@fig9:\n")


def no_lock(checkout: Checkout) -> None:
    (checkout.path / "dvc.lock").unlink()


def mistake(checkout: Checkout) -> None:
    checkout.edit("dvc.yaml", "params: [plot]", "params: [plot, '${nothing}']")


def stage_named_as_a_file(checkout: Checkout) -> None:
    """To DVC the name means the stage, with both its files."""
    md5 = recorded(checkout)
    outs = [
        {"path": path, "hash": "md5", "md5": md5[figure], "size": 1}
        for path, figure in (("pair", "figures/fig1.pdf"), ("twin", "figures/fig2.pdf"))
    ]
    for name, stage in {
        "dvc.yaml": {"cmd": "true", "outs": ["pair", "twin"]},
        "dvc.lock": {"cmd": "true", "outs": outs},
    }.items():
        checkout.edit(name, "stages:\n", f"stages:\n  pair: {json.dumps(stage)}\n")


CASES = {
    "a file": "pull figures/fig2.pdf",
    "two files": "pull figures/fig2.pdf data/estimates/mean/oslo/warm/0/2.nc",
    "a folder": "pull data/records/oslo/warm/0.zarr",
    "a file in a folder": f"pull {INSIDE}",
    "from a folder": "--cd figures pull fig2.pdf",
    "the cache alone": "fetch figures/fig2.pdf",
    "what nobody shared": "pull data/draws/oslo/warm/0/2.zarr",
    "a stage": "pull figure@fig2",
    "what many stages make": "pull data/figures",
    "all below a folder": "pull -R figures",
    "with dependencies": "pull --with-deps figures/fig1.pdf",
    "no output": "pull nothing.pdf",
    "a lost object": (lose_object, "pull figures/fig2.pdf"),
    "a conflict": (conflict, "pull figures/fig2.pdf"),
    "an entry without content": (empty_entry, "pull figures/fig2.pdf"),
    "no record": (no_lock, "pull figures/fig2.pdf"),
    "a mistake in dvc.yaml": (mistake, "pull figures/fig2.pdf"),
    "a name for two": (stage_named_as_a_file, "pull pair"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_pull_does_and_says_what_dvc_does(origin, environments, tmp_path, case):
    change, command = CASES[case] if isinstance(CASES[case], tuple) else (lambda checkout: None, CASES[case])

    def end(python: Path) -> tuple:
        folder = tmp_path / python.parents[1].name
        subprocess.run(["git", "clone", "-q", origin.path, folder / "clone"], check=True)
        checkout = Checkout(folder / "clone", folder)
        change(checkout)
        result = checkout.run(f"{python} -m dvc {command}", check=False)
        bytes_of = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for pattern in ("data/**/*", "figures/*", ".dvc/cache/**/*", "pair", "twin")
            for path in sorted(checkout.path.glob(pattern))
            if path.is_file()
        }
        return result.status, result.text.replace(str(folder), ""), bytes_of

    assert end(environments.bridged) == end(environments.plain)


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # DVC's own
def test_a_pull_collects_what_dvc_collects(origin, tmp_path):
    """Of every output, and of a file in a folder; DVC's answer is that of all stages."""
    shutil.copytree(origin.path, tmp_path / "toy", symlinks=True)
    outputs = list(Pipeline(*Repository(origin.path).definitions()).maker)
    repo = Repo(str(tmp_path / "toy"))

    def contents(view) -> list:
        outs = [
            (
                out.fs_path,
                out.hash_info,
                out.meta,
                out.files,
                out.use_cache,
                out.metric,
                out.plot,
                out.stage.name,
            )
            for out in view.outs
        ]
        return [
            sorted(outs, key=str),
            view.data_keys,
            view.data_tree.hash_info,
            set(view.data["repo"].keys()),
        ]

    with repo.lock:
        for path in [*outputs, INSIDE]:
            target = [str(tmp_path / "toy" / path)]
            answer = index_of(repo, target, {})
            assert contents(answer) == contents(repo.index.targets_view(target)), path


def test_a_pull_sees_a_lock_that_changed(clone, environments):
    clone.run(f"{environments.bridged} -m dvc pull figures/fig1.pdf figures/fig2.pdf")
    first, second = (clone.path / f"figures/fig{number}.pdf" for number in (1, 2))
    md5 = recorded(clone)
    clone.edit("dvc.lock", md5["figures/fig2.pdf"], md5["figures/fig1.pdf"])
    assert first.read_bytes() != second.read_bytes()
    clone.run(f"{environments.bridged} -m dvc pull figures/fig2.pdf")
    assert first.read_bytes() == second.read_bytes()


def test_a_repository_that_is_not_under_the_bridge_is_left_alone(clone, environments):
    clone.edit("pyproject.toml", "[tool.dvcsnake]", "[tool.another]")
    clone.run(f"{environments.bridged} -m dvc pull figures/fig2.pdf")
    assert clone.files("figures/*") == ["figures/fig2.pdf"]
    assert not (clone.path / ".dvc/tmp/dvcsnake").exists()


def with_records_of_all_stages(checkout: Checkout) -> int:
    """Add to dvc.lock entries for all stages that it lacks, of objects that nobody has; returns how many there are."""
    _, stages = Repository(checkout.path).definitions()
    lock = yaml.load((checkout.path / "dvc.lock").read_text(), yaml.CSafeLoader)

    def files(paths: list) -> list[dict]:
        names = sorted(path if isinstance(path, str) else next(iter(path)) for path in paths)
        return [
            {"path": name, "hash": "md5", "md5": hashlib.md5(name.encode()).hexdigest(), "size": 9}
            for name in names
        ]

    made_up = {
        name: {"cmd": stage["cmd"], "deps": files(stage["deps"]), "outs": files(stage["outs"])}
        for name, stage in stages.items()
    }
    lock["stages"] = made_up | lock["stages"]
    (checkout.path / "dvc.lock").write_text(yaml.dump(lock, Dumper=yaml.CSafeDumper, sort_keys=False))
    return len(stages)


def test_a_pull_of_one_file_of_a_thousand_stages_costs_5_s_of_cpu_time(clone, environments):
    """With nothing cached by the bridge. It takes 1.6 s; DVC alone takes 25 s."""
    params = toy_params() | {"stations": list(range(200)), "networks": [str(number) for number in range(200)]}
    (clone.path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert with_records_of_all_stages(clone) > 1000
    shutil.rmtree(clone.path / ".dvc/tmp")

    def cpu_time() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    start = cpu_time()
    clone.run(f"{environments.bridged} -m dvc pull figures/fig2.pdf")
    assert cpu_time() - start <= 5
    assert clone.files("figures/*") == ["figures/fig2.pdf"]
