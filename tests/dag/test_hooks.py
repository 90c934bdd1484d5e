"""pgprim's side of the bridge: what its stages cost, and which code each of them depends on."""

import pytest
from dvcsnake.declared import declarations
from dvcsnake.digests import digest, digests
from dvcsnake.errors import UserError
from dvcsnake.hooks import load_hooks, price
from dvcsnake.pipeline import Output, Stage

from tests.dag.checkouts import PROJECT

PACKAGE = PROJECT / "pgprim"


@pytest.fixture
def hooks(monkeypatch):
    monkeypatch.chdir(PROJECT)
    return load_hooks(PROJECT)


def stages(group: str, path: str, count: int) -> list[Stage]:
    return [Stage(f"{group}@{k}", "", (), (), (Output(path.format(k)),)) for k in range(count)]


def test_prices_add_up_and_follow_the_work(hooks):
    assert price(hooks, stages("sample", "data/rollouts/humanoid/ppo/{}/0.zarr", 1)).startswith(
        ", at most about "
    )
    minutes = [
        float(price(hooks, stages("train", "data/training/humanoid/ppo/{}", n)).split()[-2]) for n in (10, 20)
    ]
    assert minutes[1] == pytest.approx(2 * minutes[0], rel=0.05)
    for group, path in (
        ("train", "data/training/hopper/ppo_m/{}"),  # trained, but not probed
        ("ablation", "data/variants/ablation/hopper/{}/0-1-2-3-4.zarr"),
        ("regime", "data/variants/regime/hopper/{}/0-1-2.zarr"),
        ("semantics_training", "data/semantics/training/walker2d/ppo/{}.zarr"),
        ("semantics", "data/semantics/gradient/humanoid/ppo/0/{}.nc"),
    ):
        assert price(hooks, stages(group, path, 3)).startswith(", at most about ")
    assert price(hooks, stages("figure", "figures/fig{}.pdf", 1)) == ", at most about 1 core-minute"


def test_no_rate_no_price(hooks):
    assert price(hooks, stages("estimate", "data/estimates/unheard/humanoid/ppo/{}/0.nc", 1)) == ""
    assert price(hooks, stages("sample", "data/rollouts/swimmer/ppo/{}/0.zarr", 1)) == ""


def test_a_mistake_in_the_parameters_is_the_bridge_s_error_too(hooks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"params\.yaml does not exist"):
        hooks.check()


def test_default_targets_are_figures_metrics_and_claims(hooks):
    paths = ["figures/fig1.pdf", "data/figures/fig1.nc", "data/metrics/hopper/ppo.json", "data/claims.json"]
    assert hooks.default_targets(paths) == [
        "data/claims.json",
        "data/metrics/hopper/ppo.json",
        "figures/fig1.pdf",
    ]


def test_plots_do_not_depend_on_torch_code_nor_training_on_plots():
    texts = digests(PACKAGE)
    read = {name: {line.split()[1] for line in text.splitlines()} for name, text in texts.items()}
    for name in ("stages/train.txt", "stages/sample.txt", "stages/checkpoint.txt"):
        assert not any(
            path.startswith(("plotting/", "probes/")) or path == "pipeline.py" for path in read[name]
        )
    assert not any(path.startswith("agents/") for path in read["stages/plot.txt"])
    assert "core/returns.py" in read["stages/train.txt"]


def test_declarations_are_of_modules_as_they_are():
    """A line whose module has changed since says nothing and must go."""
    for name, entry in declarations(PACKAGE).items():
        own = digest(PACKAGE / name, PACKAGE).splitlines()
        assert f"{entry['as']}  {name}" in own, f"{name}: its declaration is of another version"
