"""Finds the file system of a path or URI.

It is this machine's or an object store's.
"""

from __future__ import annotations

from pyarrow import fs

from stacktune.errors import DataError
from stacktune.places import expanded
from stacktune.storage.uris import first_line, keep_secret, names_place, without_secrets

# Google's client would try for fifteen minutes; to S3 a small file goes by one request instead of three.
_GCS_OPTION, _S3_OPTION = "retry_limit_seconds=10", "allow_delayed_open=true"
_OPTIONS = {"gs": _GCS_OPTION, "gcs": _GCS_OPTION, "s3": _S3_OPTION}


def resolve(uri: str) -> tuple[fs.FileSystem, str]:
    """Return a path's or URI's filesystem, and path there.

    Raises DataError for a URI that pyarrow cannot follow: no such scheme, or no way to the store.
    """
    keep_secret(uri)
    if "://" not in uri:
        return fs.LocalFileSystem(), expanded(uri).absolute().as_posix()
    if not names_place(uri):
        raise DataError(f"{without_secrets(uri)!r} names no place: give e.g. s3://BUCKET/FOLDER.")
    option = _OPTIONS.get(uri.partition("://")[0], "")
    if option.partition("=")[0] not in uri:
        uri += f"{'&' if '?' in uri else '?'}{option}"
    try:
        return fs.FileSystem.from_uri(uri)
    except (ValueError, OSError) as error:
        raise DataError(
            f"{without_secrets(uri)!r} cannot be reached: {first_line(error)}. "
            "Give a path, or a URI that begins with s3://, gs:// or file://."
        ) from None
