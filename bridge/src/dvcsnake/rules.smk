# A rule for every stage of dvc.yaml that has none of its own. What its jobs need stands under `meta` in dvc.yaml:
# `threads`, `mem_mb`, `runtime` in minutes, `priority`.
for group in dag.other_groups():

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
        priority: dag.resource(group, "priority", 0)
        threads: dag.resource(group, "threads", 1)
        resources:
            mem_mb=dag.resource(group, "mem_mb", 1000),
            runtime=dag.resource(group, "runtime", 60),
        params:
            stage=dag.stage(group),
        shell:
            dag.job


dag.describe()
