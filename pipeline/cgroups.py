"""Reads what Linux's control groups allow this process.

Containers and batch systems are made of these groups. A limit may stand at every level from the process's own group up.
Libraries that count cores (loky, Ray) look at the topmost folder alone, which holds a container's limit, but not that
of systemd, of Slurm or of a group inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PROC = Path("/proc/self")
_OCTAL = re.compile(r"\\(\d{3})")


@dataclass(frozen=True)
class MemoryGroup:
    """One level's memory.

    used: without pages of files that the kernel drops before it lets a process wait.
    """

    limit: int
    used: int


@dataclass(frozen=True)
class _Mount:
    """A visible hierarchy of groups, or part of one.

    root: the group that lies at `point`.
    """

    point: Path
    root: PurePosixPath
    controllers: frozenset[str] | None

    def levels(self, group: PurePosixPath) -> list[Path]:
        """Return the visible folders from the group up.

        They are those of the group and of the ones above it, the highest last.
        """
        if ".." in group.parts or not group.is_relative_to(self.root):
            return [self.point]  # seen from within another namespace: what lies here is above us
        inside = self.point / group.relative_to(self.root)
        return [inside, *(folder for folder in inside.parents if folder.is_relative_to(self.point))]


def cpu_quota(proc: Path = PROC) -> float | None:
    """Return how many cores' time the process may take.

    It is 0.5 for half of one, and None where nothing limits it.
    """
    quotas = (_quota(folder) for folder in _levels("cpu", proc))
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_groups(proc: Path = PROC) -> list[MemoryGroup]:
    """Return the memory of each level that limits it."""
    groups = (_memory_group(folder) for folder in _levels("memory", proc))
    return [group for group in groups if group is not None]


def n_killed(proc: Path = PROC) -> int:
    """Return how many processes full memory has ended.

    The kernel ended them because the process's group, or one in it, was full.
    """
    for folder in _levels("memory", proc):
        for name in ("memory.events", "memory.oom_control"):
            counts = _table(folder / name)
            if "oom_kill" in counts:
                return counts["oom_kill"]
    return 0


def _quota(folder: Path) -> float | None:
    """Return the quota of one level.

    Version 2 writes `max`, and version 1 a negative number, where there is none.
    """
    words = _words(folder / "cpu.max")
    words = words or _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
    if len(words) != 2 or not all(word.isdigit() for word in words) or not int(words[1]):
        return None
    return int(words[0]) / int(words[1])


def _memory_group(folder: Path) -> MemoryGroup | None:
    """Return one level's limit and use.

    At version 2's `high` processes are held up, which is no better than an end.
    """
    stat = _table(folder / "memory.stat")
    words = [_words(folder / name) for name in ("memory.max", "memory.high", "memory.limit_in_bytes")]
    limits = [int(limit[0]) for limit in words if limit and limit[0].isdigit()]
    limits += [stat[name] for name in ("hierarchical_memory_limit",) if name in stat]  # also of levels out of sight
    used = _words(folder / "memory.current") or _words(folder / "memory.usage_in_bytes")
    if not limits or not used:
        return None
    return MemoryGroup(min(limits), max(0, int(used[0]) - _reclaimable(stat)))


def _reclaimable(stat: dict[str, int]) -> int:
    """Return the bytes of files' pages not mapped.

    Mapped ones are such as libraries' code. `MemAvailable` counts in the same way.
    """
    inactive, active, mapped = (
        stat.get(f"total_{old}", stat.get(new, 0))
        for old, new in (
            ("inactive_file", "inactive_file"),
            ("active_file", "active_file"),
            ("mapped_file", "file_mapped"),
        )
    )
    return inactive + max(0, active - mapped)


def _levels(controller: str, proc: Path) -> Iterator[Path]:
    """Yield the folders of the process's groups, upwards.

    Each comes before the one above it.
    """
    with suppress(OSError):
        mounts = _mounts((proc / "mountinfo").read_text())
        for line in (proc / "cgroup").read_text().splitlines():
            number, names, group = line.split(":", 2)
            is_second = number == "0" and not names
            if not is_second and controller not in names.split(","):
                continue
            for mount in mounts:
                if mount.controllers is None if is_second else controller in (mount.controllers or ()):
                    yield from mount.levels(PurePosixPath(group))


def _mounts(mountinfo: str) -> list[_Mount]:
    """Return the mounts of groups that are visible.

    No other mount hides them.

    controllers: None for version 2.
    """
    mounts = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        root, point = (_OCTAL.sub(lambda code: chr(int(code[1], 8)), word) for word in before.split()[3:5])
        kind, *_, options = after.split()
        controllers = frozenset(options.split(",")) if kind == "cgroup" else None
        mounts[point] = _Mount(Path(point), PurePosixPath(root), controllers) if kind.startswith("cgroup") else None
    return [mount for mount in mounts.values() if mount]


def _words(path: Path) -> list[str]:
    """Return the words of a file.

    They are None where it is not to be read.
    """
    try:
        return path.read_text().split()
    except OSError:
        return []


def _table(path: Path) -> dict[str, int]:
    """Return a file's names and their numbers.

    It has one a line.
    """
    words = _words(path)
    return {name: int(number) for name, number in zip(words[::2], words[1::2], strict=False) if number.isdigit()}
