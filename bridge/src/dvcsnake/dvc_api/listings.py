"""Listings of folders in the cache, and hashes as dvc.lock has them."""

import re
from typing import Any

from dvc_data.hashfile.db.local import LocalHashFileDB
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree

from dvcsnake.dvc_api.entries import Hash
from dvcsnake.dvc_api.files import md5_of


def read_listing(cache: LocalHashFileDB, md5: str) -> Tree | None:
    """The listing of a folder, if the cache has it; None, too, for a listing that is not what its name says.

    A listing from elsewhere may be made to write or read anywhere: its paths must stay in the folder, and its
    hashes must be hashes, as they name files in the cache.
    """
    try:
        if md5_of(cache.oid_to_path(md5)) != md5.removesuffix(".dir"):
            return None
        tree = Tree.load(cache, HashInfo("md5", md5), hash_name="md5")
    except Exception:  # whatever is wrong with the listing, it cannot be used
        return None
    return tree if all(map(_is_safe_member, tree)) else None


def _is_safe_member(member: tuple[tuple[str, ...], Any, HashInfo]) -> bool:
    """Whether a file of a listing lies within the folder and is named by a hash."""
    parts, _, info = member
    is_inside = all(part not in ("", ".", "..") and not set(part) & set("/\\\0") for part in parts)
    return bool(parts) and is_inside and re.fullmatch("[0-9a-f]{32}", info.value or "") is not None


def as_hash(meta: Meta, info: HashInfo) -> Hash:
    """A hash as dvc.lock writes it."""
    fields = meta.to_dict()
    fields.pop("isdir", None)
    return {"hash": "md5", "md5": info.value, **fields}
