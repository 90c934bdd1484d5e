"""Coverage of intervals."""

LEVEL = 0.95
"""Nominal coverage of the intervals within an agent (Fig. 1). It is no parameter: the pairs that these are made from may be
gone when somebody wants others drawn. `plot.level` in params.yaml is for what lies between agents, made when it is drawn."""
