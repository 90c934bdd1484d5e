"""Hyperparameters of training and of the three algorithms (Table 1)."""

from dataclasses import dataclass, fields
from typing import Literal

from pgprim.types.errors import UserError


@dataclass(frozen=True)
class Settings:
    """All that one agent's training is told; `None` is "off".

    Attributes:
        anneal_over: Iterations after which annealed learning rates have reached 0.
        pairs: State-action pairs per iteration, T.
        semantics: `exact`, or `paper` for the released code's handling of time limits and cuts.
        gamma: Discount γ.
        lam: GAE's λ.
        hidden: Units per hidden layer of both networks.
        minibatches: Minibatches per epoch of both networks.
        value_epochs: Passes over the batch that fit the value network.
        adam_eps: Adam's ε for both networks.
        log_sigma: Initial log σ.
        init: Initialisation of the weights.
        anneal: Whether both learning rates fall linearly to 0.
        rew_norm: Whether rewards are divided by the running deviation of the discounted reward sum.
        rew_clip: Bound on the absolute (normalised) reward.
        obs_clip: Bound on the absolute normalised observation.
        value_lr: Learning rate of the value network.
        value_clip: Half-width of PPO's value clipping.
        policy_lr: PPO's learning rate of the policy.
        policy_epochs: PPO's passes over the batch.
        eps: PPO's clipping ε (Eq. 17).
        delta: TRPO's bound δ on the mean KL divergence (Eq. 16), in nats; its presence makes the agent a TRPO agent.
        fisher_fraction: Share of the states in TRPO's Fisher matrix.
        cg_steps: TRPO's conjugate gradient iterations.
        cg_damping: Multiple of the identity added to the Fisher matrix.
        backtracks: Tries of TRPO's line search.
        backtrack_factor: Factor from try to try.
        accept_ratio: Smallest accepted ratio of actual to expected improvement.
    """

    anneal_over: int
    pairs: int
    semantics: Literal["exact", "paper"]
    gamma: float
    lam: float
    hidden: tuple[int, ...]
    minibatches: int
    value_epochs: int
    adam_eps: float
    log_sigma: float
    init: Literal["orthogonal", "xavier"]
    anneal: bool
    rew_norm: bool
    rew_clip: float | None
    obs_clip: float | None
    value_lr: float
    value_clip: float | None = None
    policy_lr: float | None = None
    policy_epochs: int | None = None
    eps: float | None = None
    delta: float | None = None
    fisher_fraction: float | None = None
    cg_steps: int | None = None
    cg_damping: float | None = None
    backtracks: int | None = None
    backtrack_factor: float | None = None
    accept_ratio: float | None = None
    algorithm: str = ""

    @property
    def update(self) -> Literal["ppo", "trpo"]:
        """Which policy update the agent makes."""
        return "ppo" if self.delta is None else "trpo"


TRAINING_ONLY = ("iterations", "snapshot_every")
"""Keys of the `train` section that say how long to train and what to keep, not how."""


def settings_of(params: dict, task: str, algo: str) -> dict:
    """The settings of one agent as a plain dict, from the sections `train` and `agents` of the parameters.

    Raises:
        UserError: The parameters have no such agent.
    """
    try:
        agent = params["agents"][algo]
        own = agent[task]
    except KeyError as error:
        raise UserError(
            f"params.yaml: agents.{algo}.{task} is missing ({error} not found); add the agent's numbers"
        ) from None
    train = {key: value for key, value in params["train"].items() if key not in TRAINING_ONLY}
    return train | agent["all"] | own


def make_settings(values: dict) -> Settings:
    """Settings from a plain dict, such as a checkpoint holds.

    Raises:
        UserError: A key is unknown, missing, or of neither algorithm.
    """
    known = {field.name for field in fields(Settings)}
    if unknown := sorted(set(values) - known):
        raise UserError(
            f"params.yaml: unknown agent setting {unknown[0]!r}; known are {', '.join(sorted(known))}"
        )
    try:
        settings = Settings(**{**values, "hidden": tuple(values["hidden"])})
    except (TypeError, KeyError) as error:
        raise UserError(f"params.yaml: an agent's settings are incomplete: {error}") from None
    needed = ("policy_lr", "policy_epochs", "eps") if settings.update == "ppo" else (
        "fisher_fraction", "cg_steps", "cg_damping", "backtracks", "backtrack_factor", "accept_ratio"
    )  # fmt: skip
    if missing := [name for name in needed if getattr(settings, name) is None]:
        raise UserError(f"params.yaml: a {settings.update} agent needs {missing[0]!r} in its settings")
    return settings
