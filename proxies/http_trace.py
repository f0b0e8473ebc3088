"""How a request that belongs to another system's trace is continued, and where its spans can be read."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import asdict

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from clients.trace import Span, traced

SAMPLED = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][13579bdf]")
log = logging.getLogger("ragq.trace")


class Traces:
    """Traces each request whose ``traceparent`` header (W3C Trace Context) asks for it; logs a line for each span.

    A header that is not readable is ignored, as the standard wants it.
    """

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, inside its trace if it has one."""
        header = Headers(scope=scope).get("traceparent", "") if scope["type"] == "http" else ""
        if not SAMPLED.fullmatch(header):
            await self._inner(scope, receive, send)
            return
        with traced(f"{scope['method']} {scope['path']}", header) as trace:
            await self._inner(scope, receive, send)
        for span in trace.spans:
            log.info("span %s %s", trace.id.hex(), _text(span))


def _text(span: Span) -> str:
    return json.dumps({**asdict(span), "id": span.id.hex(), "parent": span.parent.hex()}, ensure_ascii=False)
