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
        mem_mb=2500,  # max_rss 1558 MiB, steps on Humanoid
        runtime=minutes(SAMPLED, 4400),  # 17 800 pairs/s, steps on Humanoid
    params:
        stage=dag.stage("estimate"),
    shell:
        dag.job
