"""All that this project uses of DVC's Python, most of it undocumented; pinned as `dvc>=3.67,<4`.

Used here, and nowhere else:

| what | for |
|---|---|
| `dvc.repo.Repo`, its `lock`, `state`, `dvcignore`, `config` | the repository, without Git: jobs must not edit .gitignore |
| `dvc.dvcfile.load_file(...)`: `contents`, `resolver` | dvc.yaml with matrices expanded |
| `dvc.utils.serialize.load_yaml` | params.yaml, read as DVC reads it (YAML 1.2) |
| `KeyNotInContext`, `MatrixDefinition`, `YAMLFileCorruptedError`, `YAMLValidationError`, `is_map_or_seq` | the file, key and value that DVC cannot use |
| `dvc.stage.cache._get_cache_hash` | the key of a run |
| `Repo.stage_cache`: `cache_dir`, `_create_stage` | the run cache: where it is, outputs of an entry |
| `dvc.output.Output.checkout` | outputs of an entry |
| `dvc_data`: `build`, `hash_file`, `transfer`, `Tree` | hashes of files and folders, storing them in the cache |
| `Repo.cloud`: `get_remote`, `get_remote_odb`, `pull`, `push` | objects from and to a remote; the run cache beside them |
| `Repo.push` | what `dvc push --run-cache` does |
| `dvc.repo.index`: `Index`, `index_from_targets`; `StageInfo`, `StageLoader` | what plain `dvc pull FILE` collects (`startup.py`) |
| format 2.0 of dvc.lock | read and written with libyaml: DVC's own round trip takes 10 s for a thousand stages |
"""

import contextlib
import hashlib
import logging
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import dvc
import yaml
from dvc.dvcfile import load_file
from dvc.exceptions import DvcException
from dvc.fs import LocalFileSystem
from dvc.parsing import DataResolver, MatrixDefinition, is_map_or_seq
from dvc.parsing.context import KeyNotInContext
from dvc.repo import Repo
from dvc.repo.index import Index, IndexView
from dvc.repo.stage import StageInfo
from dvc.stage.cache import _get_cache_hash
from dvc.stage.loader import StageLoader
from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml
from dvc.utils.strictyaml import YAMLValidationError
from dvc_data.hashfile.build import build
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.state import StateNoop
from dvc_data.hashfile.transfer import transfer
from dvc_data.hashfile.tree import Tree
from dvc_objects.errors import ObjectFormatError

from dvcsnake import lock_file
from dvcsnake.disk_cache import DiskCache
from dvcsnake.errors import UserError, in_a_sentence, not_yaml
from dvcsnake.hooks import load_hooks, settings
from dvcsnake.pipeline import Pipeline
from dvcsnake.versions import require

# How dvc.lock writes one file or folder: {"hash": "md5", "md5": ..., "size": ..., "nfiles": ...}.
Hash = dict[str, Any]
# How dvc.lock writes one stage: {"cmd": ..., "deps": [...], "params": {...}, "outs": [...]}.
Entry = dict[str, Any]
# Inode, size and modification time of a file; for a folder those of all that is in it, by name.
Trace = list[Any]

_BRING_BACK = "`git checkout dvc.lock` brings back the last one that was committed"

# What DVC and the system raise when something cannot be read, written or reached.
FAILURES = (DvcException, OSError)

# From so many files on, one call for the whole disk is quicker than one for each.
MANY = 64


class Repository:
    """A DVC repository as the bridge needs it. Nothing here takes DVC's lock, except `locked`.

    Jobs work without the lock because the cache is content-addressed and its writes are renames.

    Args:
        root: the folder that holds dvc.yaml.
        say: takes one line of text for the user.
    """

    def __init__(self, root: str | Path = ".", say: Callable[[str], None] = print):
        self.say = say
        for name in ("dvc", "dvc_data", "dvc_objects"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what they have to say is in the exceptions
        self.repo = Repo(str(root), config={"core": {"no_scm": True}}, _wait_for_lock=True)
        self.root = Path(self.repo.root_dir)
        self.cache = self.repo.cache.local
        self.hooks = load_hooks(self.root)
        self.saved = _saved(self.root)
        self._ignored = _digest(self.root / ".dvcignore")
        self._journal = self.root / ".dvc" / "tmp" / "dvcsnake" / "journal"
        self.lock_is_spoilt = False
        self._has_new = False
        self._spoilt: tuple[str, dict[str, Entry]] | None = None
        self.unverified = [
            name for name, remote in self.repo.config["remote"].items() if not remote.get("verify")
        ]
        if self.unverified:
            # plain `dvc pull` has noted as right what such a remote sent, without a look: it is hashed again
            self.cache.state, self._hashes = StateNoop(), {}
        else:
            self._hashes: dict[str, list] = self.saved.get("hashes", self._ignored, dict)
        if "hardlink" in self.cache.cache_types:
            # equal outputs would share one inode, hence one modification time, and be write-protected
            raise UserError("DVC's cache.type is hardlink, but must be `dvc config cache.type reflink,copy`")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold DVC's repository lock; waits while a DVC command holds it."""
        with self.repo.lock:
            yield

    @property
    def remote(self) -> str | None:
        """The name of the default remote."""
        return self.repo.config["core"].get("remote")

    @property
    def remotes(self) -> list[str]:
        """The names of all remotes, the default one first."""
        return sorted(self.repo.config["remote"], key=lambda name: name != self.remote)

    def verify_remotes(self) -> None:
        """Have plain `dvc pull` check what the remotes of this clone send, by settings in .dvc/config.local."""
        if self.unverified:
            with self.repo.config.edit("local") as config:
                for name in self.unverified:
                    config.setdefault("remote", {}).setdefault(name, {})["verify"] = True
            self.say(
                f"dvc: `dvc pull` is now to verify what comes from {', '.join(self.unverified)} (in .dvc/config.local)"
            )

    # --- what is declared ---------------------------------------------------------------------

    def definitions(self) -> list[dict[str, Any]]:
        """dvc.yaml's stages as written, and resolved by stage name."""
        self.repo._reset()
        return _definitions(self.repo, self.root, self.saved)

    def definition(self, name: str) -> dict[str, Any]:
        """One resolved stage of dvc.yaml."""
        with _named_faults():
            resolver = load_file(self.repo, str(self.root / "dvc.yaml")).resolver
            if not resolver.has_key(name):
                raise UserError(f"dvc.yaml has no stage {name}")
            return resolver.resolve_one(name)[name]

    def params(self) -> dict[str, Any]:
        """The parameter file, read as DVC reads it."""
        path = self.root / "params.yaml"
        with _named_faults():
            return self.saved.get(
                "params", _digest(path), lambda: load_yaml(str(path)) if path.exists() else {}
            )

    # --- dvc.lock -----------------------------------------------------------------------------

    def read_lock(self) -> dict[str, Entry]:
        """The entries of dvc.lock by stage name."""
        digest = _digest(self.root / "dvc.lock")
        if self._spoilt and self._spoilt[0] == digest:
            return self._spoilt[1]
        entries = self.saved.get("lock", digest, self._parse_lock)
        if self.lock_is_spoilt:
            self.saved.put("lock", None, None)  # the next process is to see it again until it is written anew
            self._spoilt = digest, entries
        return entries

    def _parse_lock(self) -> dict[str, Entry]:
        try:
            text = (self.root / "dvc.lock").read_bytes().decode()
        except FileNotFoundError:
            return {}
        except UnicodeDecodeError:
            raise UserError(f"dvc.lock is no text; {_BRING_BACK}") from None
        if lock_file.has_conflict(text):
            both = lock_file.unmerged(self.root)
            if both is None:
                raise UserError(
                    "dvc.lock has conflict markers and no merge is going on; `git checkout BRANCH -- dvc.lock` takes one "
                    "branch's whole file"
                )
            ours, theirs = map(self._parse_stages, both)
            for entry in theirs.values():
                self.record(entry)
            self.say(
                "dvc: dvc.lock has conflict markers: the records of both sides are used (`git add dvc.lock` after the run)"
            )
            self.lock_is_spoilt = True
            return lock_file.merge_stages({}, ours, theirs)
        return self._parse_stages(text)

    def _parse_stages(self, text: str) -> dict[str, Entry]:
        try:
            data = yaml.load(text, _Loader) or {}
        except yaml.YAMLError as error:
            raise UserError(
                f"dvc.lock: not valid YAML, {str(error).splitlines()[0]}; {_BRING_BACK}"
            ) from None
        stages = (data.get("stages") or {}) if isinstance(data, dict) else None
        if not isinstance(stages, dict):
            raise UserError(f"dvc.lock must be a mapping with the key stages; {_BRING_BACK}")
        whole = {name: entry for name, entry in stages.items() if isinstance(entry, dict) and "cmd" in entry}
        if lost := stages.keys() - whole.keys():
            self.lock_is_spoilt = True
            self.say(f"dvc: dvc.lock has no record of {min(lost)}, only its name, and is written anew")
        return whole

    def merge_locks(self, base: str, ours: str, theirs: str) -> None:
        """Merge three versions of dvc.lock into the second one, as Git asks of a merge driver.

        Args:
            base: The file of the common ancestor.
            ours: The file of the branch that is merged into, which gets the result.
            theirs: The file of the branch that is merged.
        """
        old, mine, other = (self._parse_stages(Path(path).read_text()) for path in (base, ours, theirs))
        for entry in (*mine.values(), *other.values()):
            if "outs" in entry:
                self.record(entry)
        _write_yaml(Path(ours), {"schema": "2.0", "stages": lock_file.merge_stages(old, mine, other)})

    def install_merge_driver(self) -> None:
        """Have Git in this clone merge dvc.lock stage by stage, if .gitattributes asks for it and there is a Git."""
        attributes = self.root / ".gitattributes"
        if (
            not shutil.which("git")
            or not attributes.exists()
            or lock_file.ATTRIBUTE not in attributes.read_text().splitlines()
        ):
            return
        git = ["git", "-C", str(self.root), "config"]
        if subprocess.run([*git, "merge.dvcsnake.driver"], capture_output=True, check=False).returncode == 1:
            done = subprocess.run(
                [*git, "merge.dvcsnake.driver", lock_file.DRIVER], capture_output=True, check=False
            )
            if not done.returncode:
                self.say("dvc: `git merge` is now to merge dvc.lock stage by stage (in .git/config)")

    def write_lock(self, entries: Mapping[str, Entry]) -> None:
        """Replace dvc.lock. Call this with the repository locked."""
        path, self.lock_is_spoilt = self.root / "dvc.lock", False
        _write_yaml(path, {"schema": "2.0", "stages": dict(entries)})
        self.repo._reset()

    # --- hashes -------------------------------------------------------------------------------

    def hash(self, path: str) -> Hash | None:
        """The hash of what lies in the workspace, None if nothing does.

        It is known without reading as long as inode, size and modification time of every file stay.
        """
        full = os.path.join(self.root, path)
        trace = _trace(full)
        if trace is None:
            return None
        known = self._hashes.get(path)
        if known and known[0] == trace:
            return known[1]
        found = self._hash(full)
        if found:
            self._hashes[path] = [trace, found]
            self._has_new = True
        return found

    def keep_hashes(self) -> None:
        """Have the next process know the hashes that this one found, without asking DVC."""
        if self._has_new:
            self.saved.put("hashes", self._ignored, self._hashes)
            self._has_new = False

    def _hash(self, full: str) -> Hash | None:
        try:
            if os.path.isdir(full):
                _, meta, obj = build(
                    self.cache, full, self.repo.fs, "md5", dry_run=True, ignore=self.repo.dvcignore
                )
                return _as_hash(meta, obj.hash_info)
            meta, info = hash_file(full, self.repo.fs, "md5", self.cache.state)
        except FileNotFoundError:
            return None
        return _as_hash(meta, info)

    def folder_hash(self, folder: str, members: Mapping[str, Hash]) -> Hash | None:
        """The hash a folder has when it holds exactly these outputs; None if the cache lacks a listing it takes."""
        tree, size = Tree(), 0
        for path, known in members.items():
            relative = PurePosixPath(path).relative_to(folder).parts
            info = HashInfo("md5", known["md5"])
            size += known.get("size", 0)
            if not info.isdir:
                tree.add(relative, Meta(size=known.get("size")), info)
                continue
            listing = self._listing(info.value)
            if listing is None:
                return None
            for key, meta, member in listing:
                tree.add((*relative, *key), meta, member)
        tree.digest()
        return _as_hash(Meta(size=size, nfiles=len(tree), isdir=True), tree.hash_info)

    def keep_hash(self, path: str, stamp: float) -> None:
        """Set a file's modification time without DVC having to hash it again."""
        full = os.path.join(self.root, path)
        _, known = self.repo.state.get(full, self.repo.fs)
        os.utime(full, (stamp, stamp))
        if known:
            self.repo.state.save(full, self.repo.fs, known)

    def is_ignored(self, path: str) -> bool:
        """Whether .dvcignore leaves a file out of hashes."""
        return self.repo.dvcignore.is_ignored_file(str(self.root / path))

    # --- the run cache ------------------------------------------------------------------------

    @staticmethod
    def key(entry: Entry) -> str:
        """The key of a run: its command, parameters, hashes of dependencies, and paths of outputs."""
        return _get_cache_hash(dict(entry), key=True)

    def runs(self, key: str) -> list[Entry]:
        """Records of the run cache under a key, newest first."""
        files = []
        for place in (self.repo.stage_cache.cache_dir, self._journal):
            with contextlib.suppress(FileNotFoundError):
                files += [
                    path
                    for path in Path(place, key[:2], key).iterdir()
                    if path.name not in {f.name for f in files}
                ]
        files = [path for path in files if re.fullmatch("[0-9a-f]{64}", path.name)]
        files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        entries = [(path, self._read_entry(path.read_bytes(), key, path.name)) for path in files]
        for path, entry in entries:
            if entry is None:
                self._set_aside(path)
        return [entry for _, entry in entries if entry is not None]

    def _read_entry(self, text: bytes, key: str, name: str) -> Entry | None:
        """An entry of the run cache, None if it is not what its key and name say, or could reach beyond its outputs."""
        try:
            entry = yaml.load(text, _Loader)
            whole = isinstance(entry["cmd"], str | list) and all(map(_is_plain_out, entry["outs"]))
            return entry if whole and self._place(entry) == os.path.join(key[:2], key, name) else None
        except Exception:  # whatever is wrong with the text, it cannot be used
            return None

    def _set_aside(self, path: Path) -> None:
        """Move an entry of the run cache out of the way."""
        aside = self.root / ".dvc" / "tmp" / "dvcsnake" / "set_aside" / f"{path.parent.name}-{path.name}"
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, aside)
        except OSError:
            return
        self.say(
            f"dvc: an entry of the run cache was not what its name says; it is now {aside.relative_to(self.root)}"
        )

    def record(self, entry: Entry, journal: bool = False) -> None:
        """Put an entry into the run cache, from where `dvc repro` too restores it.

        Args:
            entry: The entry.
            journal: Keep it, until dvc.lock has it, where `dvc gc` does not reach, too.
        """
        for place in (self.repo.stage_cache.cache_dir, *([self._journal] if journal else [])):
            path = Path(place, self._place(entry))
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_yaml(path, entry)

    def clear_journal(self) -> None:
        """Forget the entries of the last run, which dvc.lock has."""
        shutil.rmtree(self._journal, ignore_errors=True)

    def record_lock(self) -> None:
        """Put all entries of dvc.lock into the run cache, from where DVC would not bring them back otherwise."""
        entries = {name: entry for name, entry in self.read_lock().items() if "outs" in entry}
        places = self.saved.get(
            "places",
            _digest(self.root / "dvc.lock"),
            lambda: {name: self._place(entry) for name, entry in entries.items()},
        )
        for name, place in places.items():
            if not os.path.exists(os.path.join(self.repo.stage_cache.cache_dir, place)):
                self.record(entries[name])

    def _place(self, entry: Entry) -> str:
        """Path of an entry in the run cache."""
        key = self.key(entry)
        return os.path.join(key[:2], key, _get_cache_hash(dict(entry)))

    # --- objects ------------------------------------------------------------------------------

    def _outputs(self, outs: Iterable[Mapping[str, Any]]) -> list[Any]:
        # DVC's own device for the run cache: a throw-away stage whose outputs are all cached, metrics included
        outs = list(outs)
        return self.repo.stage_cache._create_stage({"cmd": "none", "outs": outs}).outs if outs else []

    def is_cached(self, out: Mapping[str, Any]) -> bool:
        """Whether the cache holds all objects of an output, and a folder's listing stays within the folder."""
        if not out["md5"].endswith(".dir"):
            return self._has_whole(out["md5"])
        listing = self._listing(out["md5"])
        return listing is not None and all(self._has_whole(info.value) for _, _, info in listing)

    def _has_whole(self, md5: str) -> bool:
        try:
            self.cache.check(md5)  # reads what is not write-protected
        except (FileNotFoundError, ObjectFormatError):
            return False
        return True

    def has_object(self, md5: str) -> bool:
        """Whether the cache holds a file, or the listing of a folder."""
        return os.path.exists(self.cache.oid_to_path(md5))

    def cached_text(self, md5: str) -> str | None:
        """The text of a file in the cache, None if it is not there."""
        try:
            return Path(self.cache.oid_to_path(md5)).read_text()
        except OSError:
            return None

    def can_bring_back(self, path: str) -> bool:
        """Whether the cache holds the bytes of a file in the workspace."""
        found = self.hash(path)
        return found is not None and self.cache.exists(found["md5"])

    def set_output_aside(self, path: str) -> None:
        """Move what lies in an output's place elsewhere, if it is not in the cache: it may be somebody's own."""
        full, number = Path(self.root, path), 1
        if not os.path.lexists(full) or self.can_bring_back(path):
            return
        aside = Path(self.root, ".dvc", "tmp", "dvcsnake", "set_aside")
        while (aside / str(number) / path).exists():
            number += 1
        place = aside / str(number) / path
        place.parent.mkdir(parents=True, exist_ok=True)
        full.rename(place)
        self.say(f"dvc: no stage made {path} as it was; it is now {place.relative_to(self.root)}")

    def store(self, path: str, link: bool = False) -> Hash:
        """Have an output of the workspace in the cache too.

        Args:
            path: the output.
            link: share the bytes with the cache by hard links instead of copying them.
        """
        full = os.path.join(self.root, path)
        staging, meta, obj = build(self.cache, full, self.repo.fs, "md5", ignore=self.repo.dvcignore)
        result = transfer(staging, self.cache, {obj.hash_info}, shallow=False, hardlink=link)
        if result.failed:
            raise UserError(
                f"{path} could not be stored in DVC's cache, {self.cache.path}; is the disk full?"
            )
        _flush([self.cache.oid_to_path(info.value) for info in self._objects(obj.hash_info)])
        return _as_hash(meta, obj.hash_info)

    def _objects(self, info: HashInfo) -> list[HashInfo]:
        """An output's objects: its own, and those that its listing names."""
        listing = self._listing(info.value) if info.isdir else None
        return [info, *(member for _, _, member in listing or ())]

    def restore(self, out: Mapping[str, Any], link: bool = False) -> bool:
        """Put an output in place from the cache, as a copy or as hard links.

        Copies are read again: a cache object that is not what its name says is thrown away instead.

        Returns:
            Whether the output is in place.
        """
        if not self.is_cached(out):
            return False
        usual = self.cache.cache_types
        self.cache.cache_types = ["hardlink", "copy"] if link else usual
        try:
            self._outputs([out])[0].checkout(force=True)
        except DvcException as error:
            raise UserError(
                f"{out['path']} could not be put in place from DVC's cache; is the disk full? ({type(error).__name__})"
            ) from None
        finally:
            self.cache.cache_types = usual
        return link or self._is_whole(out)

    def _is_whole(self, out: Mapping[str, Any]) -> bool:
        full = Path(self.root, out["path"])
        info = HashInfo("md5", out["md5"])
        files = [(full, info)]
        if info.isdir:
            files = [(full.joinpath(*key), member) for key, _, member in self._listing(info.value) or ()]
        wrong = [wanted for file, wanted in files if hash_file(str(file), self.repo.fs, "md5")[1] != wanted]
        for wanted in wrong:
            Path(self.cache.oid_to_path(wanted.value)).unlink(missing_ok=True)
        if wrong:
            remove(full)
        return not wrong

    def distrust(self, out: Mapping[str, Any]) -> None:
        """Throw away cache objects that were altered through the hard links of an output that is not as recorded.

        DVC takes write-protected objects for whole, and so would put the altered bytes back.
        """
        full = Path(self.root, out["path"])
        listing = self._listing(out["md5"]) if full.is_dir() else None
        for key, _, info in listing or ():
            file, held = full.joinpath(*key), self.cache.oid_to_path(info.value)
            if file.exists() and os.path.exists(held) and file.samefile(held):
                _, found = hash_file(str(file), self.repo.fs, "md5", self.repo.state)
                if found != info:
                    os.unlink(held)

    def _listing(self, md5: str) -> Tree | None:
        """The listing of a folder, if the cache has it; None, too, for a listing that is not what its name says.

        A listing from elsewhere may be made to write or read anywhere: its paths must stay in the folder, and its
        hashes must be hashes, as they name files in the cache.
        """
        try:
            if _md5_of(self.cache.oid_to_path(md5)) != md5.removesuffix(".dir"):
                return None
            tree = Tree.load(self.cache, HashInfo("md5", md5), hash_name="md5")
        except Exception:  # whatever is wrong with the listing, it cannot be used
            return None
        return tree if all(map(_is_safe_member, tree)) else None

    # --- remotes ------------------------------------------------------------------------------

    def open_remote(self, name: str | None = None) -> None:
        """Raise an exception if a remote cannot be reached."""
        remote = self.repo.cloud.get_remote(name)
        if not remote.fs.exists(remote.path) and remote.fs.protocol == "local":
            raise FileNotFoundError(f"{os.path.relpath(remote.path, self.root)} does not exist")

    def offered(
        self, outs: Iterable[Mapping[str, Any]], remote: str | None = None
    ) -> list[Mapping[str, Any]]:
        """The outputs that a remote has; of a folder it asks for the listing, which DVC copies last."""
        store = self.repo.cloud.get_remote_odb(remote)
        oids = [out["md5"] for out in outs]
        if (
            store.fs.protocol == "local"
        ):  # DVC would delete a damaged one that can be written to, without a word
            present = {oid for oid in oids if os.path.exists(store.oid_to_path(oid))}
        else:
            present = set(store.oids_exist(oids))
        return [out for out in outs if out["md5"] in present]

    def fetch(self, outs: Iterable[Mapping[str, Any]], remote: str | None = None) -> None:
        """Copy the objects of outputs from a remote to the cache, as far as it has them whole."""
        infos = [HashInfo("md5", out["md5"]) for out in outs]
        self._pull({info for info in infos if info.isdir}, remote)
        listings = [self._listing(info.value) for info in infos if info.isdir]
        files = {info for info in infos if not info.isdir}
        self._pull(
            files.union(*({info for _, _, info in listing} for listing in listings if listing)), remote
        )

    def _pull(self, objects: set[HashInfo], remote: str | None) -> None:
        missing = {info for info in objects if not self.cache.exists(info.value)}
        if not missing:
            return
        store = self.repo.cloud.get_remote_odb(remote)
        store.verify = False  # DVC would drop what is wrong without a word
        is_local = store.fs.protocol == "local"
        there = {info for info in missing if is_local and os.path.exists(store.oid_to_path(info.value))}
        self.repo.cloud.pull(missing, odb=store)
        arrived = {info: self.cache.oid_to_path(info.value) for info in missing}
        arrived = {info: path for info, path in arrived.items() if os.path.exists(path)}
        damaged = [path for info, path in arrived.items() if _md5_of(path) != info.value.removesuffix(".dir")]
        for path in damaged:
            os.unlink(path)
        num_damaged = len(damaged) + len(
            there - arrived.keys()
        )  # the latter DVC has deleted as it asked for them
        if num_damaged:
            count = f"{num_damaged} objects" if num_damaged > 1 else "1 object"
            self.say(f"dvc: {count} of the remote {remote or self.remote} are damaged and not used")

    def fetch_runs(self, keys: Iterable[str], remote: str | None = None) -> int:
        """Copy what a remote's run cache has recorded under some keys; returns the number of new records."""
        store = self.repo.cloud.get_remote_odb(remote, "fetch --run-cache", hash_name="md5-dos2unix")
        copied = refused = 0
        for key in keys:
            folder = store.fs.join(store.path, "runs", key[:2], key)
            try:
                found = store.fs.ls(folder, detail=False)
            except FileNotFoundError:
                continue
            for source in found:
                target = Path(self.repo.stage_cache.cache_dir, key[:2], key, store.fs.name(source))
                if not re.fullmatch("[0-9a-f]{64}", target.name) or target.exists():
                    continue
                text = store.fs.cat_file(source)
                if self._read_entry(text, key, target.name) is None:
                    refused += 1
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(target, text)
                copied += 1
        if refused:
            self.say(
                f"dvc: {refused} records of the remote {remote or self.remote} are not what their names say"
            )
        return copied

    def push(self, remote: str | None = None) -> None:
        """Do what `dvc push --run-cache` does."""
        self.repo.push(remote=remote, run_cache=True)

    def push_outputs(self, outs: Iterable[Mapping[str, Any]], remote: str | None = None) -> int:
        """Copy outputs that plain `dvc push` leaves here to a remote; returns how many objects were copied."""
        objects: set[HashInfo] = set()
        for out in outs:
            objects.update(self._objects(HashInfo("md5", out["md5"])))
        result = self.repo.cloud.push(objects, remote=remote) if objects else None
        if result and result.failed:
            raise UserError(
                f"{len(result.failed)} objects could not be copied to the remote {remote or self.remote}"
            )
        return len(result.transferred) if result else 0


def index_of(repo: Repo, targets: Any, options: Mapping[str, Any]) -> IndexView | None:
    """DVC's view of targets that are outputs, or files in them, from the stages that make these alone.

    To see who makes a file DVC loads every stage, twice in `dvc pull FILE`: 30 s of CPU time for 1300 stages. `startup`
    has it ask here first. Other targets are left to DVC, and so is what cannot be read, with what DVC says about it.

    Args:
        repo: The repository.
        targets: What was named on the command line.
        options: The other arguments of DVC's `index_from_targets`.

    Returns:
        What DVC's own function returns, without its check that no two stages make the same file; None where that
        function is to be called.
    """
    if not targets or any(options.get(name) for name in ("with_deps", "recursive", "types")):
        return None
    try:
        infos = _makers(repo, targets)
    except Exception:  # whatever is wrong with a file, DVC says it
        return None
    if infos is None:
        return None
    index = Index(repo, stages=list({info.stage for info in infos}))
    index._collected_targets[Index._hash_targets(targets)] = infos
    return index.targets_view(targets, **options)


def _makers(repo: Repo, targets: Iterable[str]) -> list[StageInfo] | None:
    """The stages that make some targets, each with the target's full path; None if one is no output of a stage."""
    root = Path(repo.root_dir)
    if not isinstance(repo.fs, LocalFileSystem) or settings(root) is None:
        return None
    require("dvc", "dvc-data")
    saved = _saved(root)
    written, stages = _definitions(repo, root, saved)
    maker = Pipeline(written, stages).maker
    entries = saved.get("lock", _digest(root / "dvc.lock"), lambda: _whole_entries(root / "dvc.lock"))
    loaded, infos = {}, []
    for target in targets:
        full = repo.fs.abspath(target)
        relative = PurePosixPath(os.path.relpath(full, root))
        name = next((maker[str(part)] for part in (relative, *relative.parents) if str(part) in maker), None)
        if name is None or "wdir" in stages[name] or target in stages or target in written:
            return None  # to DVC a stage's name comes before an output's
        if name not in loaded:
            dvcfile = load_file(repo, str(root / "dvc.yaml"))
            loaded[name] = StageLoader.load_stage(dvcfile, name, stages[name], entries.get(name, {}))
        infos.append(StageInfo(loaded[name], full))
    return infos


def _whole_entries(path: Path) -> dict[str, Entry]:
    """The entries of a dvc.lock with which nothing is wrong."""
    entries = yaml.load(path.read_bytes(), _Loader)["stages"]
    if not all(isinstance(entry, dict) and "cmd" in entry for entry in entries.values()):
        raise UserError("dvc.lock has entries without content")
    return entries


def _saved(root: Path) -> DiskCache:
    return DiskCache(root / ".dvc" / "tmp" / "dvcsnake" / "cache")


def _definitions(repo: Repo, root: Path, saved: DiskCache) -> list[dict[str, Any]]:
    key = [dvc.__version__, *(_digest(root / name) for name in ("dvc.yaml", "params.yaml"))]
    return saved.get("definitions", key, lambda: _resolve(repo, root))


def _resolve(repo: Repo, root: Path) -> list[dict[str, Any]]:
    # not `.stages`, which reads dvc.lock too: that takes DVC seconds for a thousand stages
    with _named_faults():
        dvcfile = load_file(repo, str(root / "dvc.yaml"))
        if "vars" in dvcfile.contents:
            raise UserError("dvc.yaml has `vars`, but values must come from params.yaml")
        written = dvcfile.contents.get("stages")
        if not written:
            raise UserError("dvc.yaml has no stages: `stages` must list at least one")
        _check_matrices(dvcfile.resolver)
        return [written, dvcfile.resolver.resolve()["stages"] or {}]  # DVC joins no stages at all to None


def _check_matrices(resolver: DataResolver) -> None:
    """Refuse a matrix over a single value, on which DVC fails without a word."""
    for name, definition in resolver.definitions.items():
        if isinstance(definition, MatrixDefinition):
            for key, values in definition.resolved_iterable.items():
                if not is_map_or_seq(values):
                    raise UserError(f"dvc.yaml: stages.{name}.matrix.{key} must be a list, but is {values}")


@contextmanager
def _named_faults() -> Iterator[None]:
    """Have what DVC cannot use be one sentence with its file, key and value."""
    try:
        yield
    except DvcException as error:
        raise _named_fault(error) from None


def _named_fault(error: DvcException) -> UserError:
    cause = error.__cause__ or error.__context__
    match error:
        case YAMLFileCorruptedError():
            return not_yaml(error.path, cause or error)
        case YAMLValidationError():
            first = error.exc.errors[0]
            where = ".".join(map(str, first.path)) or "the file"
            return UserError(f"{os.path.normpath(error.path)}: {where} is wrong: {first.error_message}")
    if isinstance(cause, KeyNotInContext):
        where = re.search(r"'([^']*)' in '", str(error))
        home = "its matrix or foreach" if cause.key.split(".")[0] in ("item", "key") else "params.yaml"
        return UserError(
            f"{home} lacks the key {cause.key}, which {where[1] if where else 'a stage'} in dvc.yaml needs"
        )
    return UserError(in_a_sentence(error))


def remove(path: Path) -> None:
    """Delete a file or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_plain_out(out: Any) -> bool:
    """Whether a recorded output has a path, a hash and nothing that DVC would act on."""
    return (
        isinstance(out["path"], str)
        and re.fullmatch(r"[0-9a-f]{32}(\.dir)?", out["md5"]) is not None
        and out.get("hash") == "md5"
        and out.keys() <= {"path", "hash", "md5", "size", "nfiles", "isexec"}
    )


def _is_safe_member(member: tuple[tuple[str, ...], Any, HashInfo]) -> bool:
    """Whether a file of a listing lies within the folder and is named by a hash."""
    parts, _, info = member
    is_inside = all(part not in ("", ".", "..") and not set(part) & set("/\\\0") for part in parts)
    return bool(parts) and is_inside and re.fullmatch("[0-9a-f]{32}", info.value or "") is not None


def _md5_of(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _flush(paths: list[str]) -> None:
    """Have files on the disk, so that what is recorded of them is true after a power cut."""
    if len(paths) > MANY:
        os.sync()
        return
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def _digest(path: Path) -> str:
    return hashlib.md5(path.read_bytes() if path.exists() else b"").hexdigest()


def _trace(path: str) -> Trace | None:
    """Marks of an unchanged file, or folder with all in it, that need no reading; None if it is not there."""
    try:
        found = os.stat(path)
        if not stat.S_ISDIR(found.st_mode):
            return [found.st_ino, found.st_size, found.st_mtime_ns]
        with os.scandir(path) as entries:
            return sorted([entry.name, _trace(entry.path)] for entry in entries)
    except FileNotFoundError:
        return None


def _as_hash(meta: Meta, info: HashInfo) -> Hash:
    fields = meta.to_dict()
    fields.pop("isdir", None)
    return {"hash": "md5", "md5": info.value, **fields}


class _Loader(yaml.CSafeLoader):
    """YAML 1.2 scalars, as DVC writes them, with libyaml's speed."""


class _Dumper(yaml.CSafeDumper):
    """Quotes what either YAML 1.1 or 1.2 would not take for a string."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_SCALARS = [
    ("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF"),
    ("tag:yaml.org,2002:null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+"), "-+0123456789"),
    ("tag:yaml.org,2002:float", _FLOAT, "-+0123456789."),
]
_Loader.yaml_implicit_resolvers = {}
for _tag, _regex, _first in _SCALARS:
    _anchored = re.compile(f"^(?:{_regex.pattern})$")
    _Loader.add_implicit_resolver(_tag, _anchored, list(_first))
    _Dumper.add_implicit_resolver(_tag, _anchored, list(_first))
# "012" is the number twelve in YAML 1.2 and ten in 1.1
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


def _write_yaml(path: Path, data: Any) -> None:
    _write(
        path,
        yaml.dump(data, None, _Dumper, sort_keys=False, width=1000, allow_unicode=True, encoding="utf-8"),
    )


def _write(path: Path, text: bytes) -> None:
    """Replace a file by one that is whole, also after a power cut."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
