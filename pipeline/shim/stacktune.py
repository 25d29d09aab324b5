"""Stands in for `stacktune` where Python finds none.

It does so, too, where Python would find another one: this folder is then first on its path. Nothing else can be
imported from the folder, so that nothing but our own name is found there.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def _load(name: str, folder: Path) -> None:
    """Import the package in `folder` as `name`."""
    spec = spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no package in {folder}")
    sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


def _load_all() -> None:
    """Put the package into this module's place.

    It is the one that this file lies in; the spaces go below it.
    """
    _load("stacktune", Path(__file__).resolve().parent.parent)
    from stacktune.package import SEARCH_SPACES

    _load("stacktune.search_spaces", SEARCH_SPACES)
    setattr(sys.modules["stacktune"], "search_spaces", sys.modules["stacktune.search_spaces"])  # noqa: B010 — as a type


_load_all()
