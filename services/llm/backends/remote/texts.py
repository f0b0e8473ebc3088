"""How do texts travel through queues that were made for tokens.

Only the server knows its tokens. Four bytes of UTF-8 are about one, in English as in Chinese, so a text is
packed four bytes to a number: what is counted, queued and put together are estimated tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clients.errors import ConfigError
from clients.llm import Role
from services.llm.backends.base import Prepared, PreparedPair

BYTES_PER_TOKEN = 4
FILL = b"\xff"  # stands in no UTF-8


@dataclass(frozen=True, slots=True, eq=False)
class PreparedText(Prepared):
    """A text for a server, packed.

    Attributes:
        role: ``query`` or ``document``.
    """

    role: Role = "document"


def prepare_text(prefix: str, text: str, role: Role) -> PreparedText:
    """A text behind its prefix."""
    ids = pack(prefix + text)
    return PreparedText(ids, 0, len(ids), role=role)


def prepare_pair(query: str, document: str) -> PreparedPair:
    """A document behind its query, which a request has once."""
    return PreparedPair(pack(document), tuple(pack(query).tolist()))


def pack(text: str) -> np.ndarray:
    """int32 [estimated tokens], one at the least."""
    raw = text.encode("utf-8", "surrogatepass") or FILL
    raw += FILL * (-len(raw) % BYTES_PER_TOKEN)
    return np.frombuffer(raw, "<i4").astype(np.int32)


def unpack(ids: np.ndarray | tuple[int, ...]) -> str:
    """The text that was packed."""
    return np.array(ids, "<i4").tobytes().rstrip(FILL).decode("utf-8", "surrogatepass")


def halved(text: str) -> str:
    """The first half of a text that was too long."""
    return text[: len(text) // 2]


def refuse_tokens() -> ConfigError:
    """Why there is no vector per token."""
    return ConfigError(
        "a remote embedding model gives no vector per token, which 'maxsim' reranks with",
        help="set llm.rerank to a remote reranker, or to 'none'",
    )
