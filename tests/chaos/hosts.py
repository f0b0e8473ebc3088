"""Hosts with a network between them: network namespaces of this machine, joined by a cable that a test may cut."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

_numbers = itertools.count(os.getpid() % 20_000 * 10)


@dataclass(frozen=True, slots=True)
class Host:
    """A network namespace with one cable."""

    name: str
    address: str
    cable: str

    def command(self, command: Sequence[str]) -> list[str]:
        """``command`` as it is run on this host."""
        return ["ip", "netns", "exec", self.name, *command]

    def cut(self) -> None:
        """Cut the cable."""
        ip("-n", self.name, "link", "set", self.cable, "down")

    def mend(self) -> None:
        """Make the cable whole again."""
        ip("-n", self.name, "link", "set", self.cable, "up")

    def limit(self, megabytes_a_second: float) -> None:
        """What goes out here is no faster than this."""
        queue = ["tbf", "rate", f"{megabytes_a_second * 8:.3f}mbit", "burst", "64kb", "latency", "200ms"]
        command = self.command(["tc", "qdisc", "replace", "dev", self.cable, "root", *queue])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this kernel limits no cable: {done.stderr.strip()}")


def ip(*arguments: str) -> None:
    """Run ``ip``."""
    _run("ip", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts on one cable; skips the test where this machine makes none."""
    _need_namespaces()
    first, second = _names()
    with ExitStack() as ends:
        for host in (first, second):
            ip("netns", "add", host.name)
            ends.callback(ip, "netns", "delete", host.name)
        ip("link", "add", first.cable, "netns", first.name, "type", "veth",
           "peer", "name", second.cable, "netns", second.name)  # fmt: skip
        for host in (first, second):
            ip("-n", host.name, "address", "add", f"{host.address}/30", "dev", host.cable)
            ip("-n", host.name, "link", "set", "lo", "up")
            host.mend()
        yield first, second


def _names() -> tuple[Host, Host]:
    number = next(_numbers)
    subnet = f"10.{77 + number // 16_000}.{number // 64 % 250}"
    low = number % 64 * 4
    first, second = (
        Host(f"ragq{number}{side}", f"{subnet}.{low + i}", f"rq{number}{side}") for i, side in ((1, "a"), (2, "b"))
    )
    return first, second


def _need_namespaces() -> None:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if not (shutil.which("ip") and shutil.which("tc")):
        pytest.skip("network namespaces need ip and tc (apt-get install iproute2)")
    probe = f"ragq{os.getpid()}probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    entered = subprocess.run(["ip", "netns", "exec", probe, "true"], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "delete", probe], capture_output=True, check=False)
    if made.returncode or entered.returncode:
        pytest.skip(f"this machine makes no network namespaces: {(made.stderr or entered.stderr).strip()}")
