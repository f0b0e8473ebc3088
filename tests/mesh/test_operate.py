"""Can a mesh of several proxies be started, watched and kept running?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients import Client
from services.launching.home import Home, read_roles
from tests.conftest import TOY, LiveMesh, free_ports, merged, start_mesh

pytestmark = pytest.mark.mesh


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    """An LLM service behind two proxies, and the HTTP face."""
    front, back = free_ports(2)
    proxies = [f"tcp://127.0.0.1:{front} tcp://127.0.0.1:{back}"]
    settings = merged(TOY, {"index": {"enabled": False}, "llm": {"proxies": proxies}})
    live = start_mesh(tmp_path_factory.mktemp("pair"), settings, ["proxy", "llm", "http"])
    try:
        live.wait_ready()
        yield live
    finally:
        live.stop()


def test_one_launcher_runs_both_proxies_of_a_service(pair: LiveMesh) -> None:
    states = {record.role: record.state for record in read_roles(Home(pair.home))}
    assert states == {"proxy-llm": "running", "proxy-llm-1": "running", "llm": "running", "http": "running"}
    pids = set()
    for address in pair.client().config.llm.fronts:
        with Client(address) as client:
            pids.add(client.status().pid)
    assert pids == {record.pid for record in read_roles(Home(pair.home)) if record.role.startswith("proxy-")}
