"""`stacktune convert` writes a CSV table as Parquet."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

from stacktune.data.csv_chunks import types_of, write_parquet
from stacktune.data.files import find_files, size_in_bytes
from stacktune.data.read import use_cores_allowed
from stacktune.errors import ConfigError, DataError
from stacktune.places import check_place
from stacktune.progress import BYTES, progress
from stacktune.runs.predict import refuse_own_table
from stacktune.stop import interruptible
from stacktune.storage.atomic import replacing
from stacktune.storage.uris import without_secrets
from stacktune.terminal import remark
from stacktune.text import count, size

ENDING = ".parquet"


def convert(data: str, output: str, overwrite: bool, keep: Collection[str], say: Callable[[str], None]) -> None:
    """Write CSV files' rows to one of Parquet.

    The file appears whole or not at all. It is said what was guessed, and what to type next.

    data: a file, a folder of them or a URI, as `run` reads it. keep: columns that are not left out, though they number
    the rows.

    Raises:
        ConfigError: the output cannot be written, or is there. DataError: the table is no CSV, or cannot be read.
    """
    use_cores_allowed()
    path = _checked_output(data, output, overwrite)
    files = find_files(data)
    if not files.is_csv:
        raise DataError(
            f"{without_secrets(data)!r} is no CSV: convert reads files that end in .csv, .tsv, .csv.gz or .tsv.gz. "
            "Parquet is read by every command as it is."
        )
    uri, n_bytes = without_secrets(data), size_in_bytes(files)
    is_compressed = any(one.lower().endswith(".gz") for one in files.paths)  # nobody knows how much text is in them
    with interruptible(), replacing(path) as aside:
        with progress("finding types", None if is_compressed else n_bytes, BYTES) as seen:
            types = types_of(uri, files, keep, seen)
        if not types.n_rows:
            raise DataError(f"the table {uri!r} has no rows.")
        with progress("writing", types.n_rows) as written:
            n_missing, rounded = write_parquet(types, files, str(aside), written)
    for note in (*types.notes, *rounded):
        remark(f"Note: {note}")
    if n_missing:
        remark(f"Note: {count(n_missing, 'value')} missing: empty, or spelled as NA, null and the like")
    kinds = ", ".join(count(n, kind) for kind, n in Counter(types.kinds).most_common())
    say(f"{count(types.n_rows, 'row')} in {path}, {size(path.stat().st_size)} of {size(n_bytes)}")
    say(f"columns: {kinds}")
    say(f"next: {shlex.join(['stacktune', 'describe', str(path)])}")


def _checked_output(data: str, output: str, overwrite: bool) -> Path:
    path = Path(output)
    if path.suffix.lower() != ENDING:
        raise ConfigError(f"the table is written to a file that ends in {ENDING}, but got {output!r}.")
    refuse_own_table(data, output)
    if path.is_dir():
        raise ConfigError(f"{output!r} is a folder: name the file to write in it, e.g. {output}/table{ENDING}.")
    if path.exists() and not overwrite:
        raise ConfigError(f"{output!r} is there already: --overwrite replaces it.")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {str(path.parent)!r} to write {path.name!r} in: make it first.")
    check_place(path, "the file", "Name one that can.")
    return path
