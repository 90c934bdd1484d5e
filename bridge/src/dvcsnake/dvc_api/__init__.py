"""All that this project uses of DVC's Python, most of it undocumented; pinned as `dvc>=3.67,<4`.

Used in this package, and nowhere else:

| what | for | in |
|---|---|---|
| `dvc.repo.Repo`, its `lock`, `config` | the repository, without Git: jobs must not edit .gitignore | `repository` |
| `dvc.utils.serialize.load_yaml` | params.yaml, read as DVC reads it (YAML 1.2) | `repository` |
| `dvc.dvcfile.load_file(...)`: `contents`, `resolver` | dvc.yaml with matrices expanded | `definitions`, `repository` |
| `KeyNotInContext`, `MatrixDefinition`, `YAMLFileCorruptedError`, `YAMLValidationError`, `is_map_or_seq` | the file, key and value that DVC cannot use | `definitions` |
| format 2.0 of dvc.lock | read and written with libyaml: DVC's own round trip takes 10 s for a thousand stages | `entries`, `lock` |
| `dvc.stage.cache._get_cache_hash` | the key of a run | `runs` |
| `Repo.stage_cache`: `cache_dir`, `_create_stage` | the run cache: where it is, outputs of an entry | `runs`, `objects` |
| `Repo.state`, `Repo.dvcignore` | hashes of files that did not change; what folder hashes leave out | `hashes` |
| `dvc_data`: `build`, `hash_file`, `transfer`, `Tree` | hashes of files and folders, storing them in the cache | `hashes`, `listings`, `objects` |
| `dvc.output.Output.checkout` | outputs of an entry | `objects` |
| `Repo.cloud`: `get_remote`, `get_remote_odb`, `pull`, `push` | objects from and to a remote; the run cache beside them | `remotes` |
| `Repo.push` | what `dvc push --run-cache` does | `remotes` |
| `dvc.repo.index`: `Index`, `index_from_targets`; `StageInfo`, `StageLoader` | what plain `dvc pull FILE` collects (`startup.py`) | `pull` |
"""

from dvcsnake.dvc_api.entries import Entry, Hash
from dvcsnake.dvc_api.files import remove
from dvcsnake.dvc_api.pull import index_of
from dvcsnake.dvc_api.repository import FAILURES, Repository

__all__ = ["FAILURES", "Entry", "Hash", "Repository", "index_of", "remove"]
