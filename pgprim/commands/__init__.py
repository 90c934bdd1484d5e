"""The pipeline's commands: each parses, loads, calls and saves."""
