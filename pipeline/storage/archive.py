"""Packs folders as one stream of bytes.

It is an uncompressed tar archive.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import BinaryIO


def pack(folder: Path, into: BinaryIO) -> None:
    """Write the files of `folder` to `into`.

    Raises OSError where they cannot be read, as when they vanish meanwhile.
    """
    with tarfile.open(fileobj=into, mode="w") as archive:
        archive.add(folder, arcname=".")


def unpack(packed: BinaryIO, folder: Path) -> None:
    """Write into `folder` what `pack` wrote.

    Nothing is written outside of it. Raises OSError where what was packed is not whole.
    """
    try:
        with tarfile.open(fileobj=packed, mode="r|") as archive:
            archive.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise OSError(f"an archive is not whole: {error}") from error
