# Trainings with settings changed, several in one job; a job that was killed goes on with the first that is not whole.
VARIED = {
    "ablation": config["ablation"]["pairs"]
    * config["ablation"]["iterations"]
    * 2 ** len(config["ablation"]["switches"]),
    "regime": 2 * config["regime"]["total_pairs"] * len(config["regime"]["rates"]),
    "semantics_training": config["train"]["pairs"]
    * config["semantics"]["train_iterations"],
}
LARGE = {"regime": config["regime"]["pairs"][-1]}

for group in filter(VARIED.__contains__, dag.other_groups()):

    rule:
        name:
            group
        input:
            dag.inputs(group),
        output:
            *dag.outputs(group),
        log:
            dag.path("logs", group, ".log"),
        benchmark:
            dag.path("benchmarks", group, ".tsv")
        wildcard_constraints:
            **dag.wildcards(group),
        priority: 85
        threads: 1
        resources:
            # A large iteration is held, and its update takes as much again several times: 12 kB a pair of Humanoid.
            mem_mb=lambda wildcards, pairs=LARGE.get(group, 0): 1000
            + pairs * len(wildcards.seeds.split("-")) * 12 // 1000,
            runtime=lambda wildcards, pairs=VARIED[group]: minutes(
                pairs * len(wildcards.seeds.split("-")), 750
            ),
        params:
            stage=dag.stage(group),
        shell:
            dag.job
