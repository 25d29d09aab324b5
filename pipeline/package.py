"""The package `stacktune`, put together from the folders of the repository.

The code lies in `pipeline/` and `search_spaces/`, names that a user's own files may have. So it is imported under one
name of its own everywhere: `pipeline/` is the package `stacktune`, and `search_spaces/` is `stacktune.search_spaces`.
pip installs it so; what leaves the machine, and a checkout that was not installed, is put together here.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def copy_package(into: Path) -> Path:
    """Copy the package into `into`/stacktune; return that folder."""
    package = into / "stacktune"
    for source, target in ((_HERE, package), (_search_spaces(), package / "search_spaces")):
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    return package


def link_package(into: Path) -> Path:
    """Make `into`/stacktune of links to the code, whose compiled files stay of use; return that folder."""
    package = into / "stacktune"
    package.mkdir(parents=True)
    for source in (*_HERE.iterdir(), _search_spaces()):
        (package / source.name).symlink_to(source)
    return package


def _search_spaces() -> Path:
    """Return the folder of the spaces: inside the package where it is installed, beside it in a checkout."""
    inside, beside = _HERE / "search_spaces", _HERE.parent / "search_spaces"
    if inside.is_dir():
        return inside
    if beside.is_dir():
        return beside
    return Path(find_spec("stacktune.search_spaces").origin).parent
