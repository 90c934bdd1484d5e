"""Training curves, tables and claims."""
