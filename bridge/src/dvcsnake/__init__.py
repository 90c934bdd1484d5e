"""Put a project's stages under Snakemake and DVC: dvc.yaml says what a stage is, DVC's hashes whether it must run.

| module | contents |
|---|---|
| `workflow` | what the Snakefile imports: inputs, outputs and wildcards for its rules |
| `hooks` | the project's side: its package, targets, check of parameters, prices |
| `project` | the project of one run: repository, stages, messages, and whether it is a dry run |
| `prelude` | the steps before Snakemake plans, and the one after the run |
| `verdicts` | whether what is on record describes a stage as it is now |
| `mending` | workspace, cache and dvc.lock in line with the verdicts |
| `fetching` | outputs from the cache or from a remote |
| `sharing` | results that `dvc push` uploads |
| `placeholders` | empty folders for outputs with a known hash that are neither here nor needed |
| `times` | modification times that tell Snakemake what the hashes say |
| `why` | reasons why stages must run |
| `lock_file` | merging dvc.lock |
| `job` | one job: look up, restore, or run and record |
| `together` | stages whose jobs share one process |
| `progress` | a line when a job starts and one when it ends, with the time left |
| `run_cache` | which run made which bytes: dvc.lock's and the run cache's entries |
| `pipeline` | dvc.yaml as a graph of stages and files |
| `digests` | code as an input that comments do not change |
| `declared` | changes of code that are declared to change no result |
| `versions_of_code` | parts of earlier versions of a module, to name the functions that changed |
| `whole_files` | files that are replaced in one step |
| `disk_cache` | slow look-ups, cached between runs |
| `dvc_api` | everything that touches DVC's Python: hashes, cache, run cache, dvc.lock, remotes |
| `versions` | the versions of DVC and Snakemake that the bridge supports |
| `startup` | has plain `dvc pull FILE` load one stage |
| `templates` | the Snakefile and the profile that `python -m dvcsnake init` writes |
| `errors` | errors that the user can correct, as one sentence |
"""
