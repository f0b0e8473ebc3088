"""Which questions did people try on a collection, to try them again?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .client import Client
from .documents import CollectionName
from .wire import Nothing, unary

MAX_KEPT_CHARS = 2000
MAX_KEPT_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class PastSearch:
    """A question that was tried.

    Attributes:
        searched_at: when it was tried last, seconds since 1970.
        num_times: how often.
    """

    text: str
    searched_at: float
    num_times: int = 1


@dataclass(frozen=True, slots=True)
class PastSearches:
    """Questions that were tried, the last one first.

    Attributes:
        is_kept: whether the service keeps any: ``index.search_history`` is not 0.
    """

    searches: list[PastSearch]
    is_kept: bool = True


@dataclass(frozen=True, slots=True)
class KeepSearches:
    """Questions that were tried just now, in this order."""

    collection: str
    texts: list[str]


@dataclass(frozen=True, slots=True)
class ForgetSearches:
    """Questions to forget; none means all of the collection."""

    collection: str
    texts: list[str] = field(default_factory=list)


PAST_SEARCHES = unary("index.past_searches", CollectionName, PastSearches)
KEEP_SEARCHES = unary("index.keep_searches", KeepSearches, Nothing, idempotent=False)
FORGET_SEARCHES = unary("index.forget_searches", ForgetSearches, Nothing)
METHODS = (PAST_SEARCHES, KEEP_SEARCHES, FORGET_SEARCHES)


class Remembering:
    """The part of the Index service's client that remembers what people tried.

    Nothing is kept unless somebody says so: searches of programs leave no trace.
    """

    _client: Client

    def past_searches(self, collection: str) -> PastSearches:
        """Questions that were tried on a collection, the last one first; NotFound."""
        return self._client.call(PAST_SEARCHES, CollectionName(collection))

    def keep_searches(self, collection: str, texts: Sequence[str]) -> None:
        """Keep questions that were tried just now; the newest ``index.search_history`` of the collection stay.

        Raises:
            NotFound: no such collection.
            BadRequest: more than a hundred at once, or one that is empty or longer than 2000 characters.
        """
        self._client.call(KEEP_SEARCHES, KeepSearches(collection, list(texts)))

    def forget_searches(self, collection: str, texts: Sequence[str] = ()) -> None:
        """Forget some questions, or all of a collection; NotFound."""
        self._client.call(FORGET_SEARCHES, ForgetSearches(collection, list(texts)))
