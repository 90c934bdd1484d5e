rule sample:
    """Run a checkpoint's frozen policy in many streams."""
    input:
        dag.inputs("sample"),
    output:
        *dag.outputs("sample"),
    log:
        "logs/sample/{task}-{algo}-{seed}-{iteration}.log",
    benchmark:
        "benchmarks/sample/{task}-{algo}-{seed}-{iteration}.tsv"
    wildcard_constraints:
        **dag.wildcards("sample"),
    threads: 1
    resources:
        mem_mb=1000,  # max_rss 480 MiB, Humanoid
        runtime=minutes(SAMPLED, 450),  # 1800 pairs/s, Humanoid
    params:
        stage=dag.stage("sample"),
    shell:
        dag.job
