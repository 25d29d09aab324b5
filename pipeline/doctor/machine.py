"""Looks at the machine: Python, packages, cores, memory, disks."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from stacktune.data.memory import BYTES_ANYHOW, memory_here
from stacktune.doctor.finding import OK, PROBLEM, WARNING, Finding
from stacktune.host import SHARED_MEMORY, cores_here, shared_memory_free
from stacktune.package import HERE
from stacktune.search.cluster.start import object_store_bytes
from stacktune.storage.run_folder import DEFAULT_PARENT
from stacktune.text import size

LEAST_DISK_BYTES, ENOUGH_DISK_BYTES = 200_000_000, 2_000_000_000
# Ray opens a few for each worker, and for each of its own processes.
ENOUGH_FILES = 1_024
_EXTRAS = {"catboost": "catboost", "deltalake": "delta", "onnx": "onnx", "onnxruntime": "onnx"}
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
_HERE = ("127.0.0.1", "localhost")


def python() -> Sequence[Finding]:
    """Return which Python and stacktune there are."""
    said = f"{platform.python_version()} at {sys.executable}; stacktune {version('stacktune')}"
    return [Finding(OK, "Python", said)]


def working_folder(package: Path = HERE) -> Sequence[Finding]:
    """Return what Python takes for stacktune here.

    A script finds what lies beside it first, and a clone without an `__init__.py` before an editable install: none of
    our code runs then, which could say so.

    package: the folder of our code, which an editable install leaves under another name.
    """
    beside = Path.cwd() / "stacktune"
    module = beside.with_suffix(".py")
    is_taken = (beside / "__init__.py").is_file() or (beside.is_dir() and package.name != beside.name)
    found = module if module.is_file() else beside if is_taken and beside.resolve() != package else None
    if found is None:
        return []
    said = f"a script in this folder imports {found} in the place of the installed stacktune"
    return [Finding(WARNING, "this folder", said, f"run it from another folder, or rename {found.name}")]


def packages(asked_for: Sequence[str] | None = None) -> Sequence[Finding]:
    """Return versions that are wrong, else all of them.

    asked_for: requirements as pip reads them; None for those of stacktune.
    """
    from packaging.requirements import Requirement

    findings, fine = [], []
    for wanted in map(Requirement, (requires("stacktune") or ()) if asked_for is None else asked_for):
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        mend = f"pip install '{wanted.name}{wanted.specifier}'"
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            findings.append(Finding(PROBLEM, "packages", f"{wanted.name} is not installed", mend))
            continue
        if wanted.specifier.contains(found, prereleases=True):
            fine.append(f"{wanted.name} {found}")
        else:
            said = f"{wanted.name} {found} is installed, and {wanted.specifier} is needed"
            findings.append(Finding(PROBLEM, "packages", said, mend))
    return [*findings, Finding(OK, "packages", ", ".join(fine)), *_optional()]


def _optional() -> Sequence[Finding]:
    findings = []
    for name, extra in _EXTRAS.items():
        try:
            findings.append(Finding(OK, "packages", f"{name} {version(name)} (optional)"))
        except PackageNotFoundError:
            mend = f"pip install 'stacktune[{extra}]' adds it"
            findings.append(Finding(OK, "packages", f"{name} is not installed, which is optional", mend))
    return findings


def cores() -> Sequence[Finding]:
    """Return how many cores a run may use."""
    found = cores_here()
    return [Finding(OK, "cores", f"{found.n} to use{found.note}")]


def memory() -> Sequence[Finding]:
    """Return how much memory a run may take."""
    found = memory_here()
    said = f"{size(found.n_free)} free of {size(found.n_bytes)}"
    said += f" ({found.note})" if found.note else ""
    if found.n_free >= BYTES_ANYHOW:
        return [Finding(OK, "memory", said)]
    mend = f"a run takes {size(BYTES_ANYHOW)} on the smallest table: end other programs, or raise the limit"
    return [Finding(WARNING, "memory", said, mend)]


def shared_memory() -> Sequence[Finding]:
    """Return whether a shared table has room in memory."""
    free = shared_memory_free()
    if free is None:
        return [Finding(OK, str(SHARED_MEMORY), "not there: tables that trials share lie on the disk")]
    wanted = object_store_bytes(memory_here(), None)
    said = f"{size(free)} free"
    if free >= wanted:
        return [Finding(OK, str(SHARED_MEMORY), said)]
    said += ": the table that trials share lies on the disk, which is slower"
    return [Finding(WARNING, str(SHARED_MEMORY), said, "docker's --shm-size 1g gives it room")]


def disks() -> Sequence[Finding]:
    """Return how much room there is for files."""
    places = (("results", Path(DEFAULT_PARENT)), ("TMPDIR", Path(tempfile.gettempdir())))
    given, taken = os.environ.get("TMPDIR"), tempfile.gettempdir()
    unusable = []
    if given and Path(given).absolute() != Path(taken).absolute():
        said = f"TMPDIR={given} cannot be written, so that {taken} is taken"
        unusable.append(Finding(WARNING, "disk (TMPDIR)", said, "name a folder that can be, or unset it"))
    return [*unusable, *(_disk(what, place) for what, place in places)]


def _disk(what: str, place: Path) -> Finding:
    place = place.absolute()
    folder = next(one for one in (place, *place.parents) if one.is_dir())
    about = f"disk ({what})"
    if not os.access(folder, os.W_OK):
        return Finding(PROBLEM, about, f"no right to write to {folder}", _elsewhere(what))
    free = shutil.disk_usage(folder).free
    said = f"{size(free)} free in {folder}"
    if free >= ENOUGH_DISK_BYTES:
        return Finding(OK, about, said)
    state = PROBLEM if free < LEAST_DISK_BYTES else WARNING
    return Finding(state, about, said, f"make room, or {_elsewhere(what)}")


def _elsewhere(what: str) -> str:
    return "name another --output" if what == "results" else "set TMPDIR to another folder"


def open_files() -> Sequence[Finding]:
    """Return how many files may be open at once."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    said = "any number" if limit == resource.RLIM_INFINITY else f"{limit:,} at once"
    if limit == resource.RLIM_INFINITY or limit >= ENOUGH_FILES:
        return [Finding(OK, "open files", said)]
    more = most if most == resource.RLIM_INFINITY or most > limit else ENOUGH_FILES
    return [Finding(WARNING, "open files", said, f"ulimit -n {ENOUGH_FILES if more < 0 else more}")]


def network() -> Sequence[Finding]:
    """Return whether programs of this machine can talk.

    Ray and MLflow do so by 127.0.0.1.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname(), 2.0):
            pass
    return [Finding(OK, "network", "127.0.0.1 can be listened to and reached"), *_proxies()]


def _proxies() -> Sequence[Finding]:
    given = {name for name in os.environ if name.lower() in _PROXIES and os.environ[name]}
    if not given:
        return []
    without = ",".join(os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY")).split(",")
    names = ", ".join(sorted(given))
    if "*" in without or any(place in without for place in _HERE):
        return [Finding(OK, "proxy", f"{names}, and not for this machine")]
    said = f"{names} may send what Ray and MLflow say on this machine elsewhere"
    return [Finding(WARNING, "proxy", said, f"export NO_PROXY={','.join(_HERE)} no_proxy={','.join(_HERE)}")]


def text() -> Sequence[Finding]:
    """Return whether what is shown can be."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    told = (os.environ.get("PYTHONIOENCODING") or os.environ.get("LC_ALL") or os.environ.get("LANG") or "unset").lower()
    if encoding == "utf8" and "ascii" not in told:
        return [Finding(OK, "text", f"is written as UTF-8; dates are read in UTC, whatever the time zone ({_zone()})")]
    return [Finding(WARNING, "text", f"is written as {encoding}: bars and signs look plain", "export LANG=C.UTF-8")]


def _zone() -> str:
    import time

    return time.tzname[0]
