"""Where Snakemake looks for what `--logger dvcsnake` names."""

from dvcsnake.progress import LogHandler

__all__ = ["LogHandler"]
