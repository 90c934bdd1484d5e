"""Remotes: objects and entries of the run cache, from and to them."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo

from dvcsnake.dvc_api.files import md5_of
from dvcsnake.dvc_api.listings import read_listing
from dvcsnake.dvc_api.objects import Objects
from dvcsnake.dvc_api.runs import Runs
from dvcsnake.errors import UserError
from dvcsnake.whole_files import write_whole


def unverified(repo: Repo) -> list[str]:
    """The names of the remotes that plain `dvc pull` trusts without a look."""
    return [name for name, remote in repo.config["remote"].items() if not remote.get("verify")]


class Remotes:
    """The remotes of a repository.

    Args:
        repo: DVC's repository.
        objects: Its cache.
        runs: Its run cache.
        say: Takes one line of text for the user.
    """

    def __init__(self, repo: Repo, objects: Objects, runs: Runs, say: Callable[[str], None]):
        self._repo, self._objects, self._runs, self._say = repo, objects, runs, say
        self._root, self._cache = Path(repo.root_dir), repo.cache.local
        self._unverified = unverified(repo)

    @property
    def default(self) -> str | None:
        """The name of the default remote."""
        return self._repo.config["core"].get("remote")

    @property
    def names(self) -> list[str]:
        """The names of all remotes, the default one first."""
        return sorted(self._repo.config["remote"], key=lambda name: name != self.default)

    def verify(self) -> None:
        """Have plain `dvc pull` check what the remotes of this clone send, by settings in .dvc/config.local."""
        if self._unverified:
            with self._repo.config.edit("local") as config:
                for name in self._unverified:
                    config.setdefault("remote", {}).setdefault(name, {})["verify"] = True
            self._say(
                f"dvc: `dvc pull` is now to verify what comes from {', '.join(self._unverified)} (in .dvc/config.local)"
            )

    def open(self, name: str | None = None) -> None:
        """Raise an exception if a remote cannot be reached."""
        remote = self._repo.cloud.get_remote(name)
        if not remote.fs.exists(remote.path) and remote.fs.protocol == "local":
            raise FileNotFoundError(f"{os.path.relpath(remote.path, self._root)} does not exist")

    def offered(
        self, outs: Iterable[Mapping[str, Any]], remote: str | None = None
    ) -> list[Mapping[str, Any]]:
        """The outputs that a remote has; of a folder it asks for the listing, which DVC copies last."""
        store = self._repo.cloud.get_remote_odb(remote)
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
        listings = [read_listing(self._cache, info.value) for info in infos if info.isdir]
        files = {info for info in infos if not info.isdir}
        self._pull(
            files.union(*({info for _, _, info in listing} for listing in listings if listing)), remote
        )

    def _pull(self, objects: set[HashInfo], remote: str | None) -> None:
        missing = {info for info in objects if not self._cache.exists(info.value)}
        if not missing:
            return
        store = self._repo.cloud.get_remote_odb(remote)
        store.verify = False  # DVC would drop what is wrong without a word
        is_local = store.fs.protocol == "local"
        there = {info for info in missing if is_local and os.path.exists(store.oid_to_path(info.value))}
        self._repo.cloud.pull(missing, odb=store)
        arrived = {info: self._cache.oid_to_path(info.value) for info in missing}
        arrived = {info: path for info, path in arrived.items() if os.path.exists(path)}
        damaged = [path for info, path in arrived.items() if md5_of(path) != info.value.removesuffix(".dir")]
        for path in damaged:
            os.unlink(path)
        num_damaged = len(damaged) + len(
            there - arrived.keys()
        )  # the latter DVC has deleted as it asked for them
        if num_damaged:
            count = f"{num_damaged} objects" if num_damaged > 1 else "1 object"
            self._say(f"dvc: {count} of the remote {remote or self.default} are damaged and not used")

    def fetch_runs(self, keys: Iterable[str], remote: str | None = None) -> int:
        """Copy what a remote's run cache has recorded under some keys; returns the number of new records."""
        store = self._repo.cloud.get_remote_odb(remote, "fetch --run-cache", hash_name="md5-dos2unix")
        copied = refused = 0
        for key in keys:
            folder = store.fs.join(store.path, "runs", key[:2], key)
            try:
                found = store.fs.ls(folder, detail=False)
            except FileNotFoundError:
                continue
            for source in found:
                target = Path(self._runs.folder, key[:2], key, store.fs.name(source))
                if not re.fullmatch("[0-9a-f]{64}", target.name) or target.exists():
                    continue
                text = store.fs.cat_file(source)
                if self._runs.read(text, key, target.name) is None:
                    refused += 1
                    continue
                write_whole(target, text, survives_power_cut=True)
                copied += 1
        if refused:
            self._say(
                f"dvc: {refused} records of the remote {remote or self.default} are not what their names say"
            )
        return copied

    def push(self, remote: str | None = None) -> None:
        """Do what `dvc push --run-cache` does."""
        self._repo.push(remote=remote, run_cache=True)

    def push_outputs(self, outs: Iterable[Mapping[str, Any]], remote: str | None = None) -> int:
        """Copy outputs that plain `dvc push` leaves here to a remote; returns how many objects were copied."""
        objects: set[HashInfo] = set()
        for out in outs:
            objects.update(self._objects.of(HashInfo("md5", out["md5"])))
        result = self._repo.cloud.push(objects, remote=remote) if objects else None
        if result and result.failed:
            raise UserError(
                f"{len(result.failed)} objects could not be copied to the remote {remote or self.default}"
            )
        return len(result.transferred) if result else 0
