"""All claims of the second edition, in the order of the paper's sections."""

from pgprim.report.claims import gradients, landscapes, training, trust_regions, values

CLAIMS = gradients.CLAIMS | values.CLAIMS | landscapes.CLAIMS | trust_regions.CLAIMS | training.CLAIMS
"""By name; the rule of each stands in the parameter file under `claims.rules`."""
