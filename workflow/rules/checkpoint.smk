rule checkpoint:
    """Take one agent at one iteration from its training run."""
    input:
        dag.inputs("checkpoint"),
    output:
        *dag.outputs("checkpoint"),
    log:
        "logs/checkpoint/{task}-{algo}-{seed}-{iteration}.log",
    benchmark:
        "benchmarks/checkpoint/{task}-{algo}-{seed}-{iteration}.tsv"
    wildcard_constraints:
        **dag.wildcards("checkpoint"),
    priority: 90
    threads: 1
    resources:
        mem_mb=500,  # max_rss 71 MiB
        runtime=5,  # 1 s
    params:
        stage=dag.stage("checkpoint"),
    shell:
        dag.job
