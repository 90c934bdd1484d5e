"""A DVC repository as the bridge needs it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.dvcfile import load_file
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.serialize import load_yaml

from dvcsnake.dvc_api.definitions import definitions, named_faults
from dvcsnake.dvc_api.files import digest, saved_in
from dvcsnake.dvc_api.hashes import Hashes
from dvcsnake.dvc_api.lock import LockFile
from dvcsnake.dvc_api.objects import Objects
from dvcsnake.dvc_api.remotes import Remotes, unverified
from dvcsnake.dvc_api.runs import Runs
from dvcsnake.errors import UserError
from dvcsnake.hooks import load_hooks

# What DVC and the system raise when something cannot be read, written or reached.
FAILURES = (DvcException, OSError)


class Repository:
    """A DVC repository as the bridge needs it. Nothing here takes DVC's lock, except `locked`.

    Jobs work without the lock because the cache is content-addressed and its writes are renames.

    Args:
        root: the folder that holds dvc.yaml.
        say: takes one line of text for the user.

    Attributes:
        hooks: What the project says of itself.
        saved: What is kept between processes.
        hashes: Hashes of what lies in the workspace.
        objects: The cache.
        runs: The run cache.
        lock_file: dvc.lock.
        remotes: The remotes.
    """

    def __init__(self, root: str | Path = ".", say: Callable[[str], None] = print):
        for name in ("dvc", "dvc_data", "dvc_objects"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what they have to say is in the exceptions
        self.repo = Repo(str(root), config={"core": {"no_scm": True}}, _wait_for_lock=True)
        self.root = Path(self.repo.root_dir)
        self.hooks = load_hooks(self.root)
        self.saved = saved_in(self.root)
        self.hashes = Hashes(self.repo, self.saved, trusted=not unverified(self.repo))
        self.objects = Objects(self.repo, self.hashes, say)
        self.runs = Runs(self.repo, say)
        self.lock_file = LockFile(self.repo, self.saved, self.runs, say)
        self.remotes = Remotes(self.repo, self.objects, self.runs, say)
        if "hardlink" in self.repo.cache.local.cache_types:
            # equal outputs would share one inode, hence one modification time, and be write-protected
            raise UserError("DVC's cache.type is hardlink, but must be `dvc config cache.type reflink,copy`")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold DVC's repository lock; waits while a DVC command holds it."""
        with self.repo.lock:
            yield

    def definitions(self) -> list[dict[str, Any]]:
        """dvc.yaml's stages as written, and resolved by stage name."""
        self.repo._reset()
        return definitions(self.repo, self.root, self.saved)

    def definition(self, name: str) -> dict[str, Any]:
        """One resolved stage of dvc.yaml."""
        with named_faults():
            resolver = load_file(self.repo, str(self.root / "dvc.yaml")).resolver
            if not resolver.has_key(name):
                raise UserError(f"dvc.yaml has no stage {name}")
            return resolver.resolve_one(name)[name]

    def params(self) -> dict[str, Any]:
        """The parameter file, read as DVC reads it."""
        path = self.root / "params.yaml"
        with named_faults():
            return self.saved.get(
                "params", digest(path), lambda: load_yaml(str(path)) if path.exists() else {}
            )
