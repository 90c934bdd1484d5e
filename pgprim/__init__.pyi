"""What `import pgprim` offers, for editors and type checkers, which do not see names that are loaded at their first use."""

from pgprim.library import (
    ErrorSummary,
    GradientAgreement,
    Interval,
    TrustRegion,
    complete_returns,
    expected_cosine,
    gae,
    gaussian_kl,
    gradient_agreement,
    next_values,
    noise_share,
    noise_variance,
    pairs_for_cosine,
    returns_to_go,
    trust_region,
    value_errors,
)

__all__ = [
    "ErrorSummary",
    "GradientAgreement",
    "Interval",
    "TrustRegion",
    "complete_returns",
    "expected_cosine",
    "gae",
    "gaussian_kl",
    "gradient_agreement",
    "next_values",
    "noise_share",
    "noise_variance",
    "pairs_for_cosine",
    "returns_to_go",
    "trust_region",
    "value_errors",
]
