"""Which commands of the older mesh may run twice."""

from __future__ import annotations

from collections.abc import Mapping

from clients.errors import BadRequest
from clients.frames import Buffer
from clients.packing import unpack_map

HARMLESS = frozenset(
    {
        "GET_EMBEDDINGS", "GET_CROSS_SCORES", "SAMPLING_GENERATE", "GENERATE_TEXTS", "LLM_CONFIG",
        "SHOW_COLLECTIONS", "SEARCH_NEARBY", "CREATE_COLLECTION", "INDEX_TEXTS",
    }
)  # fmt: skip


def is_harmless(request: Buffer) -> bool:
    """Whether another worker may run this request map again; what cannot be read may not."""
    try:
        fields = unpack_map(request, len(request))
    except BadRequest:
        return False
    command = fields.get("cmd") if isinstance(fields, Mapping) else None
    return isinstance(command, str) and command.upper() in HARMLESS
