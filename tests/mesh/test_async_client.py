"""A client in an asyncio loop, without a thread: calls, streams, cancellation, several loops, forks and kills."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from clients import Client, errors
from clients.aclient import AsyncClient
from tests.conftest import ROOT
from tests.mesh.processes import Processes, processes, until
from tests.mesh.trial import COUNT, ECHO, FAIL, SEEN, STEP, UPLOAD, WAIT, Blob, Count, Fail, Number, Seen, Wait

pytestmark = pytest.mark.mesh
NUM_TASKS = 1000


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes(tmp_path_factory.mktemp("async")) as mesh:
        mesh.start_mesh(1)
        yield mesh


@pytest.fixture
async def client(mesh: Processes) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(mesh.address, timeout_s=30) as client:
        yield client


async def seen_cancelled(client: AsyncClient, count: int) -> Seen:
    while True:
        seen = await client.call(SEEN, SEEN.request())
        if seen.cancelled >= count:
            return seen
        await asyncio.sleep(0.02)


async def test_calls_streams_and_status_need_no_thread(client: AsyncClient) -> None:
    before = threading.active_count()
    replies = await asyncio.gather(*(client.call(ECHO, Blob(str(i))) for i in range(100)))
    assert [reply.text for reply in replies] == [str(i) for i in range(100)]
    assert [r.text for r in await client.call_many(ECHO, [Blob("a"), Blob("b"), Blob("c")])] == ["a", "b", "c"]
    stream = client.stream(COUNT, Count(200, size=1000))
    assert [number.value async for number in stream] == list(range(200))
    assert (await stream.reply()).upto == 200
    assert (await client.status()).service == "trial"
    assert threading.active_count() == before
    assert client.link().num_unsignalled == 0


async def test_large_arrays_and_bytes_come_back_whole(client: AsyncClient) -> None:
    data = os.urandom(3 << 20)
    assert all(reply.data == data for reply in await asyncio.gather(*[client.call(ECHO, Blob(data=data))] * 1))


async def test_an_error_of_the_service_and_of_the_time_are_raised_where_they_are_awaited(client: AsyncClient) -> None:
    with pytest.raises(errors.NotFound, match="as asked"):
        await client.call(FAIL, Fail("NotFound"))
    with pytest.raises(errors.DeadlineExceeded):
        await client.call(WAIT, Wait(10), timeout_s=0.2)
    with pytest.raises(errors.DeadlineExceeded, match="nothing came"):
        async for _ in client.stream(COUNT, Count(9, pause_s=10), idle_s=0.3):
            pass
    with pytest.raises(errors.BadRequest, match="does not stream"):
        client.stream(ECHO, Blob())  # type: ignore[arg-type]  # on purpose


async def test_chunks_of_either_kind_of_iterable_reach_the_worker(client: AsyncClient) -> None:
    async def numbers() -> AsyncIterator[Number]:
        for value in range(100):
            await asyncio.sleep(0)
            yield Number(value, b"x" * 100_000)

    for given in (numbers(), [Number(value) for value in range(100)]):
        assert (await client.stream(UPLOAD, Wait(), input=given).reply()).num_chunks == 100


async def test_what_the_programs_chunks_raise_ends_the_call(client: AsyncClient) -> None:
    async def numbers() -> AsyncIterator[Number]:
        yield Number(0)
        raise KeyError("of the program")

    with pytest.raises(KeyError, match="of the program"):
        await client.stream(UPLOAD, Wait(), input=numbers()).reply()


async def test_cancelling_a_task_cancels_the_call_at_its_worker(client: AsyncClient) -> None:
    before = (await client.call(SEEN, SEEN.request())).cancelled
    task = asyncio.create_task(client.call(WAIT, Wait(60)))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(seen_cancelled(client, before + 1), 20)


async def test_a_stream_that_is_left_or_forgotten_is_cancelled(client: AsyncClient) -> None:
    async with client.stream(COUNT, Count(10**6, pause_s=0.001)) as stream:
        async for _ in stream:
            break
    async for number in client.stream(COUNT, Count(10**6, pause_s=0.001)):
        if number.value == 3:
            break
    gc.collect()

    async def none_is_running() -> None:
        while (await client.status()).running:  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.02)

    await asyncio.wait_for(none_is_running(), 20)


async def test_a_storm_of_cancellations_loses_and_doubles_nothing(client: AsyncClient, tmp_path: Path) -> None:
    ran_at = tmp_path / "ran"

    async def step(number: int) -> str:
        await client.call(STEP, Wait(0.0, str(ran_at), f"s{number}"))
        return (await client.call(ECHO, Blob(f"e{number}"))).text

    tasks = [asyncio.create_task(step(number)) for number in range(NUM_TASKS)]
    for number, task in enumerate(tasks):
        if number % 3 == 0:
            asyncio.get_running_loop().call_later(number / NUM_TASKS, task.cancel)
    done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 50)
    ran = Counter((await asyncio.to_thread(ran_at.read_text)).split())
    assert max(ran.values()) == 1
    for number, result in enumerate(done):
        if isinstance(result, asyncio.CancelledError) and number % 3 == 0:
            continue
        assert result == f"e{number}"
        assert ran[f"s{number}"] == 1
    assert len(client.link()._calls) == 0
    assert client.link().num_unsignalled == 0


def test_one_client_serves_several_loops_one_after_another_and_at_once(mesh: Processes) -> None:
    client = AsyncClient(mesh.address, timeout_s=20)

    async def echo(text: str) -> str:
        return (await client.call(ECHO, Blob(text))).text

    async def leave_one_behind() -> str:
        asyncio.get_running_loop().create_task(client.call(WAIT, Wait(60)))
        return await echo("first")

    assert asyncio.run(leave_one_behind()) == "first"
    told: list[str] = []

    async def in_thread() -> None:
        told.append(await echo("third"))
        await client.close()

    async def beside_another() -> str:
        thread = threading.Thread(target=asyncio.run, args=(in_thread(),))
        thread.start()
        second = await echo("second")
        await asyncio.to_thread(thread.join)
        await client.close()
        return second

    assert (asyncio.run(beside_another()), told) == ("second", ["third"])
    assert client._links == {}


async def test_closing_ends_calls_under_way_and_a_later_call_connects_again(mesh: Processes) -> None:
    client = AsyncClient(mesh.address)
    task = asyncio.create_task(client.call(WAIT, Wait(60)))
    await asyncio.sleep(0.1)
    await client.close()
    with pytest.raises(errors.Cancelled, match="was closed during"):
        await task
    assert (await client.call(ECHO, Blob("again"))).text == "again"
    await client.close()


async def test_nobody_at_the_address_is_said_so() -> None:
    async with AsyncClient("tcp://127.0.0.1:9") as client:
        with pytest.raises(errors.Unreachable, match="nobody answers"):
            await client.call(ECHO, Blob())
    with pytest.raises(errors.ConfigError):
        AsyncClient("")


def has_worker(front: str) -> bool:
    try:
        with Client(front) as client:
            return len(client.status(1.0).workers) == 1
    except errors.RagqError:
        return False


async def test_a_proxy_that_dies_costs_no_idempotent_call(tmp_path: Path) -> None:
    with processes(tmp_path, num_proxies=2) as mesh:
        proxies = [mesh.start("proxy"), mesh.start("proxy", number=1)]
        mesh.start("worker")
        for front in mesh.fronts:
            await asyncio.to_thread(until, partial(has_worker, front))
        async with AsyncClient(mesh.fronts, timeout_s=40) as client:
            await asyncio.gather(*(client.call(ECHO, Blob()) for _ in range(8)))
            tasks = [asyncio.create_task(client.call(WAIT, Wait(0.3))) for _ in range(12)]
            await asyncio.sleep(0.2)
            proxies[0].send_signal(signal.SIGKILL)
            assert len({reply.pid for reply in await asyncio.gather(*tasks)}) == 1


FORK = """
import asyncio, os, sys
from clients.aclient import AsyncClient
from tests.mesh.trial import ECHO, Blob

client = AsyncClient(sys.argv[1])

async def echo(text):
    print((await client.call(ECHO, Blob(text))).text, flush=True)
    await client.close()

async def parent():
    print((await client.call(ECHO, Blob("parent"))).text, flush=True)
    child = os.fork()
    if child == 0:
        asyncio.events._set_running_loop(None)
        asyncio.run(echo("child"))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    await echo("parent again")

asyncio.run(parent())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_may_go_on_calling(mesh: Processes) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", FORK, mesh.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, env=environment, check=False)
    assert (done.stdout.splitlines(), done.stderr) == (["parent", "child", "parent again"], "")
