"""TRPO: a natural gradient step with a bound on the KL divergence and a line search (Eq. 16; Schulman et al. 2015)."""

from dataclasses import dataclass

from pgprim.rl.algorithms import Algorithm
from pgprim.types.agent import Settings, setting


@dataclass(frozen=True, kw_only=True)
class TRPOSettings(Settings):
    """Settings of TRPO."""

    delta: float = setting("bound δ on the mean KL divergence (Eq. 16) [nat]", above=0)
    fisher_fraction: float = setting("share of the states in the Fisher matrix", above=0, at_most=1)
    cg_steps: int = setting("conjugate gradient iterations", at_least=1)
    cg_damping: float = setting("multiple of the identity added to the Fisher matrix", at_least=0)
    backtracks: int = setting("tries of the line search", at_least=1)
    backtrack_factor: float = setting("factor of the step from try to try", above=0, below=1)
    accept_ratio: float = setting(
        "smallest accepted ratio of actual to expected improvement", at_least=0, below=1
    )


ALGORITHM = Algorithm(TRPOSettings, functions=f"{__name__}.update")
