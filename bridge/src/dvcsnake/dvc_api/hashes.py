"""Hashes of what lies in the workspace, as DVC has them."""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from dvc.repo import Repo
from dvc_data.hashfile.build import build
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.state import StateNoop
from dvc_data.hashfile.tree import Tree

from dvcsnake.disk_cache import DiskCache
from dvcsnake.dvc_api.entries import Hash
from dvcsnake.dvc_api.files import digest, trace
from dvcsnake.dvc_api.listings import as_hash, read_listing


class Hashes:
    """Hashes of files and folders.

    Args:
        repo: DVC's repository.
        saved: What is kept between processes.
        trusted: Whether DVC's own notes of hashes are right. Plain `dvc pull` notes as right, without a look, what a
            remote sent that it does not verify; then everything is hashed again.
    """

    def __init__(self, repo: Repo, saved: DiskCache, trusted: bool):
        self._repo, self._saved, self._root, self._cache = repo, saved, Path(repo.root_dir), repo.cache.local
        self._ignored = digest(self._root / ".dvcignore")
        self._has_new = False
        if trusted:
            self._hashes: dict[str, list] = saved.get("hashes", self._ignored, dict)
        else:
            self._cache.state, self._hashes = StateNoop(), {}

    def of(self, path: str) -> Hash | None:
        """The hash of what lies in the workspace, None if nothing does.

        It is known without reading as long as inode, size and modification time of every file stay.
        """
        full = os.path.join(self._root, path)
        now = trace(full)
        if now is None:
            return None
        known = self._hashes.get(path)
        if known and known[0] == now:
            return known[1]
        found = self._hash(full)
        if found:
            self._hashes[path] = [now, found]
            self._has_new = True
        return found

    def keep(self) -> None:
        """Have the next process know the hashes that this one found, without asking DVC."""
        if self._has_new:
            self._saved.put("hashes", self._ignored, self._hashes)
            self._has_new = False

    def _hash(self, full: str) -> Hash | None:
        try:
            if os.path.isdir(full):
                _, meta, obj = build(
                    self._cache, full, self._repo.fs, "md5", dry_run=True, ignore=self._repo.dvcignore
                )
                return as_hash(meta, obj.hash_info)
            meta, info = hash_file(full, self._repo.fs, "md5", self._cache.state)
        except FileNotFoundError:
            return None
        return as_hash(meta, info)

    def of_folder(self, folder: str, members: Mapping[str, Hash]) -> Hash | None:
        """The hash a folder has when it holds exactly these outputs; None if the cache lacks a listing it takes."""
        tree, size = Tree(), 0
        for path, known in members.items():
            relative = PurePosixPath(path).relative_to(folder).parts
            info = HashInfo("md5", known["md5"])
            size += known.get("size", 0)
            if not info.isdir:
                tree.add(relative, Meta(size=known.get("size")), info)
                continue
            listing = read_listing(self._cache, info.value)
            if listing is None:
                return None
            for key, meta, member in listing:
                tree.add((*relative, *key), meta, member)
        tree.digest()
        return as_hash(Meta(size=size, nfiles=len(tree), isdir=True), tree.hash_info)

    def set_time(self, path: str, stamp: float) -> None:
        """Set a file's modification time without DVC having to hash it again."""
        full = os.path.join(self._root, path)
        _, known = self._repo.state.get(full, self._repo.fs)
        os.utime(full, (stamp, stamp))
        if known:
            self._repo.state.save(full, self._repo.fs, known)

    def is_ignored(self, path: str) -> bool:
        """Whether .dvcignore leaves a file out of hashes."""
        return self._repo.dvcignore.is_ignored_file(str(self._root / path))
