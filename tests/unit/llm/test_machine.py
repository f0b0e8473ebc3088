"""Cores and memory are those that the process may really use, in both versions of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.llm.machine import available_bytes, num_cores

MEMINFO = "MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:    4000000 kB\n"


class Host:
    """The files of a machine."""

    def __init__(self, root: Path, membership: str) -> None:
        self.cgroups = root / "cgroup"
        self.meminfo = self.write("meminfo", MEMINFO, root)
        self.membership = self.write("membership", membership, root)

    def write(self, name: str, text: str, root: Path | None = None) -> Path:
        path = (root or self.cgroups) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def available(self) -> int:
        return available_bytes(self.meminfo, self.cgroups, self.membership)

    @property
    def cores(self) -> int:
        return num_cores(self.cgroups, self.membership)


@pytest.fixture
def v2(tmp_path):
    return Host(tmp_path, "0::/a/b\n")


@pytest.fixture
def v1(tmp_path):
    return Host(tmp_path, "12:memory:/a/b\n3:cpu,cpuacct:/a/b\n1:name=systemd:/\n")


def test_without_a_limit_it_is_what_the_machine_has(v2):
    v2.write("a/b/memory.max", "max\n")
    assert v2.available == 4_000_000 * 1024


def test_a_group_of_version_2_leaves_its_limit_less_what_is_used_and_cannot_be_dropped(v2):
    v2.write("a/b/memory.max", "1000000000\n")
    v2.write("a/b/memory.current", "800000000\n")
    v2.write("a/b/memory.stat", "anon 500000000\ninactive_file 300000000\n")
    assert v2.available == 500_000_000


def test_the_limit_of_a_group_around_it_holds_too(v2):
    v2.write("a/b/memory.max", "2000000000\n")
    v2.write("a/b/memory.current", "0\n")
    v2.write("a/memory.max", "700000000\n")
    v2.write("a/memory.current", "100000000\n")
    assert v2.available == 600_000_000


def test_a_group_that_is_full_leaves_next_to_nothing_and_not_the_unknown(v2):
    v2.write("a/b/memory.max", "1000\n")
    v2.write("a/b/memory.current", "2000\n")
    assert v2.available == 1


def test_a_group_of_version_1_counts_alike(v1):
    v1.write("memory/a/b/memory.limit_in_bytes", "1000000000\n")
    v1.write("memory/a/b/memory.usage_in_bytes", "800000000\n")
    v1.write("memory/a/b/memory.stat", "total_inactive_file 100000000\n")
    assert v1.available == 300_000_000


def test_a_group_of_version_1_without_a_limit_states_a_huge_number(v1):
    v1.write("memory/a/b/memory.limit_in_bytes", "9223372036854771712\n")
    v1.write("memory/a/b/memory.usage_in_bytes", "800000000\n")
    assert v1.available == 4_000_000 * 1024


def test_inside_a_container_whose_path_is_the_hosts_the_root_counts(v2):
    v2.write("memory.max", "1000000000\n")
    v2.write("memory.current", "400000000\n")
    assert v2.available == 600_000_000


def test_a_system_that_tells_nothing_is_unknown(tmp_path):
    assert available_bytes(tmp_path / "a", tmp_path / "b", tmp_path / "c") == 0


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", None), ("50000 100000", 1), ("150000 100000", 1)])
def test_a_quota_bounds_the_cores(v2, quota, cores):
    v2.write("a/b/cpu.max", f"{quota}\n")
    assert v2.cores == (cores or len(os.sched_getaffinity(0)))


def test_a_quota_of_version_1_bounds_the_cores(v1):
    v1.write("cpu,cpuacct/a/b/cpu.cfs_quota_us", "100000\n")
    v1.write("cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n")
    assert v1.cores == 1
    v1.write("cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n")
    assert v1.cores == len(os.sched_getaffinity(0))
