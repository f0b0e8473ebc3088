"""The asyncio twin of the SDK: the same names, awaited.

Models and search are called from the loop itself; what takes several steps runs in a thread of a pool.
Cancelling the task cancels the call at its worker either way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self

from .aclient import AsyncClient
from .aindex import AsyncIndex
from .allm import AsyncLLM
from .answers import Answer, Event, Round
from .athreads import Face, Threads, iterate, twin
from .config import Config
from .mesh import Ragq
from .overview import MeshStatus
from .tuning import TuningClient, TuningJob, TuningMethod
from .within import Within


class AsyncTuning(Face[TuningClient]):
    """Tuning jobs, awaited."""

    job = twin(TuningClient.job)
    jobs = twin(TuningClient.jobs)
    cancel = twin(TuningClient.cancel)

    async def submit(self, method: TuningMethod, *, id: str, base_model: str, data: str, **settings: Any) -> TuningJob:  # noqa: A002 - the word of the contract
        """Start a job; returns at once with its record."""
        return await self._threads.run(
            lambda: self._face.submit(method, id=id, base_model=base_model, data=data, **settings)
        )


class AsyncRagq:
    """A mesh for asyncio programs; see Ragq for the arguments."""

    def __init__(
        self,
        config: str | Path | Config | None = None,
        *,
        llm: str = "",
        index: str = "",
        tuning: str = "",
        timeout_s: float = 30.0,
    ) -> None:
        self._mesh = Ragq(config, llm=llm, index=index, tuning=tuning, timeout_s=timeout_s)
        self._threads = Threads()
        self._clients: dict[str, AsyncClient] = {}
        self.llm = AsyncLLM(self.client("llm"))
        self.index = AsyncIndex(self._threads, self._mesh.index, self.client("index"))
        self.tuning = AsyncTuning(self._threads, self._mesh.tuning)

    def client(self, service: str) -> AsyncClient:
        """The untyped client of a service, for methods of your own."""
        if service not in self._clients:
            self._clients[service] = AsyncClient.beside(self._mesh.client(service))
        return self._clients[service]

    async def ask(
        self,
        collection: str,
        question: str,
        history: Sequence[Round] = (),
        *,
        within: Within | Sequence[str] | None = None,
        **options: Any,
    ) -> Answer:
        """Answer a question from a collection, or some documents of it, with citations."""
        return await self._threads.run(lambda: self._mesh.ask(collection, question, history, within=within, **options))

    async def ask_stream(
        self,
        collection: str,
        question: str,
        history: Sequence[Round] = (),
        *,
        within: Within | Sequence[str] | None = None,
        **options: Any,
    ) -> AsyncIterator[Event]:
        """As ask, but every event as it comes; leaving the loop cancels."""
        events = self._mesh.ask(collection, question, history, stream=True, within=within, **options)
        async for event in iterate(self._threads, events, events.cancel):
            yield event

    async def status(self, timeout_s: float = 2.0) -> MeshStatus:
        """What each enabled service says of itself."""
        return await self._threads.run(lambda: self._mesh.status(timeout_s))

    async def close(self) -> None:
        """Close every connection; calls under way end with Cancelled."""
        for client in self._clients.values():
            await client.close()
        await self._threads.run(self._mesh.close)
        self._threads.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
