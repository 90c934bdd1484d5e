"""The probes `fit` and `baselines`: what they read, that they repeat themselves, and how they refuse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pgprim.commands.params import load
from pgprim.store.checkpoints import save_checkpoint
from pgprim.store.datasets import load_dataset
from pgprim.store.fits import load_fit, save_fit
from pgprim.store.rollouts import BLOCK, RolloutWriter, open_rollouts
from pgprim.types.errors import UserError
from tests.commands.measuring import measure
from tests.probes.synthetic import PPO, everything, make_checkpoint, make_rollouts, pool_of

# safetensors' arrays and NumPy 2 disagree about a keyword of __array__, without consequence.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DEFAULT = Path(__file__).parents[2] / "workflow" / "scales" / "default.yaml"
TRIALS, TRUTH, PAIRS = 4, 5, 600


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with parameters, a checkpoint and its rollouts."""
    monkeypatch.chdir(tmp_path)
    write_params()
    checkpoint = make_checkpoint(PPO)
    save_checkpoint("agent.safetensors", checkpoint)
    make_rollouts("rollouts.zarr", checkpoint, TRIALS + TRUTH, PAIRS, limit=100)
    return checkpoint


def write_params(**changes):
    params = load(DEFAULT)
    params["sample"] = pool_of(TRIALS + TRUTH, PAIRS, TRIALS)
    params["probes"]["rollouts"] = {"gradient": {"budgets": [PAIRS]}}
    params["plot"]["budget"], params["semantics"]["probes"] = PAIRS, ["gradient"]
    params["baselines"] |= {"budgets": [100, PAIRS], "pairs": 200, "lambdas": [0.0, 1.0], "beyond": 60}
    params["fit"] |= {"beyond": 60, "epochs": 2, "batch": 128} | changes
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params, file)


def altered(checkpoint, path, change):
    """The rollouts with some of their arrays changed."""
    rollouts = open_rollouts("rollouts.zarr")
    whole = change(everything(rollouts))
    with RolloutWriter(
        path, *whole.rew.shape, checkpoint.num_obs, checkpoint.num_act, rollouts.attrs
    ) as writer:
        for start in range(0, PAIRS, BLOCK):
            piece = slice(start, start + BLOCK)
            arrays = {
                name: getattr(whole, name)[:, piece]
                for name in ("obs", "act", "rew", "terminated", "truncated")
            }
            kept = (whole.finals.t >= start) & (whole.finals.t < start + BLOCK)
            finals = type(whole.finals)(*(values[kept] for values in vars(whole.finals).values()))
            writer.append(replace(whole, start=start, **arrays, finals=finals))


def run_fit(rollouts="rollouts.zarr", out="fit.safetensors"):
    measure("fit", out, checkpoint="agent.safetensors", rollouts=rollouts)
    return load_fit(out)


def run_baselines(out="numbers.nc"):
    names = {"checkpoint": "agent.safetensors", "rollouts": "rollouts.zarr", "fit": "fit.safetensors"}
    measure("baselines", out, vectors="vectors.zarr", **names)
    return load_dataset(out)


def test_the_commands_repeat_themselves_to_the_byte(here):
    for name in ("one", "two"):
        run_fit(out=f"{name}.safetensors")
    assert Path("one.safetensors").read_bytes() == Path("two.safetensors").read_bytes()
    found = run_fit()
    numbers, _ = run_baselines(), run_baselines("again.nc")
    assert Path("numbers.nc").read_bytes() == Path("again.nc").read_bytes()
    assert numbers.fit_error.item() == found.numbers["fit_error"]
    assert numbers.attrs["probe"] == "baselines"
    assert "batch" not in numbers.attrs["params"], "how V* was fitted is told by the fit"
    assert found.made_from["checkpoint_sha256"] == numbers.attrs["checkpoint_sha256"]


def test_the_fit_knows_nothing_of_the_trials_and_all_other_streams_matter(here):
    usual = run_fit()

    def disturb(stream):
        def change(block):
            rew = block.rew.copy()
            rew[stream] = rew[stream] * np.sin(np.arange(PAIRS))
            return replace(block, rew=rew)

        altered(here, "other.zarr", change)
        return run_fit("other.zarr", "other.safetensors")

    trials = disturb(slice(0, TRIALS))
    assert (trials.true == usual.true).all() and trials.numbers == usual.numbers
    fitted = disturb(TRIALS)
    assert (fitted.true != usual.true).any() and fitted.numbers["fit_pairs"] == usual.numbers["fit_pairs"]
    assert disturb(TRIALS + TRUTH - 1).numbers["fit_error"] != usual.numbers["fit_error"]


def test_a_smaller_number_of_pairs_is_what_it_says(here):
    write_params(pairs=TRUTH * 300)
    found = run_fit().numbers
    pairs = found["fit_pairs"] + found["fit_held_out_pairs"]
    assert pairs / (1 - found["fit_left_out"]) == pytest.approx(TRUTH * 300)


def test_without_a_settled_return_there_is_one_sentence(here):
    make_rollouts("other.zarr", here, TRIALS + TRUTH, PAIRS, limit=59)
    with pytest.raises(
        UserError, match=r"no return of the rollouts is settled.*fit\.beyond \(60\).*time limit"
    ):
        run_fit("other.zarr")
    assert not Path("fit.safetensors").exists()


def test_what_does_not_belong_together_is_refused(here):
    found = run_fit()
    save_fit("fit.safetensors", replace(found, seed=7))
    with pytest.raises(
        UserError, match=r"fit\.safetensors: seed is 7, but must be that of agent\.safetensors, 0"
    ):
        run_baselines()
    Path("fit.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(UserError, match=r"fit\.safetensors: not a fit as pgprim wrote it: .*`snakemake fit"):
        run_baselines()
    Path("fit.safetensors").unlink()
    with pytest.raises(
        UserError, match=r"fit\.safetensors: no such fit; make it with `snakemake fit\.safetensors`"
    ):
        run_baselines()
    save_fit("fit.safetensors", found)
    make_rollouts("rollouts.zarr", here, TRIALS + TRUTH - 1, PAIRS, limit=100)
    with pytest.raises(UserError, match=r"ask for 9 of 600; sample again"):
        run_baselines()
