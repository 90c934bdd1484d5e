# Runs the stages of dvc.yaml in parallel, here or on a cluster. What a stage is stands in dvc.yaml, whether it must run
# is decided by DVC's hashes (dvcsnake), and the rules say how a job of it runs.

import os

from dvcsnake.workflow import Workflow


configfile: "params.yaml"


report: "workflow/report/workflow.rst"


# A job is one thread: parallel jobs share the cores better than parallel libraries.
for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

dag = Workflow(workflow)


onsuccess:
    dag.finish()


onerror:
    dag.finish()


rule all:
    """Every figure, the metrics and the claims."""
    default_target: True
    input:
        dag.targets(),


include: "workflow/rules/common.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/checkpoint.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/estimate.smk"
include: "workflow/rules/landscape.smk"
include: "workflow/rules/vary.smk"
include: dag.rules
