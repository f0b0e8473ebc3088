"""The face of the SDK: one object that reaches every service of a mesh.

What only some programs use is imported at its first use; a program that wants a few vectors starts faster.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, overload

from .asking import Ask
from .client import Client, fronts_of
from .config import Config
from .errors import ConfigError
from .keys import credential_of
from .llm import LLMClient
from .overview import MeshStatus, Overview
from .reading import read
from .settings import load
from .waiter import Waiter, waiter, waiting
from .within import Within, within_of

if TYPE_CHECKING:
    from .answers import Answer, Event, Round
    from .index import IndexClient
    from .tuning import TuningClient

THRESHOLDS = {"threshold", "threshold_low"}


class Events:
    """The events of one question, as they happen; an iterator that any thread may end."""

    def __init__(self, events: Generator[Event, None, None]) -> None:
        self._events = events
        self._waiter = Waiter()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        with waiting(self.cancel):
            mark = waiter.set(self._waiter)
            try:
                return next(self._events)
            finally:
                waiter.reset(mark)

    def cancel(self) -> None:
        """End it from any thread: the one that waits for the next event gets Cancelled."""
        self._waiter.cancel()

    def close(self) -> None:
        """End it from the thread that iterates; what is under way is cancelled."""
        self._events.close()


class Ragq:
    """A mesh: ``llm``, ``index`` and ``tuning``, and ``ask`` over all of them.

    Safe to use from many threads; close it, or use it in a ``with`` statement.

    Args:
        config: path of a ragq.yml, a Config, or None for the usual places.
        llm, index, tuning: addresses such as ``tcp://host:7781`` that win over the configuration;
            several, with commas, for a service with several proxies.
        timeout_s: seconds for a call, unless it names its own.
    """

    def __init__(
        self,
        config: str | Path | Config | None = None,
        *,
        llm: str = "",
        index: str = "",
        tuning: str = "",
        timeout_s: float = 30.0,
    ) -> None:
        self.config = config if isinstance(config, Config) else load(config).config
        given = {"llm": llm, "index": index, "tuning": tuning}
        connect = partial(Client, timeout_s=timeout_s, credential=credential_of(self.config, "client"))
        fronts = {name: fronts_of(given.get(name, "")) or self._fronts(name) for name in self._names(given)}
        self._clients = {name: connect(addresses) for name, addresses in fronts.items()}
        self._overview = Overview({name: fronts[name] for name in self.config.enabled_services}, connect)
        self.llm = LLMClient(self.client("llm"))

    @cached_property
    def index(self) -> IndexClient:
        """The collections, and the search in them."""
        from .index import IndexClient

        return IndexClient(self.client("index"))

    @cached_property
    def tuning(self) -> TuningClient:
        """The models' adaptation."""
        from .tuning import TuningClient

        return TuningClient(self.client("tuning"))

    def _names(self, given: dict[str, str]) -> list[str]:
        return [*given, *self.config.services]

    def _fronts(self, name: str) -> list[str]:
        return self.config.service(name).fronts

    def client(self, service: str) -> Client:
        """The untyped client of a service, for methods of your own."""
        if service not in self._clients:
            raise ConfigError(f"no service '{service}' in the configuration", help=f"known: {', '.join(self._clients)}")
        return self._clients[service]

    @overload
    def ask(
        self,
        collection: str,
        question: str,
        history: Sequence[Round] = (),
        *,
        stream: Literal[False] = False,
        within: Within | Sequence[str] | None = None,
        **options: object,
    ) -> Answer: ...
    @overload
    def ask(
        self,
        collection: str,
        question: str,
        history: Sequence[Round] = (),
        *,
        stream: Literal[True],
        within: Within | Sequence[str] | None = None,
        **options: object,
    ) -> Events: ...

    def ask(
        self,
        collection: str,
        question: str,
        history: Sequence[Round] = (),
        *,
        stream: bool = False,
        within: Within | Sequence[str] | None = None,
        **options: object,
    ) -> Answer | Events:
        """Answer a question from a collection, with citations.

        Args:
            collection: name of the collection.
            question: in any language that the embedding model knows.
            history: earlier rounds; the last ``rounds`` of them count.
            stream: yield events (Rewritten, Sources, Decision, Delta, Answer) instead of the answer alone.
            within: answer from these documents only: names, ids and patterns such as ``reports/*.pdf``, or a `Within`.
            options: fields of ``ask`` in ragq.yml, such as ``answer="written"`` or ``mode="helpful"``.

        Raises:
            BadRequest: an unknown option, or a value that it cannot have.
            NotFound: no such collection.
            MeshError: a service does not answer; an answer that had begun is not lost but ends with the error.
        """
        from . import rag

        settings = self._ask_settings(options)
        events = rag.ask(self.llm, self.index, settings, collection, question, history, within_of(within))
        return Events(events) if stream else rag.last(events)

    def _ask_settings(self, options: dict[str, object]) -> Ask:
        # A threshold that is asked for with the question goes before the one that was fitted.
        own = {"fitted": False} if THRESHOLDS & options.keys() else {}
        return read(Ask, {**asdict(self.config.ask), **own, **options}, "ask")

    def status(self, timeout_s: float = 2.0) -> MeshStatus:
        """What each proxy and each enabled service says of itself; never raises for one that is down."""
        return self._overview.look(timeout_s)

    def close(self) -> None:
        """Close every connection; calls under way end with Cancelled."""
        self._overview.close()
        for client in self._clients.values():
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
