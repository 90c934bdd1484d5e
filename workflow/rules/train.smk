# The longest jobs come first, so that none is left over at the end: params.yaml lists the tasks from short to long.
rule train:
    """Let the agents of one task and algorithm learn in lock step."""
    input:
        dag.inputs("train"),
    output:
        *dag.outputs("train"),
    log:
        "logs/train/{task}-{algo}-{seeds}.log",
    benchmark:
        "benchmarks/train/{task}-{algo}-{seeds}.tsv"
    wildcard_constraints:
        **dag.wildcards("train"),
    priority: lambda wildcards: 100 + config["tasks"].index(wildcards.task)
    threads: 1
    resources:
        mem_mb=1000,  # max_rss 471 MiB; 3000 pairs/s; both Humanoid
        runtime=lambda wildcards: minutes(
            config["train"]["iterations"]
            * config["train"]["pairs"]
            * len(wildcards.seeds.split("-")),
            750,
        ),
    params:
        stage=dag.stage("train"),
    shell:
        dag.job
