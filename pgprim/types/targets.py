"""What the value network is compared to: names that the probes `value` and `floors` share."""

TARGETS = ("gae", "returns")
"""V_old + A_GAE (Eq. 4), which it is fitted to, and the return."""

DEFINITIONS = ("as_published", "exact")
"""What stands for what a cut leaves out: nothing, or the true continuation."""

DESCRIBED = {
    "target": ("what V is compared to: V_old + A_GAE, or the return", "1"),
    "definition": ("what stands for what a cut leaves out", "1"),
}
"""Long name and unit of the dimensions that these are the labels of."""
