"""How do the logits of a model become an answer: the loop of every backend that sees its logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Generator as Stream
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from clients.llm import Beam, Generate, Generation, Token
from services.service import Call

from .beams import Path, search
from .sampling import Sampler
from .spelling import Spelling
from .stopping import Stopper
from .stopwatch import Stopwatch


class Reader(Protocol):
    """A model that reads one answer's tokens and says what may come next."""

    def read(self, prompt: Sequence[int]) -> np.ndarray:
        """Logits float [vocabulary] after the prompt; called once, first."""
        ...

    def expand(self, parents: Sequence[int], tokens: Sequence[int]) -> np.ndarray:
        """Logits float [n, vocabulary] after n continuations.

        Args:
            parents: for each, which of the continuations of the call before it prolongs; 0 after ``read``.
            tokens: for each, its new token.
        """
        ...


@dataclass(frozen=True, slots=True)
class Decoding:
    """What is the same for all answers of a model.

    Attributes:
        name: the model's.
        decode: turns token ids into text.
        ends: token ids that end an answer.
    """

    name: str
    decode: Callable[[list[int]], str]
    ends: AbstractSet[int]

    def write(
        self, reader: Reader, prompt: Sequence[int], request: Generate, call: Call, watch: Stopwatch
    ) -> Stream[Token, None, Generation]:
        """Write an answer; looks at ``call`` before every token."""
        if request.beams:
            return self._beams(reader, prompt, request, call, watch)
        return self._tokens(reader, prompt, request, call, watch)

    def _tokens(
        self, reader: Reader, prompt: Sequence[int], request: Generate, call: Call, watch: Stopwatch
    ) -> Stream[Token, None, Generation]:
        sampler, stopper, spelling = Sampler(request, prompt), Stopper(request.stop), Spelling(self.decode)
        ends = self.ends | set(request.stop_tokens)
        finish: Literal["stop", "length"] = "length"
        logits = reader.read(prompt)
        while watch.num_tokens < request.max_tokens:
            call.check()
            token = sampler.next(logits)
            if token in ends:
                finish = "stop"
                break
            watch.note()
            if text := stopper.feed(spelling.add([token])):
                yield Token(text)
            if stopper.is_stopped:
                break
            if watch.num_tokens < request.max_tokens:
                logits = reader.expand([0], [token])[0]
        if text := stopper.feed(spelling.rest()) + stopper.flush():
            yield Token(text)
        return Generation(stopper.text, "stop" if stopper.is_stopped else finish, self.name, watch.usage(len(prompt)))

    def _beams(
        self, reader: Reader, prompt: Sequence[int], request: Generate, call: Call, watch: Stopwatch
    ) -> Stream[Token, None, Generation]:
        def expand(parents: Sequence[int], tokens: Sequence[int]) -> np.ndarray:
            call.check()
            watch.note()
            return reader.expand(parents, tokens)

        logits = reader.read(prompt)
        watch.note()
        paths = search(logits, expand, request, self.ends | set(request.stop_tokens), prompt)
        beams = [self._beam(path, request.stop) for path in paths]
        if beams[0].text:
            yield Token(beams[0].text)
        usage = replace(watch.usage(len(prompt)), completion_tokens=sum(len(path.tokens) for path in paths))
        return Generation(beams[0].text, beams[0].finish_reason, self.name, usage, beams)

    def _beam(self, path: Path, stops: Sequence[str]) -> Beam:
        """A stop text cuts a beam when it is told; the search does not know of texts."""
        stopper = Stopper(stops)
        text = stopper.feed(self.decode(list(path.tokens))) + stopper.flush()
        finish: Literal["stop", "length"] = "stop" if stopper.is_stopped else path.finish_reason
        return Beam(text, path.log_probability, path.score, finish)
