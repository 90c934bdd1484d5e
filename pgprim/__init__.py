"""Measures what deep policy gradient methods really do (study: arXiv:1811.02553)."""
