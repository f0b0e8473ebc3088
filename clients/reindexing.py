"""How a collection gets another embedding model."""

from __future__ import annotations

from dataclasses import dataclass

from .adding import Job
from .client import Client
from .ingest import JobRecord
from .wire import unary

# The model may have to be loaded before it is known whether it can be.
TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True)
class Reindex:
    """A collection to embed anew.

    Attributes:
        model: by which embedding model; empty means the one that serves.
    """

    collection: str
    model: str = ""


REINDEX = unary("index.reindex", Reindex, JobRecord)
METHODS = (REINDEX,)


class Reindexing:
    """The part of the Index service's client that exchanges embedding models."""

    _client: Client

    def reindex(self, collection: str, model: str = "", *, timeout_s: float = TIMEOUT_S) -> Job:
        """Make a collection's vectors anew, by another embedding model or by the same one.

        Searches go on by the present vectors until all new ones are there, and go by those from then on. What is added
        or changed meanwhile takes part. The job can be cancelled, and goes on after a restart.

        Args:
            collection: its name.
            model: by which model; empty means the one that serves.
            timeout_s: seconds for the model to be loaded and to work once; the job takes what it takes.

        Returns:
            A job that is already queued; the one that runs, if there is one with the same model.

        Raises:
            NotFound: no such collection, or no such model.
            ModelNotLoaded: the model cannot be loaded, or none serves.
            BadRequest: the collection has no vectors, or is being embedded by yet another model.
        """
        return Job(self._client, self._client.call(REINDEX, Reindex(collection, model), timeout_s=timeout_s))
