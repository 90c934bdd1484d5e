"""What the value network is compared to: names that the probes `value` and `floors` share."""

TARGETS = ("gae", "returns")
"""V_old + A_GAE (Eq. 4), which it is fitted to, and the return."""

DEFINITIONS = ("as_published", "exact")
"""What stands for what a cut leaves out: nothing, or the true continuation."""
