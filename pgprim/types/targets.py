"""Names of the targets and definitions of value errors, for the probes `value` and `floors`."""

TARGETS = ("gae", "returns")
"""V_old + A_GAE (Eq. 4), which it is fitted to, and the return."""

DEFINITIONS = ("as_text", "as_code", "exact")
"""The formulas of the text, the released code's mask and square, and the true continuation behind cuts (`core.value_errors`)."""

DESCRIBED = {
    "target": ("quantity that V is compared to: V_old + A_GAE, or the return", "1"),
    "definition": ("treatment of last pairs, time limits and the cut by the end of the batch", "1"),
}
"""Long name and unit of the dimensions that these are the labels of."""
