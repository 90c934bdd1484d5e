"""The module in which Snakemake looks for the plugin of `--logger dvcsnake`."""

from dvcsnake.progress import LogHandler

__all__ = ["LogHandler"]
