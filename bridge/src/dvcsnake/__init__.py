"""Put a project's stages under Snakemake and DVC: dvc.yaml says what a stage is, DVC's hashes whether it must run.

| module | contents |
|---|---|
| `workflow` | what the Snakefile imports: inputs, outputs and wildcards for its rules |
| `hooks` | the project's side: its package, targets, check of parameters, prices |
| `planning` | before Snakemake plans: hashes, verdicts, modification times; after the run: dvc.lock |
| `job` | one job: look up, restore, or run and record |
| `run_cache` | which run made which bytes: dvc.lock's and the run cache's entries |
| `pipeline` | dvc.yaml as a graph of stages and files |
| `digests` | code as an input that comments do not change |
| `declared` | changes of code that are declared to change no result |
| `disk_cache` | slow look-ups, cached between runs |
| `dvc_api` | everything that touches DVC's Python |
"""
