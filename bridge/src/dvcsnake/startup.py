"""Has plain `dvc pull FILE` load the stage of FILE alone. Python imports this whenever it starts: `dvcsnake.pth`.

DVC has no plugins. So one of its modules is changed, right after it was loaded: its function that collects targets asks
`dvc_api.index_of` first. Every process of the environment comes by here, so nothing else is imported before that.
"""

import sys

CHANGED = "dvc.repo.index"


class _Finder:
    """A finder of modules that finds `CHANGED` alone, where Python finds it."""

    def find_spec(self, name: str, path=None, target=None):
        """The module's place, None for every other one; asked once, as DVC is loaded once."""
        if name != CHANGED:
            return None
        from functools import partial
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec and spec.loader:
            spec.loader.exec_module = partial(_load, spec.loader.exec_module)
        return spec


def _load(load, module) -> None:
    """Load the module, and replace its function."""
    load(module)
    usual = module.index_from_targets

    def index_from_targets(repo, targets=None, **options):
        from dvcsnake.dvc_api import index_of

        return index_of(repo, targets, options) or usual(repo, targets, **options)

    module.index_from_targets = index_from_targets


sys.meta_path.insert(0, _Finder())
