# What the rules' resources are computed from.


def minutes(pairs, per_second):
    """Runtime of a job that makes or reads so many pairs, and its start; clusters end jobs that take longer."""
    return 10 + pairs // (60 * per_second)


# `mem_mb` and rates in the rules are from the benchmarks of the default set (2 cores of an AMD EPYC, both busy,
# 2026-11-21): the largest max_rss plus 300 MB for Snakemake in the job; a quarter of the slowest task's rate.

SAMPLED = (config["sample"]["trials"] + config["sample"]["truth_streams"]) * config[
    "sample"
]["pairs"]
