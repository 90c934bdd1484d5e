"""PPO: minibatch Adam on the clipped surrogate (Eq. 17; Schulman et al. 2017). PPO-M is PPO with other settings."""

from dataclasses import dataclass
from typing import Literal

from pgprim.rl.algorithms import Algorithm
from pgprim.types.agent import Settings, setting
from pgprim.types.errors import UserError


@dataclass(frozen=True, kw_only=True)
class PPOSettings(Settings):
    """Settings of PPO. The defaults are the study's; `docs/adding_an_algorithm.md` has other libraries' names."""

    policy_lr: float = setting("learning rate of the policy", above=0, at_most=1)
    policy_epochs: int = setting("passes over the batch that update the policy", at_least=1)
    eps: float = setting("clipping ε of the ratio (Eq. 17)", above=0, below=1)
    entropy_coef: float = setting("factor of the policy's entropy in the objective", 0.0, at_least=0)
    advantage_norm: Literal["minibatch", "batch", "none"] = setting(
        "pairs over which advantages are normalised (Eq. 15)", "minibatch"
    )
    one_optimiser: bool = setting(
        "whether one Adam and one loss train both networks on the same minibatches", False
    )
    target_kl: float | None = setting("divergence at which the update stops early [nat]", None, above=0)
    target_kl_at: Literal["minibatch", "epoch"] = setting(
        "whether the update stops before a minibatch beyond 1.5·target_kl (stable-baselines3) or after an epoch whose "
        "last minibatch was beyond target_kl (CleanRL)",
        "minibatch",
    )

    def __post_init__(self) -> None:
        """Refuse one optimiser with different numbers of policy and value epochs."""
        super().__post_init__()
        if self.one_optimiser and self.value_epochs != self.policy_epochs:
            raise UserError(
                f"value_epochs is {self.value_epochs}, but must be policy_epochs ({self.policy_epochs}) where "
                "one_optimiser trains both networks"
            )


ALGORITHM = Algorithm(PPOSettings, functions=f"{__name__}.update")
