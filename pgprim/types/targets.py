"""Names of the targets and definitions of value errors, for the probes `value` and `floors`."""

TARGETS = ("gae", "returns")
"""Targets: V_old + A_GAE (Eq. 4), to which the value network is fitted, and the return."""

DEFINITIONS = ("as_text", "as_code", "exact")
"""Definitions: the text's formula, the released code's mask and square, and continuation past cuts
(`core.value_errors`)."""

DESCRIBED = {
    "target": ("quantity that V is compared to: V_old + A_GAE, or the return", "1"),
    "definition": ("treatment of last pairs, time limits and the cut by the end of the batch", "1"),
}
"""Long name and unit of the dimensions with these labels."""
