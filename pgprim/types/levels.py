"""Coverage of intervals."""

LEVEL = 0.95
"""Nominal coverage of the intervals within an agent (Fig. 1). It is not a parameter, because another level would need
the pairs again, which are not kept. `plot.level` in params.yaml is the level of intervals between agents, which are
computed when a figure is drawn."""
