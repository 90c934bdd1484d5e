rule estimate:
    """Compute what a probe finds in the rollouts."""
    input:
        dag.inputs("estimate"),
    output:
        *dag.outputs("estimate"),
    log:
        "logs/estimate/{probe}-{task}-{algo}-{seed}-{iteration}.log",
    benchmark:
        "benchmarks/estimate/{probe}-{task}-{algo}-{seed}-{iteration}.tsv"
    wildcard_constraints:
        **dag.wildcards("estimate"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        stage=dag.stage("estimate"),
    shell:
        JOB
