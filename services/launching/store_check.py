"""With a server for the vectors: which worker leads, and does the server answer?"""

from __future__ import annotations

from clients.config import Config
from clients.errors import RagqError
from services.index.lock import DirectoryLock
from services.index.stores.exchange import Exchange
from services.index.stores.whereabouts import Whereabouts

ANSWER_S = 3.0


def leader(config: Config) -> int:
    """The process that leads the workers of the index; 0 when none does."""
    return DirectoryLock(config.home / "index").holder()


def server(config: Config) -> tuple[str, RagqError | None]:
    """The address of the server, and what is wrong with it, if anything is."""
    address = config.index.chroma_url
    try:
        address = address or Whereabouts(config.home).url()
        exchange = Exchange(lambda: address, cure="start it, or correct index.chroma_url")
        try:
            exchange.ask("GET", "/api/v2/heartbeat", timeout_s=ANSWER_S)
        finally:
            exchange.close()
    except RagqError as error:
        return address, error
    return address, None
