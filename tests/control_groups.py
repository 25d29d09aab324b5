"""Processes in a control group of a test's own, as docker, systemd and Slurm make them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

TOP = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
NEEDS = "needs root and control groups that can be written"
ENTER = 'for group in $GROUPS_TO_ENTER; do echo $$ > "$group/cgroup.procs" || exit 1; done; exec "$@"'
CONTAIN = (
    'for group in $GROUPS_TO_ENTER; do mount --bind "$group" "${group%/*}" || exit 1; done; '
    'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
)


@dataclass(frozen=True)
class Group:
    """A group of each kind that is in use, or one for all kinds."""

    folders: list[Path]

    @property
    def command(self) -> list[str]:
        """The beginning of a command that runs in the group."""
        return ["env", f"GROUPS_TO_ENTER={' '.join(map(str, self.folders))}", "sh", "-c", ENTER, "sh"]

    @property
    def container(self) -> list[str]:
        """The same, where the group looks like the whole machine's, and shared memory has docker's size."""
        if shutil.which("unshare") is None:
            pytest.skip(NEEDS)
        return [*self.command, "unshare", "--mount", "sh", "-c", CONTAIN, "sh"]

    @property
    def used(self) -> int:
        """The bytes that are taken, pages of files included."""
        names = ("memory.current", "memory.usage_in_bytes")
        found = (folder / name for folder in self.folders for name in names)
        return next(int(path.read_text()) for path in found if path.exists())


@contextmanager
def control_group(quota: float | None = None, n_bytes: int | None = None) -> Iterator[Group]:
    """Make a group with a quota of cores and a limit of memory; end what is in it and remove it."""
    groups = _made(f"stacktune-test-{uuid4().hex[:8]}")
    try:
        for group in groups:
            _limit(group, quota, n_bytes)
        yield Group(groups)
    finally:
        for group in groups:
            _remove(group)


def _made(name: str) -> list[Path]:
    is_second = (TOP / "cgroup.controllers").exists()
    groups = [TOP / name] if is_second else [TOP / "cpu" / name, TOP / "memory" / name]
    try:
        if is_second:
            (TOP / "cgroup.subtree_control").write_text("+cpu +memory")
        for group in groups:
            group.mkdir()
    except OSError:
        for group in groups:
            _remove(group)
        pytest.skip(NEEDS)
    return groups


def _limit(group: Path, quota: float | None, n_bytes: int | None) -> None:
    us = int((quota or 0) * PERIOD_US)
    settings = {
        "cpu.max": f"{us} {PERIOD_US}" if quota else None,
        "cpu.cfs_quota_us": str(us) if quota else None,
        "memory.max": str(n_bytes) if n_bytes else None,
        "memory.limit_in_bytes": str(n_bytes) if n_bytes else None,
    }
    for name, value in settings.items():
        if value and (group / name).exists():
            (group / name).write_text(value)


def _remove(group: Path) -> None:
    """Remove a group, once the processes in it are gone."""
    started = time.monotonic()
    while group.exists() and time.monotonic() - started < 60:
        for line in (group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(line), 9)
        with suppress(OSError):
            group.rmdir()
        time.sleep(0.05)


def output_of(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
