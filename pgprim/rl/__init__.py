"""An agent's parts: environments, policies, normalisers, and the updates of the algorithms."""
