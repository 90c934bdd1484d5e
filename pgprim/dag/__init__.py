"""dvc.yaml says what every stage is, DVC's hashes decide whether it must run, Snakemake where and when.

| module | what it does |
|---|---|
| `workflow` | what the Snakefile imports: inputs, outputs and wildcards for its rules |
| `planning` | before Snakemake plans: hashes, verdicts, modification times; after the run: dvc.lock |
| `job` | one job: look up, restore, or run and record |
| `traces` | the memory: which run made which bytes |
| `pipeline` | dvc.yaml as a graph of stages and files |
| `memory` | what takes long to find out, kept between runs |
| `digests` | code as an input that comments do not change |
| `equal` | changes of code that are declared to change no result |
| `dvcapi` | everything that touches DVC's Python |
"""
