# Figures, and whatever else dvc.yaml defines: a stage that has no rule of its own gets this plain one.
for group in dag.other_groups(
    "train", "checkpoint", "sample", "estimate", "landscape", *VARIED
):

    rule:
        name:
            group
        input:
            dag.inputs(group),
        output:
            *dag.results(group),
        log:
            dag.path("logs", group, ".log"),
        benchmark:
            dag.path("benchmarks", group, ".tsv")
        wildcard_constraints:
            **dag.wildcards(group),
        threads: 1
        resources:
            mem_mb=1000,  # max_rss 150 MiB, 2 s, of Table 1, which reads nothing
            runtime=10,
        params:
            stage=dag.stage(group),
        shell:
            JOB
