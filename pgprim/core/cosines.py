"""Inner products and cosines between a handful of vectors."""

import numpy as np
from jaxtyping import Float


def gram(vectors: Float[np.ndarray, "trial param"]) -> Float[np.ndarray, "trial trial"]:
    """⟨g_i, g_j⟩ in double precision."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors @ vectors.T


def cosines(products: Float[np.ndarray, "trial trial"]) -> Float[np.ndarray, "trial trial"]:
    """Cosines between the vectors of a Gram matrix; NaN against a zero vector."""
    norms = np.sqrt(np.diagonal(products))
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = products / np.outer(norms, norms)
    matrix[np.diag_indices_from(matrix)] = np.where(norms > 0, 1.0, np.nan)
    return matrix
