"""The shapes of an agent's two networks, from its settings."""

from pgprim.core.mlp import MLP, policy_net, value_net
from pgprim.types.agent import Settings


def make_policy(settings: Settings, num_obs: int, num_act: int) -> MLP:
    """The Gaussian policy."""
    hidden = settings.hidden if settings.policy_hidden is None else settings.policy_hidden
    return policy_net(num_obs, num_act, hidden, settings.policy_activation, settings.sigma)


def make_value(settings: Settings, num_obs: int) -> MLP:
    """The value network."""
    hidden = settings.hidden if settings.value_hidden is None else settings.value_hidden
    return value_net(num_obs, hidden, settings.value_activation)
