"""Objects in the cache: outputs that are stored there, and put in place from there."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.build import build
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.transfer import transfer
from dvc_objects.errors import ObjectFormatError

from dvcsnake.dvc_api.entries import Hash
from dvcsnake.dvc_api.files import flush, remove
from dvcsnake.dvc_api.hashes import Hashes
from dvcsnake.dvc_api.listings import as_hash, read_listing
from dvcsnake.errors import UserError


class Objects:
    """Outputs in DVC's cache. It is content-addressed and its writes are renames, so no lock is needed.

    Args:
        repo: DVC's repository.
        hashes: Hashes of what lies in the workspace.
        say: Takes one line of text for the user.
    """

    def __init__(self, repo: Repo, hashes: Hashes, say: Callable[[str], None]):
        self._repo, self._hashes, self._say = repo, hashes, say
        self._root, self._cache = Path(repo.root_dir), repo.cache.local

    def _outputs(self, outs: Iterable[Mapping[str, Any]]) -> list[Any]:
        # DVC's own device for the run cache: a throw-away stage whose outputs are all cached, metrics included
        outs = list(outs)
        return self._repo.stage_cache._create_stage({"cmd": "none", "outs": outs}).outs if outs else []

    def is_cached(self, out: Mapping[str, Any]) -> bool:
        """Whether the cache holds all objects of an output, and a folder's listing stays within the folder."""
        if not out["md5"].endswith(".dir"):
            return self._has_whole(out["md5"])
        listing = read_listing(self._cache, out["md5"])
        return listing is not None and all(self._has_whole(info.value) for _, _, info in listing)

    def _has_whole(self, md5: str) -> bool:
        try:
            self._cache.check(md5)  # reads what is not write-protected
        except (FileNotFoundError, ObjectFormatError):
            return False
        return True

    def has(self, md5: str) -> bool:
        """Whether the cache holds a file, or the listing of a folder."""
        return os.path.exists(self._cache.oid_to_path(md5))

    def text(self, md5: str) -> str | None:
        """The text of a file in the cache, None if it is not there."""
        try:
            return Path(self._cache.oid_to_path(md5)).read_text()
        except OSError:
            return None

    def can_bring_back(self, path: str) -> bool:
        """Whether the cache holds the bytes of a file in the workspace."""
        found = self._hashes.of(path)
        return found is not None and self._cache.exists(found["md5"])

    def set_aside(self, path: str) -> None:
        """Move what lies in an output's place elsewhere, if it is not in the cache: it may be somebody's own."""
        full, number = Path(self._root, path), 1
        if not os.path.lexists(full) or self.can_bring_back(path):
            return
        aside = Path(self._root, ".dvc", "tmp", "dvcsnake", "set_aside")
        while (aside / str(number) / path).exists():
            number += 1
        place = aside / str(number) / path
        place.parent.mkdir(parents=True, exist_ok=True)
        full.rename(place)
        self._say(f"dvc: no stage made {path} as it was; it is now {place.relative_to(self._root)}")

    def store(self, path: str, link: bool = False) -> Hash:
        """Have an output of the workspace in the cache too.

        Args:
            path: the output.
            link: share the bytes with the cache by hard links instead of copying them.
        """
        full = os.path.join(self._root, path)
        staging, meta, obj = build(self._cache, full, self._repo.fs, "md5", ignore=self._repo.dvcignore)
        result = transfer(staging, self._cache, {obj.hash_info}, shallow=False, hardlink=link)
        if result.failed:
            raise UserError(
                f"{path} could not be stored in DVC's cache, {self._cache.path}; is the disk full?"
            )
        flush([self._cache.oid_to_path(info.value) for info in self.of(obj.hash_info)])
        return as_hash(meta, obj.hash_info)

    def of(self, info: HashInfo) -> list[HashInfo]:
        """An output's objects: its own, and those that its listing names."""
        listing = read_listing(self._cache, info.value) if info.isdir else None
        return [info, *(member for _, _, member in listing or ())]

    def restore(self, out: Mapping[str, Any], link: bool = False) -> bool:
        """Put an output in place from the cache, as a copy or as hard links.

        Copies are read again: a cache object that is not what its name says is thrown away instead.

        Returns:
            Whether the output is in place.
        """
        if not self.is_cached(out):
            return False
        usual = self._cache.cache_types
        self._cache.cache_types = ["hardlink", "copy"] if link else usual
        try:
            self._outputs([out])[0].checkout(force=True)
        except DvcException as error:
            raise UserError(
                f"{out['path']} could not be put in place from DVC's cache; is the disk full? ({type(error).__name__})"
            ) from None
        finally:
            self._cache.cache_types = usual
        return link or self._is_whole(out)

    def _is_whole(self, out: Mapping[str, Any]) -> bool:
        full = Path(self._root, out["path"])
        info = HashInfo("md5", out["md5"])
        files = [(full, info)]
        if info.isdir:
            files = [
                (full.joinpath(*key), member)
                for key, _, member in read_listing(self._cache, info.value) or ()
            ]
        wrong = [wanted for file, wanted in files if hash_file(str(file), self._repo.fs, "md5")[1] != wanted]
        for wanted in wrong:
            Path(self._cache.oid_to_path(wanted.value)).unlink(missing_ok=True)
        if wrong:
            remove(full)
        return not wrong

    def distrust(self, out: Mapping[str, Any]) -> None:
        """Throw away cache objects that were altered through the hard links of an output that is not as recorded.

        DVC takes write-protected objects for whole, and so would put the altered bytes back.
        """
        full = Path(self._root, out["path"])
        listing = read_listing(self._cache, out["md5"]) if full.is_dir() else None
        for key, _, info in listing or ():
            file, held = full.joinpath(*key), self._cache.oid_to_path(info.value)
            if file.exists() and os.path.exists(held) and file.samefile(held):
                _, found = hash_file(str(file), self._repo.fs, "md5", self._repo.state)
                if found != info:
                    os.unlink(held)
