"""What `docs/pipeline.md` promises, on the real stages at a tiny scale; `bridge/tests` has the same on toys, and more."""

import base64
import json
import re
import shutil

import pytest
import xarray as xr
import zarr

from tests.checkouts import Checkout
from tests.workflow.projects import FIGURES, METRICS, copy_of, copy_project, rescale

pytestmark = pytest.mark.slow


def planned(checkout: Checkout, targets: str = FIGURES) -> dict[str, int]:
    """How many jobs of each kind a dry run would start, not counting what it turns out not to need."""
    return announced(checkout.run(f"snakemake -n {targets}").text)


def announced(text: str) -> dict[str, int]:
    """How many jobs of each kind a run, or a dry run, says that it starts at most."""
    found = re.search(r"unless inputs turn out the same: (.*?), at most", text)
    if not found:
        assert "Nothing to be done" in text, text
        return {}
    return {kind: int(number) for number, kind in (part.split() for part in found[1].split(", "))}


def test_a_first_run_computes_all_and_both_front_ends_show_it(origin, project):
    """DVC shows a row of numbers and all figures, Snakemake's report the figures with captions and parameters."""
    first = {"train": 1, "checkpoint": 2, "sample": 2, "rollout_probe": 4, "summary": 1, "figure": 3}
    text = (origin.path.parent / "first.txt").read_text()
    assert announced(text) == first
    for kind, number in first.items():
        assert len(re.findall(rf" computed  {kind}@", text)) == number, text
    # (d) Both front ends agree that there is nothing to do.
    assert planned(project, f"{FIGURES} {METRICS}") == {}
    stages = "train checkpoint sample rollout_probe figure@fig8 figure@noise_scale figure@steps"
    assert "up to date" in project.run(f"dvc status {stages}").text

    header, row = project.run("dvc metrics show").text.strip().splitlines()
    shown = dict(zip(header.split(), row.split(), strict=True))
    assert shown["Path"] == METRICS
    numbers = json.loads((project.path / METRICS).read_text())
    assert float(shown["return"]) == pytest.approx(numbers["return"], abs=1e-5)
    assert float(shown["agreement.1"]) == pytest.approx(numbers["agreement"]["1"], abs=1e-5)

    project.run("dvc plots show --out ../plots")
    project.run(f"snakemake -j1 --report ../report.html {FIGURES}")
    plots, report = ((project.path.parent / name).read_text() for name in ("plots/index.html", "report.html"))
    words = re.sub(r"(\\n|\s)+", " ", report)
    for figure, says in {
        "fig8": "<strong>Figure 8.</strong> Mean return",
        "noise_scale": "8 streams per checkpoint, of 700 pairs each",
        "steps": "8 streams per checkpoint, of 700 pairs each",
    }.items():
        picture = (project.path / f"figures/{figure}.png").read_bytes()
        (source,) = re.findall(rf'src="(static/[^"]*_{figure}\.png)"', plots)
        assert (project.path.parent / "plots" / source).read_bytes() == picture
        shown = (project.path / f"figures/{figure}.pdf").read_bytes()
        assert base64.b64encode(shown).decode() in report
        assert base64.b64encode(picture).decode() not in report, "once is enough"
        assert says in words


def test_every_dataset_says_what_made_it(project):
    """Parameters, environment, versions and kernels stand in every file; those of code and machine in none."""
    data = project.path / "data"
    attrs = {path: xr.open_dataset(path).attrs for path in data.rglob("*.nc")}
    attrs |= {path: dict(zarr.open_group(path, mode="r").attrs) for path in data.rglob("*.zarr")}
    assert {path.relative_to(data).parts[0] for path in attrs} >= {
        "records",
        "rollouts",
        "estimates",
        "figures",
    }
    for path, known in attrs.items():
        assert {"params", "environment", "versions", "kernels"} <= known.keys(), path
        assert not {"host", "date", "created", "code_sha256"} & known.keys(), path
        if path.relative_to(data).parts[0] in ("rollouts", "estimates"):
            assert re.fullmatch("[0-9a-f]{64}", known["checkpoint_sha256"]), path


def test_a_change_redoes_what_depends_on_it_and_nothing_else(project):
    # (b) What means nothing to Python, and files that are only touched, redo nothing; nor does what no figure needs.
    returns = project.path / "pgprim/core/returns.py"
    returns.write_text(returns.read_text() + "\n# A remark.\n")
    project.run("touch dvc.yaml data/records/hopper/ppo/0.zarr figures/fig8.pdf")
    rollouts = project.path / "data/rollouts/hopper/ppo/0/1.zarr"
    shutil.rmtree(rollouts)
    assert planned(project) == {}

    # (b) A figure's code redraws its figures, a probe's parameter redoes that probe.
    project.edit("pgprim/probes/steps/plot.py", "FIGURES = (", "REDRAWN = True\nFIGURES = (")
    drawn = (project.path / "figures/steps.pdf").read_bytes()
    assert announced(project.snakemake(FIGURES).text) == {"figure": 1}
    assert (project.path / "figures/steps.pdf").read_bytes() == drawn

    # (e) Early cut-off: changed code that makes the same bytes is stopped one stage further, within the same run.
    project.edit("pgprim/commands/sample.py", "\ndef main(", "\nSAMPLED_ANEW = True\n\n\ndef main(")
    anew = project.snakemake("figures/noise_scale.pdf")
    assert announced(anew.text) == {"sample": 2, "rollout_probe": 2, "figure": 1}
    ends = {
        name: (project.path / f"logs/{name}.log").read_text().splitlines()[-1].rpartition(": ")[2]
        for name in ("rollouts/hopper/ppo/0/1", "estimates/gradient/hopper/ppo/0/1", "figures/noise_scale")
    }
    assert ends.pop("rollouts/hopper/ppo/0/1") == "computed"
    assert set(ends.values()) <= {"unchanged", "restored from the cache"}, ends

    text = (project.path / "params.yaml").read_text()
    (project.path / "params.yaml").write_text(text.replace("budgets: [300]", "budgets: [400]"))

    # (f) What was removed comes back when it is needed, and going back computes nothing.
    assert announced(project.snakemake(FIGURES).text) == {"rollout_probe": 2, "figure": 1}
    assert rollouts.is_dir()
    (project.path / "params.yaml").write_text(text)
    back = project.snakemake(FIGURES)
    assert "Nothing to be done" in back.text, back.text
    assert (project.path / "figures/steps.pdf").read_bytes() == drawn

    # (b) One more checkpoint is that much more work: no agent is trained again.
    project.edit("params.yaml", "iterations: &iterations [0, 1]", "iterations: &iterations [0, 1, 2]")
    assert planned(project) == {"checkpoint": 1, "sample": 1, "rollout_probe": 2, "figure": 2}


def test_a_clone_takes_what_is_shared_and_an_experiment_runs_what_it_changes(project, tmp_path):
    project.run("python -m dvcsnake push && git add -A remote")
    project.run("git diff --cached --quiet || git commit -qm shared")

    # (a) A pull of one figure is enough for it; (a') without a pull a target is fetched, and nothing more.
    clone = Checkout(tmp_path / "clone", tmp_path)
    project.run(f"git clone -q . {clone.path}")
    clone.run("dvc pull figures/steps.pdf")
    assert planned(clone, "figures/steps.pdf") == {}
    fetched = clone.snakemake("figures/fig8.pdf")
    assert "fetched" in fetched.text and fetched.jobs == 0
    assert not (clone.path / "data/rollouts/hopper").exists()
    for name in ("figures/steps.pdf", "figures/fig8.pdf"):
        assert (clone.path / name).read_bytes() == (project.path / name).read_bytes()

    # (a'') An edited plot in the clone fetches the estimates that it reads, and samples nothing.
    clone.edit("pgprim/probes/steps/plot.py", "FIGURES = (", "REDRAWN = True\nFIGURES = (")
    redrawn = clone.snakemake("figures/steps.pdf")
    assert redrawn.jobs == 1 and "rollout_probe" in redrawn.text
    assert (clone.path / "figures/steps.pdf").read_bytes() == (
        project.path / "figures/steps.pdf"
    ).read_bytes()
    assert not (clone.path / "data/rollouts/hopper").exists()

    # (a') Where the remote cannot be reached, a clone says so, computes instead, and says what that may cost.
    offline = Checkout(tmp_path / "offline", tmp_path)
    project.run(
        f"git clone -q . {offline.path} && cd {offline.path} && dvc remote modify repository url ../gone"
    )
    computed = offline.snakemake("figures/fig8.pdf")
    assert (
        "dvc: the remote repository cannot be used (../gone does not exist); what only it has is computed instead"
        in computed.text
    )
    assert re.search(
        "unless inputs turn out the same: 1 train, 1 figure, at most about [0-9]+ core-minutes?",
        computed.text,
    )
    assert computed.jobs == 2
    assert (offline.path / "figures/fig8.pdf").read_bytes() == (
        project.path / "figures/fig8.pdf"
    ).read_bytes()

    # (d) An experiment of DVC's runs what the parameter changes; Snakemake finds its results.
    project.run("dvc exp run -S plot.level=0.9 figure@steps")
    assert re.search(r"level: 0\.9\s", (project.path / "params.yaml").read_text())
    assert planned(project, "figures/steps.pdf") == {}


def test_one_seed_more_in_a_clone_without_trainings_is_that_seed_s_jobs_alone(origin, tmp_path):
    """Seeds that share a process, and seeds that do not, leave the same files; a level of drawing redraws."""
    targets = "figures/fig8.pdf figures/trust_region.pdf data/checkpoints/hopper/ppo/0/1.safetensors"
    project = copy_project(tmp_path, seeds=[0, 1])
    project.snakemake(targets)
    log = (project.path / "logs/training/hopper/ppo/0.log").read_text()
    assert "train@hopper-ppo-0: computed\ntrain@hopper-ppo-1: computed" in log
    project.run("git add -A && git commit -qm everything && python -m dvcsnake push && git add -A remote")
    project.run("git diff --cached --quiet || git commit -qm shared")

    clone = Checkout(tmp_path / "clone", tmp_path)
    project.run(f"git clone -q . {clone.path}")
    assert planned(clone, targets) == {}
    clone.edit("params.yaml", "level: 0.95 ", "level: 0.9 ")
    assert planned(clone, targets) == {"figure": 2}
    clone.edit("params.yaml", "\nseeds: &seeds [0, 1]", "\nseeds: &seeds [0, 1, 2]")
    clone.edit("params.yaml", "probed_seeds: &probed_seeds [0]", "probed_seeds: &probed_seeds [0, 2]")
    more = "data/checkpoints/hopper/ppo/2/1.safetensors"
    assert planned(clone, f"{targets} {more}") == {
        "train": 1, "checkpoint": 1, "rerun": 1, "rerun_probe": 1, "figure": 2
    }  # fmt: skip
    assert not (clone.path / "data/training").exists()

    (tmp_path / "other").mkdir()
    alone = copy_of(origin, tmp_path / "other")  # the first seed was alone there
    rescale(alone, seeds=[0, 1], lockstep=1)
    assert announced(alone.snakemake("data/records/hopper/ppo/1.zarr").text) == {"train": 1}
    for seed in (0, 1):
        files = project.files(f"data/records/hopper/ppo/{seed}.zarr/return_mean/**/*")
        assert files
        for file in files:
            assert (alone.path / file).read_bytes() == (project.path / file).read_bytes()
