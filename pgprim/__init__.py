"""Measures what deep policy gradient methods really do (study: arXiv:1811.02553)."""

import pgprim.kernels  # noqa: F401  first of all: it chooses how numpy and torch compute when they are loaded
