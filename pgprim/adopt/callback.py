"""A callback of stable-baselines3 that saves a series of checkpoints as it trains."""

import io
import pickle
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from pgprim.adopt.foreign import ForeignAgent, SavedNormaliser
from pgprim.adopt.networks import own_names
from pgprim.adopt.stable_baselines import read_vecnormalize, read_zip
from pgprim.adopt.write import write_agent


class SaveSeries(BaseCallback):
    """Saves the agent as it is before an iteration's rollout, and after that iteration's update.

    Two files in a row, of iterations k and k + 1, are one update: its step, its divergence and its ratios can be
    measured without training again.
    """

    def __init__(self, folder: str | Path, every: int = 10) -> None:
        """Set where and how often to save.

        Args:
            folder: Folder of the files ITERATION.safetensors.
            every: Iterations from pair to pair.
        """
        super().__init__()
        self.folder, self.every, self.iteration = Path(folder), every, 0

    def _on_rollout_start(self) -> None:
        if self.iteration % self.every in (0, 1):
            self._save()
        self.iteration += 1

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._save()

    def _save(self) -> None:
        buffer = io.BytesIO()
        self.model.save(buffer)
        agent = read_zip(buffer.getvalue(), "the agent in training")
        observations = rewards = None
        if (normaliser := self.model.get_vec_normalize_env()) is not None:
            pickled = pickle.dumps(normaliser)
            observations, rewards, _ = read_vecnormalize(pickled, "the agent's VecNormalize")
        write_foreign(
            self.folder / f"{self.iteration}.safetensors", agent, observations, rewards, self.iteration
        )


def write_foreign(
    path: Path,
    agent: ForeignAgent,
    observations: SavedNormaliser | None,
    rewards: SavedNormaliser | None,
    iteration: int,
) -> None:
    """Write an agent that another reader has read as a file of `write_agent`."""
    adam = None
    if agent.adam is not None:
        names = own_names(agent.policy, agent.value)
        adam = {"count": agent.adam.count} | {
            part: {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
            for part, arrays in (("m", agent.adam.m), ("v", agent.adam.v))
        }
    write_agent(
        path,
        policy=agent.policy.layers,
        value=agent.value.layers,
        log_sigma=agent.sigma,
        activation=agent.policy.activation,
        settings=agent.settings,
        observations=vars(observations) if observations else None,
        rewards=vars(rewards) if rewards else None,
        adam=adam,
        iteration=iteration,
        clip_actions=agent.clip_actions,
    )
