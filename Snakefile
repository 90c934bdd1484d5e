# Runs the stages of dvc.yaml in parallel, here or on a cluster. dvc.yaml declares the stages and,
# under `meta`, what their jobs need; DVC's hashes (dvcsnake) decide which of them must run.

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
    """Every figure with its data, the metrics, the claims and the page."""
    default_target: True
    input:
        dag.targets(),


include: dag.rules
