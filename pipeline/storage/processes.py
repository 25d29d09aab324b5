"""Names processes, to tell which still live.

Another process on the same machine can tell that for sure.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


def this_process() -> dict[str, Any]:
    """Return where and since when this process runs.

    These are plain values.

    boot, space: this start of the machine and the space of its process ids, "" where the system does not say.
    """
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "boot": _boot(), "space": _space(), "began": _began(pid)}


def is_alive(process: Mapping[str, Any]) -> bool | None:
    """Return whether a process still lives.

    It is what `this_process` returned somewhere. The answer is None where that cannot be known here.
    """
    is_here = bool(_boot()) and (process.get("boot"), process.get("space")) == (_boot(), _space())
    if not is_here or not isinstance(process.get("pid"), int):
        return None
    return _began(process["pid"]) is not None and _began(process["pid"]) == process.get("began")


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _space() -> str:
    try:
        return os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return ""


def _began(pid: int) -> int | None:
    """Return when a process began, or None.

    It is in ticks since the machine did. It is None where there is no such process or it only waits to go.
    """
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
