"""What may this process use of its machine: cores and memory, within the limits of its control group."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
MEMBERSHIP = Path("/proc/self/cgroup")
# A group of the first version without a limit states a number near 2**63.
NO_LIMIT = 1 << 60


def num_cores(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Processor cores that this process may use; a quota of a container counts in whole cores, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in _groups(cgroups, membership, "cpu"):
        quota = _quota(group)
        if quota > 0:
            cores = min(cores, max(1, int(quota)))
    return cores


def share_of_cores(num_processes: int) -> int:
    """Threads for one of several processes, so that together they leave one core to everything else."""
    return max(1, (num_cores() - 1) // max(1, num_processes))


def available_bytes(meminfo: Path = MEMINFO, cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Memory that can be had without swapping: the machine's, or what a control group leaves; 0 if unknown.

    Sources: MemAvailable of proc(5); memory.max and memory.current of cgroups v2, limit_in_bytes and
    usage_in_bytes of v1. What a group could drop at once, the inactive pages of files, counts as available.
    """
    found = [_mem_available(meminfo)]
    for group in _groups(cgroups, membership, "memory"):
        limit = _number(group / "memory.max") or _number(group / "memory.limit_in_bytes")
        used = _number(group / "memory.current") or _number(group / "memory.usage_in_bytes")
        if 0 < limit < NO_LIMIT:
            found.append(max(1, limit - used + _inactive(group / "memory.stat")))
    return min((amount for amount in found if amount), default=0)


def _groups(cgroups: Path, membership: Path, controller: str) -> Iterator[Path]:
    """The process's group and every group around it; a limit of any of them holds."""
    with suppress(OSError):
        for line in membership.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            root = cgroups / controllers if controllers else cgroups
            place = root / path.lstrip("/")
            # Inside a container the path may be the host's: then the root shows the container's own group.
            yield from (group for group in (place, *place.parents) if group.is_relative_to(root) and group.is_dir())


def _quota(group: Path) -> float:
    """Cores that a group may use; 0 without a limit."""
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        return 0.0 if quota == "max" else int(quota) / int(period)
    period_us = _number(group / "cpu.cfs_period_us")
    return _number(group / "cpu.cfs_quota_us") / period_us if period_us else 0.0


def _mem_available(meminfo: Path) -> int:
    return _field(meminfo, "MemAvailable:") * 1024


def _inactive(stat: Path) -> int:
    return _field(stat, "inactive_file") or _field(stat, "total_inactive_file")


def _field(path: Path, name: str) -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in path.read_text(encoding="ascii").splitlines():
            if line.split()[0] == name:
                return int(line.split()[1])
    return 0


def _number(path: Path) -> int:
    """The number in a file; 0 when there is none, or the word ``max``."""
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii"))
    return 0
