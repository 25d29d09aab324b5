"""What is read of control groups, on trees as systemd, docker, Kubernetes and Slurm make them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacktune.cgroups import MemoryGroup, cpu_quota, memory_groups, n_killed

NO_LIMIT_V1 = "9223372036854771712"


class Tree:
    """A /proc/self and a /sys/fs/cgroup of our own."""

    def __init__(self, folder: Path):
        self.proc, self.top = folder / "proc", folder / "sys fs cgroup"
        self.proc.mkdir()
        self._mounts, self._groups = [], []

    def mount(self, point: str, kind: str, root: str = "/", controllers: str = "") -> None:
        where = str(self.top / point).replace(" ", r"\040")
        options = f"rw,{controllers}" if kind == "cgroup" else "rw,nsdelegate"
        self._mounts.append(f"33 31 0:29 {root} {where} rw,relatime shared:9 - {kind} {kind} {options}\n")
        (self.proc / "mountinfo").write_text("22 1 254:0 / / rw - ext4 /dev/vda rw\n" + "".join(self._mounts))

    def belong(self, *lines: str) -> None:
        (self.proc / "cgroup").write_text("".join(f"{line}\n" for line in lines))

    def group(self, folder: str, **files: object) -> None:
        (self.top / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (self.top / folder / name.replace("__", ".")).write_text(f"{text}\n")


@pytest.fixture
def tree(tmp_path) -> Tree:
    return Tree(tmp_path)


def v1(tree: Tree, root: str = "/") -> None:
    """Mount the hierarchies of version 1 as systemd does, `cpu` together with `cpuacct`."""
    tree.mount("cpu,cpuacct", "cgroup", root, "cpu,cpuacct")
    tree.mount("memory", "cgroup", root, "memory")
    tree.mount("cpuset", "cgroup", root, "cpuset")


def test_a_machine_without_groups_limits_nothing(tree):
    assert (cpu_quota(tree.proc), memory_groups(tree.proc), n_killed(tree.proc)) == (None, [], 0)
    tree.mount("", "cgroup2")
    tree.belong("0::/")
    assert (cpu_quota(tree.proc), memory_groups(tree.proc), n_killed(tree.proc)) == (None, [], 0)


@pytest.mark.parametrize("inside", ["", "/inner", "/inner/most"])
def test_version_1_at_every_level(tree, inside):
    """The quota stands at the slice, as systemd writes it, and the memory's limit at the service."""
    v1(tree)
    group = f"/user.slice/job.scope{inside}"
    tree.belong(f"4:memory:{group}", f"2:cpu,cpuacct:{group}", "1:name=systemd:/init.scope", "0::/init.scope")
    tree.group("cpu,cpuacct", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100000)
    tree.group("cpu,cpuacct/user.slice", cpu__cfs_quota_us=50000, cpu__cfs_period_us=100000)
    tree.group(f"cpu,cpuacct{group}", cpu__cfs_quota_us=150000, cpu__cfs_period_us=100000)
    tree.group("memory", memory__limit_in_bytes=NO_LIMIT_V1, memory__usage_in_bytes=8000)
    stat = "cache 900\ninactive_file 1\ntotal_inactive_file 300\ntotal_active_file 200\ntotal_mapped_file 50"
    tree.group(
        "memory/user.slice/job.scope",
        **{"memory__limit_in_bytes": 5000, "memory__usage_in_bytes": 1000, "memory__stat": stat},
    )
    assert cpu_quota(tree.proc) == 0.5
    assert memory_groups(tree.proc) == [MemoryGroup(5000, 550), MemoryGroup(int(NO_LIMIT_V1), 8000)]


def test_a_limit_above_what_is_to_be_seen_counts_in_version_1(tree):
    v1(tree, "/kubepods/pod1/abc")
    tree.belong("4:memory:/kubepods/pod1/abc")
    stat = "hierarchical_memory_limit 4000\ntotal_inactive_file 0"
    tree.group("memory", memory__limit_in_bytes=NO_LIMIT_V1, memory__usage_in_bytes=1, memory__stat=stat)
    assert memory_groups(tree.proc) == [MemoryGroup(4000, 1)]


@pytest.mark.parametrize("group", ["/docker/abc", "/kubepods/burstable/pod-1/abc", "/docker/out/kubepods/pod-1/abc"])
def test_version_1_in_a_container_without_a_namespace(tree, group):
    """The container's own group is mounted, and called by its name on the host."""
    v1(tree, group)
    tree.belong(f"4:memory:{group}", f"2:cpu,cpuacct:{group}")
    tree.group("cpu,cpuacct", cpu__cfs_quota_us=100000, cpu__cfs_period_us=100000)
    tree.group("memory", memory__limit_in_bytes=2000, memory__usage_in_bytes=10)
    assert cpu_quota(tree.proc) == 1
    assert memory_groups(tree.proc) == [MemoryGroup(2000, 10)]


def test_a_mount_that_another_hides_is_not_read(tree):
    """A container that was made by mounting over the host's groups."""
    v1(tree)
    v1(tree, "/docker/abc")
    tree.belong("2:cpu,cpuacct:/docker/abc")
    tree.group("cpu,cpuacct", cpu__cfs_quota_us=200000, cpu__cfs_period_us=100000)
    tree.group("cpu,cpuacct/docker/abc", cpu__cfs_quota_us=100000, cpu__cfs_period_us=100000)
    assert cpu_quota(tree.proc) == 2


def test_version_2_at_every_level(tree):
    tree.mount("", "cgroup2")
    tree.belong("0::/slurm/job_7/step_0")
    tree.group("", **{"memory__stat": "inactive_file 5"})
    tree.group("slurm", cpu__max="150000 100000", memory__max="max", memory__high="max", memory__current=9000)
    stat = "anon 7\nfile_mapped 10\ninactive_file 100\nactive_file 30"
    tree.group("slurm/job_7", cpu__max="max 100000", memory__max=6000, memory__current=1000, memory__stat=stat)
    tree.group("slurm/job_7/step_0", cpu__max="200000 100000", memory__high=5000, memory__max="max", memory__current=7)
    assert cpu_quota(tree.proc) == 1.5
    assert memory_groups(tree.proc) == [MemoryGroup(5000, 7), MemoryGroup(6000, 880)]


def test_version_2_in_a_container_with_a_namespace(tree):
    """Docker and Kubernetes: the container's group is the root."""
    tree.mount("", "cgroup2")
    tree.belong("0::/")
    tree.group("", cpu__max="25000 50000", memory__max=3000, memory__current=100, memory__events="oom 3\noom_kill 2")
    assert cpu_quota(tree.proc) == 0.5
    assert memory_groups(tree.proc) == [MemoryGroup(3000, 100)]
    assert n_killed(tree.proc) == 2


def test_a_hybrid_of_both_versions(tree):
    v1(tree)
    tree.mount("unified", "cgroup2")
    tree.belong("4:memory:/a", "3:cpuset:/", "2:cpu,cpuacct:/a", "0::/a:b")
    tree.group("cpu,cpuacct/a", cpu__cfs_quota_us=300000, cpu__cfs_period_us=100000)
    oom = "oom_kill_disable 0\nunder_oom 0\noom_kill 1"
    tree.group("memory/a", memory__limit_in_bytes=70, memory__usage_in_bytes=90, memory__oom_control=oom)
    tree.group("unified/a:b", cpu__max="200000 100000")
    assert cpu_quota(tree.proc) == 2
    assert memory_groups(tree.proc) == [MemoryGroup(70, 90)]
    assert n_killed(tree.proc) == 1


@pytest.mark.parametrize(("root", "group"), [("/..", "/"), ("/", "/../other"), ("/docker/abc", "/elsewhere")])
def test_groups_of_another_namespace_are_read_where_they_are_mounted(tree, root, group):
    tree.mount("", "cgroup2", root)
    tree.belong(f"0::{group}")
    tree.group("", cpu__max="100000 100000", memory__max=3000, memory__current=100)
    assert cpu_quota(tree.proc) == 1
    assert memory_groups(tree.proc) == [MemoryGroup(3000, 100)]


@pytest.mark.parametrize("text", ["", "max", "0 0", "x y", "100000", "100000 0"])
def test_a_quota_that_says_nothing_is_none(tree, text):
    tree.mount("", "cgroup2")
    tree.belong("0::/")
    tree.group("", cpu__max=text, memory__max=text, memory__current="")
    assert cpu_quota(tree.proc) is None
    assert memory_groups(tree.proc) == []
