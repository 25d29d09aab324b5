"""Whether a model's files are those that were written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stacktune.errors import DataError


def digests_of(folder: Path) -> dict[str, str]:
    """Return the blake2b digest of every file below `folder`, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _digest(path) for path in files}


def check_digests(folder: Path, expected: Mapping[str, str]) -> None:
    """Raise DataError, naming a file, unless the files below `folder` are those that `digests_of` saw."""
    found = digests_of(folder)
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            fate = "is missing" if name not in found else "was added" if name not in expected else "was changed"
            raise DataError(
                f"the model in {str(folder.parent)!r} is not as it was written: {folder.name}/{name} {fate}. "
                "Take it from where it came from once more; it is not loaded."
            )


def digest_of(said: Mapping[str, Any]) -> str:
    """Return the digest of what goes through JSON, whatever the order of its keys."""
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
