import argparse
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from pgprim.commands.plot import main, plot_module
from pgprim.plotting.combine import load_results
from pgprim.store.datasets import load_dataset, save_dataset, save_store
from pgprim.types.errors import UserError
from tests.plotting.synthetic import estimates, records

ROOT = Path(__file__).parents[2]
FIGURES = {
    "fig1": ("probes/gradient", ["data/estimates/gradient/humanoid"]),
    "fig2": ("probes/gradient", ["data/estimates/gradient/humanoid"]),
    "fig8": ("report/training", ["data/records"]),
    "fig9": ("probes/gradient", ["data/estimates/gradient/walker2d", "data/estimates/gradient/hopper"]),
    "fig10": ("probes/gradient", ["data/estimates/gradient/walker2d", "data/estimates/gradient/hopper"]),
    "noise_scale": ("probes/gradient", ["data/estimates/gradient"]),
    "steps": ("probes/steps", ["data/estimates/steps"]),
    "table1": ("report/hyperparameters", []),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A folder with parameters and synthetic results, as the earlier stages leave them."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copy(ROOT / "workflow" / "scales" / "default.yaml", root / "params.yaml")
    grid = {"tasks": ("hopper", "walker2d", "humanoid"), "seeds": (0, 1), "iterations": (0, 2), "trials": 3}
    for probe in ("gradient", "steps"):
        for name, ds in estimates(budgets=(100, 300, 1000), **grid).items():
            save_dataset(root / name.replace("estimates", f"estimates/{probe}"), ds)
    for name, ds in records(iterations=10).items():
        save_store(root / name, ds)
    return root


def arguments(figure, probe, inputs, out):
    files = {
        name: Path(f"{out}/{figure}.{suffix}")
        for name, suffix in (("out", "pdf"), ("png", "png"), ("data", "nc"))
    }
    return argparse.Namespace(figure=figure, by=probe, inputs=[Path(folder) for folder in inputs], **files)


def command(root, figure, probe, inputs, out):
    options = ["--out", f"{out}/{figure}.pdf", "--png", f"{out}/{figure}.png", "--data", f"{out}/{figure}.nc"]
    return subprocess.run(
        [sys.executable, "-m", "pgprim.commands.plot", figure, "--by", probe, *options, *inputs],
        cwd=root,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "9"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("figure", FIGURES)
def test_the_command_draws_the_same_bytes_in_another_process(repository, figure, monkeypatch):
    done = command(repository, figure, *FIGURES[figure], out="once")
    assert (done.returncode, done.stderr) == (0, "")
    monkeypatch.chdir(repository)
    main(arguments(figure, *FIGURES[figure], out="again"))
    for suffix, start in ((".pdf", b"%PDF"), (".png", b"\x89PNG"), (".nc", b"CDF")):
        once, again = (
            (repository / out / figure).with_suffix(suffix).read_bytes() for out in ("once", "again")
        )
        assert once.startswith(start)
        assert once == again
    assert b"Date" not in (repository / "once" / f"{figure}.pdf").read_bytes()
    assert sorted(path.name for path in (repository / "once").glob(f"*{figure}.*")) == [
        f"{figure}{suffix}" for suffix in (".nc", ".pdf", ".png")
    ]


def panels(drawn):
    return [panel for page in ([drawn] if isinstance(drawn, Figure) else drawn) for panel in page.axes]


@pytest.mark.parametrize("figure", FIGURES)
def test_the_kept_data_alone_draw_the_figure(repository, figure, tmp_path):
    probe, inputs = FIGURES[figure]
    module = plot_module(probe, figure)
    params = {
        "plot": {"budget": 2048, "level": 0.95, "seeds": 10, "published": {}},
        "tasks": ["hopper"],
        "algos": ["ppo"],
        "train": {"pairs": 2048, "gamma": 0.99},
        "agents": {"ppo": {"all": {"init": "xavier", "rew_clip": None}, "hopper": {"policy_lr": 1e-4}}},
    }
    ds = module.select(figure, load_results([repository / folder for folder in inputs]), params)
    save_dataset(tmp_path / "figure.nc", ds)
    read = load_dataset(tmp_path / "figure.nc")
    xr.testing.assert_equal(read, ds)
    drawn, again = panels(module.plot(ds)), panels(module.plot(read))
    for one, other in zip(drawn, again, strict=True):
        for line, same in zip(one.get_lines(), other.get_lines(), strict=True):
            np.testing.assert_array_equal(line.get_xydata(), same.get_xydata())
        assert [text.get_text() for text in one.texts] == [text.get_text() for text in other.texts]
        assert (one.get_title(), one.get_ylabel()) == (other.get_title(), other.get_ylabel())


def test_every_figure_is_drawn_by_one_probe():
    drawn = [
        figure
        for probe in ("probes/gradient", "probes/steps", "report/training", "report/hyperparameters")
        for figure in import_module(f"pgprim.{probe.replace('/', '.')}.plot").FIGURES
    ]
    assert sorted(drawn) == sorted(FIGURES)


@pytest.mark.parametrize(
    ("figure", "probe", "inputs", "sentence"),
    [
        ("fig1", "probes/gradient", ["data/nowhere"], "data/nowhere: is no directory"),
        ("fig1", "probes/gradient", ["data/empty"], "data/empty: holds no results"),
        ("fig1", "probes/gradient", [], "nothing to draw"),
        ("fig1", "probes/gradient", ["data/records"], "data/records: has no variable 'cosine'"),
        (
            "fig8",
            "report/training",
            ["data/estimates/gradient"],
            "data/estimates/gradient: has no variable 'return_mean'",
        ),
        ("fig1", "probes/gradient", ["data/broken"], "data/broken/0.nc: not a dataset as pgprim wrote it"),
        (
            "fig8",
            "report/training",
            ["data/torn"],
            "data/torn/0.zarr: not a store of training records as pgprim wrote it",
        ),
        (
            "fig3",
            "probes/gradient",
            [],
            "fig3: pgprim.probes.gradient.plot does not draw it; it draws fig1, fig2",
        ),
        (
            "fig1",
            "probes/gradiant",
            [],
            "--by probes/gradiant: pgprim/probes/gradiant/plot.py does not exist",
        ),
        (
            "table1",
            "report/hyperparameters",
            ["data/records"],
            "data/records: table1 is drawn from params.yaml alone",
        ),
    ],
)
def test_wrong_input_is_one_sentence(repository, figure, probe, inputs, sentence, monkeypatch):
    (repository / "data" / "empty").mkdir(exist_ok=True)
    (repository / "data" / "broken").mkdir(exist_ok=True)
    (repository / "data" / "broken" / "0.nc").write_bytes(b"not a dataset")
    (repository / "data" / "torn" / "0.zarr").mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(repository)
    with pytest.raises(UserError) as refused:
        main(arguments(figure, probe, inputs, out="wrong"))
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)
    assert not (repository / "wrong").exists()


def test_wrong_input_ends_the_command(repository):
    done = command(repository, "fig1", "probes/gradient", ["data/nowhere"], out="wrong")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("python -m pgprim plot: data/nowhere: is no directory")
    assert done.stderr.count("\n") == 1


def test_half_written_results_are_not_read(repository, tmp_path):
    folder = tmp_path / "estimates"
    shutil.copytree(repository / "data" / "estimates" / "steps" / "hopper", folder)
    whole = load_results([folder])
    (folder / ".0.nc.123").write_bytes(b"half")
    (folder / ".0.nc").write_bytes(b"half")
    xr.testing.assert_identical(load_results([folder]), whole)


def test_module_without_figures_is_refused():
    with pytest.raises(UserError, match="does not exist"):
        plot_module("no.such", "fig1")
