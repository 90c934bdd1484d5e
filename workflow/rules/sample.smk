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
        mem_mb=2000,
        runtime=60,
    params:
        stage=dag.stage("sample"),
    shell:
        JOB
