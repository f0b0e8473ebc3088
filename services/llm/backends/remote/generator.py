"""Text from a server, token by token (POST /chat/completions and /completions)."""

from __future__ import annotations

import re
from collections.abc import Generator as Stream
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

from clients.errors import BackendError, RagqError
from clients.llm import Generate, Generation, Token
from services.llm.stopping import Stopper
from services.llm.stopwatch import Stopwatch
from services.models import Card
from services.service import Call

from .controls import body_of
from .events import read_events
from .options import Kind, Options
from .pieces import END, Piece, read_piece
from .probe import PROBE_S
from .server import Answer, Reply, Server


class RemoteGenerator:
    """A model that writes, behind a server; any number of answers at a time."""

    def __init__(self, server: Server, card: Card, options: Options, kind: Kind) -> None:
        self.card = card
        self._server, self._options, self._kind = server, options, kind

    def generate(self, request: Generate, call: Call) -> Stream[Token, None, Generation]:
        """Write; a caller who leaves ends the request to the server at once."""
        path = f"{self._server.address.path}/{'chat/completions' if request.messages else 'completions'}"
        body = body_of(request, self.card.name, self._kind, self._options.controls) | self._options.body
        answer = Writing(Stopper(request.stop), keeps_thoughts=self._options.reasoning == "keep")
        try:
            with self._server.stream(path, body, call) as reply, closing(_pieces(reply)) as pieces:
                for piece in pieces:
                    call.check()
                    for text in answer.add(piece):
                        yield Token(text)
                    if answer.stopper.is_stopped:
                        break
            if text := answer.end(path):
                yield Token(text)
        except RagqError:
            call.check()  # a connection that was cut because the caller left tells nothing about the server
            raise
        return answer.whole(self.card.name)

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def check(self) -> None:
        """Write one token.

        Raises:
            RagqError: the server has no such endpoint, or the model cannot chat.
        """
        path = f"{self._server.address.path}/chat/completions"
        limit = "max_completion_tokens" if self._kind == "openai" else "max_tokens"
        body = {"model": self.card.name, "messages": [{"role": "user", "content": "Hi"}], limit: 1}
        answer = self._server.ask(path, body | self._options.body, timeout_s=PROBE_S)
        answer.value()
        read_piece(answer.body.decode("utf-8", "replace"), answer.where)


@dataclass(slots=True)
class Writing:
    """An answer while it is written; times are measured here, and tokens counted unless the server says them."""

    stopper: Stopper
    keeps_thoughts: bool
    watch: Stopwatch = field(default_factory=Stopwatch)
    is_thinking: bool = False
    finish: Literal["", "stop", "length"] = ""
    usage: Mapping[str, Any] = field(default_factory=dict)

    def add(self, piece: Piece) -> Iterator[str]:
        """Texts that have become certain by an event."""
        if piece.text or piece.thought:
            self.watch.note()
        self.finish = piece.finish or self.finish
        self.usage = piece.usage or self.usage
        for text in self._spoken(piece):
            if certain := self.stopper.feed(text):
                yield certain

    def end(self, where: str) -> str:
        """What was held back.

        Raises:
            BackendError: the stream ended, the answer did not.
        """
        if not (self.finish or self.stopper.is_stopped):
            raise BackendError(
                f"{where}: the stream broke off in the middle of the answer", help="the log of that server says more"
            )
        return self.stopper.flush()

    def whole(self, model: str) -> Generation:
        """The answer with what it cost."""
        self.watch.num_tokens = self._count("completion_tokens") or self.watch.num_tokens
        details = self.usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
        usage = self.watch.usage(self._count("prompt_tokens"), cached if isinstance(cached, int) else 0)
        finish = "stop" if self.stopper.is_stopped else self.finish or "stop"
        return Generation(self.stopper.text, finish, model, usage)

    def _spoken(self, piece: Piece) -> Iterator[str]:
        if piece.thought and self.keeps_thoughts:
            yield piece.thought if self.is_thinking else f"<think>{piece.thought}"
            self.is_thinking = True
        if piece.text or piece.finish:
            if self.is_thinking:
                self.is_thinking = False
                yield "</think>\n\n"
            if piece.text:
                yield piece.text

    def _count(self, key: str) -> int:
        value = self.usage.get(key)
        return value if isinstance(value, int) else 0


def _pieces(reply: Reply) -> Stream[Piece, None, None]:
    """The pieces of an answer, until the server says that it was the last."""
    if re.search("json|html", reply.headers.get("Content-Type", "")):  # it does not stream, or is no such server
        answer = Answer(reply.where, reply.status, reply.headers, reply.whole())
        answer.value()
        yield read_piece(answer.body.decode("utf-8", "replace"), reply.where)
        return
    for data in read_events(reply.pieces()):
        if data.strip() == END:
            reply.settle()
            return
        yield read_piece(data, reply.where)
