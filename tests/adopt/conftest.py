import pytest
from torch import nn

from tests.adopt import examples


@pytest.fixture(scope="session")
def sb3_ppo(tmp_path_factory):
    """Folder, model and environment of a PPO agent with unequal networks."""
    folder = tmp_path_factory.mktemp("ppo")
    kwargs = {"net_arch": {"pi": [32, 16], "vf": [24]}, "activation_fn": nn.ReLU}
    return folder, *examples.train_sb3(
        folder, policy_kwargs=kwargs, ent_coef=0.01, target_kl=0.05, n_epochs=4
    )


@pytest.fixture(scope="session")
def sb3_trpo(tmp_path_factory):
    """Folder, model and environment of sb3-contrib's TRPO."""
    folder = tmp_path_factory.mktemp("trpo")
    return folder, *examples.train_sb3_trpo(folder)


@pytest.fixture(scope="session")
def cleanrl(tmp_path_factory):
    """File, agent, optimiser and environment of the CleanRL-style script."""
    path = tmp_path_factory.mktemp("cleanrl") / "ppo_continuous_action.cleanrl_model"
    return path, *examples.train_cleanrl(path)
