"""Puts the package `stacktune` together.

It is made from the folders of the repository. The code lies in `pipeline/` and `search_spaces/`, names that a user's
own files may have. So it is imported under one name of its own everywhere: `pipeline/` is the package `stacktune`, and
`search_spaces/` is `stacktune.search_spaces`. pip installs it so; what leaves the machine is put together here; and a
process that is to have this code, whatever its Python would find, is given SHIM first on its path.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

# A checkout's own folder where the install is editable.
HERE = Path(__file__).resolve().parent
# Inside the package where it is installed, beside it in a checkout.
SEARCH_SPACES = next(found for found in (HERE / "search_spaces", HERE.parent / "search_spaces") if found.is_dir())
# A folder in which `stacktune` alone is found: this one.
SHIM = HERE / "shim"


def copy_package(into: Path) -> Path:
    """Copy the package into `into`/stacktune; return that folder."""
    package = into / "stacktune"
    for source, target in ((HERE, package), (SEARCH_SPACES, package / "search_spaces")):
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.md"), dirs_exist_ok=True)
    return package


def is_this_code(package: Path) -> bool:
    """Return whether a folder holds this running code.

    The folder is one that `copy_package` made.
    """
    if package.resolve() == HERE:
        return True
    here = dict(_code(HERE)) | {f"search_spaces/{name}": code for name, code in _code(SEARCH_SPACES)}
    return dict(_code(package)) == here


def _code(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*.py"):
        yield path.relative_to(folder).as_posix(), path.read_bytes()
