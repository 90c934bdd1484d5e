"""The page on adding an algorithm, to the letter; and a new setting with a default changes nothing."""

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from dvcsnake.digests import declare_equal, digest_of, digests
from ruamel.yaml import YAML

from pgprim.commands.params import load
from pgprim.commands.train import main
from pgprim.rl import algorithms
from pgprim.rl.algorithms import Algorithm, algorithm, settings_schema
from pgprim.rl.algorithms.ppo import PPOSettings
from pgprim.store.checkpoints import load_checkpoint
from pgprim.store.datasets import open_store
from pgprim.types.agent import setting, settings_of
from pgprim.types.errors import UserError
from tests.checkouts import narrow
from tests.commands.test_train import DEFAULT, ROOT

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = {"iterations": 2, "snapshot_every": 1, "pairs": 128, "minibatches": 4, "value_epochs": 1}

PAGE = (ROOT / "docs/adding_an_algorithm.md").read_text()


def block_of_the_page(language: str) -> str:
    """The page's only block of code in a language."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return code


def write_params(folder: Path, agents: dict, **changes) -> None:
    """The default set with few, small iterations and more agents."""
    params = narrow(DEFAULT, {"iterations": [0]}) | {"train": DEFAULT["train"] | SMALL}
    params |= {"agents": DEFAULT["agents"] | agents} | changes
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)


def train(algo: str) -> list[Path]:
    main(
        argparse.Namespace(
            task="hopper", algo=algo, seeds=[0, 1], snapshots=f"snapshots/{algo}", records=f"records/{algo}"
        )
    )
    return sorted(Path(f"snapshots/{algo}").rglob("*.safetensors"))


@pytest.fixture
def a2c(tmp_path, monkeypatch):
    """The module, in a folder that the package of algorithms looks into as well."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/a2c.py").write_text(block_of_the_page("python"))
    monkeypatch.setattr(algorithms, "__path__", [*algorithms.__path__, str(tmp_path / "modules")])
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("pgprim.rl.algorithms.a2c", None)
    vars(algorithms).pop("a2c", None)


def a2c_block(**changes) -> dict:
    block = YAML(typ="safe", pure=True).load(block_of_the_page("yaml"))["agents"]
    block["a2c"]["all"] |= changes
    return block


def test_a2c_is_one_module_and_one_block_of_parameters(a2c, tmp_path):
    write_params(tmp_path, a2c_block(), algos=[*DEFAULT["algos"], "a2c"])
    snapshots = train("a2c")
    assert len(snapshots) == 6
    first, second = (load_checkpoint(snapshots[k]) for k in (0, 1))
    assert first.settings["algorithm"] == "a2c" and second.state.policy_adam.count == 1
    step = (second.state.theta - first.state.theta).numpy()
    # Adam's first step moves each parameter by the learning rate, where its gradient is large beside ε.
    assert np.abs(step).max() == pytest.approx(7e-4, rel=1e-2) and np.abs(step).mean() > 1e-4
    records = open_store("records/a2c/0.zarr")
    assert (records.surrogate > 0).all() and (records.policy_lr == 7e-4).all()
    assert records.sizes["iteration"] == 2 and np.isfinite(records.value_loss).all()


def test_its_settings_are_checked_like_any_others(a2c, tmp_path):
    assert settings_schema("a2c")["properties"]["algorithm"]["enum"] == ["a2c", "ppo", "trpo"]
    for changes, right in (
        ({"policy_lr": 2}, "agents.a2c.all.policy_lr is 2, but must be a number above 0 and at most 1"),
        ({"eps": 0.2}, "agents.a2c.all.eps (given as 0.2) is not a known key"),
    ):
        write_params(tmp_path, a2c_block(**changes), algos=[*DEFAULT["algos"], "a2c"])
        with pytest.raises(UserError) as error:
            load()
        assert right in str(error.value)


MORE = '    dropout: float = setting("share of units left out", 0.0, at_least=0, below=1)\n'


def test_an_optional_setting_more_that_is_declared_to_change_nothing_makes_nothing_stale(tmp_path):
    """The module's change alone is an input of all its agents' stages; declared, all digests are what they were."""
    package = tmp_path / "pgprim"
    shutil.copytree(ROOT / "pgprim", package, ignore=shutil.ignore_patterns("__pycache__"))
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in ("init -q", "add .", "commit -qm before"):
        subprocess.run([*git, *words.split()], cwd=tmp_path, check=True)
    name = "rl/algorithms/ppo/__init__.py"

    def look() -> dict[str, str]:
        return digests(package) | {"agents/ppo.txt": digest_of("agents/ppo.txt", [package / name], package)}

    before, module = look(), (package / name).read_text()
    assert module.count("    advantage_norm: ") == 1
    (package / name).write_text(module.replace("    advantage_norm: ", f"{MORE}    advantage_norm: "))
    stale = {path for path, text in look().items() if text != before[path]}
    assert "agents/ppo.txt" in stale and "commands/train.txt" not in stale
    declare_equal(name, "an optional setting more, which changes nothing where it is left out", package)
    assert look() == before


def test_an_optional_setting_more_changes_no_byte_and_no_key(tmp_path, monkeypatch):
    """Neither what a run is keyed by, nor a snapshot."""

    @dataclass(frozen=True, kw_only=True)
    class More(PPOSettings):
        dropout: float = setting("share of units left out", 0.0, at_least=0, below=1)

    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, {})
    key, right = settings_of(load(), "hopper", "ppo"), [path.read_bytes() for path in train("ppo")]
    monkeypatch.setattr("pgprim.rl.algorithms.ppo.ALGORITHM", Algorithm(More, algorithm("ppo").functions))
    assert "dropout" in settings_schema("ppo")["properties"]
    assert settings_of(load(), "hopper", "ppo") == key and "dropout" not in key
    assert [path.read_bytes() for path in train("ppo")] == right
    values = DEFAULT["agents"]["ppo"]["all"] | {"dropout": 0.1}
    write_params(tmp_path, {"ppo": DEFAULT["agents"]["ppo"] | {"all": values}})
    assert [path.read_bytes() for path in train("ppo")] != right
