# The longest jobs by far at large sizes; one that was killed goes on where it was.
if "landscape" in dag.other_groups():

    rule landscape:
        """Measure surrogate and true reward around a checkpoint."""
        input:
            dag.inputs("landscape"),
        output:
            *dag.outputs("landscape"),
        log:
            "logs/landscape/{task}-{algo}-{seed}-{iteration}-{kind}.log",
        benchmark:
            "benchmarks/landscape/{task}-{algo}-{seed}-{iteration}-{kind}.tsv"
        wildcard_constraints:
            **dag.wildcards("landscape"),
        priority: 80
        threads: 1
        resources:
            # A step by many pairs holds them, and their update takes as much again several times.
            mem_mb=2000 + config["landscape"]["many"]["pairs"] // 100,
            runtime=2880,
        params:
            stage=dag.stage("landscape"),
        shell:
            dag.job
