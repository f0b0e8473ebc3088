"""A writer without weights that has every control: it repeats what was said, as a small model would.

Its tokens are words. After each word it expects the next one of what was said, and thinks a little of
all the other words, so that temperature, filters, penalties, seeds and beams change what it writes.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Generator as Stream
from collections.abc import Sequence

import numpy as np

from clients.llm import Generate, Generation, Token
from services.llm.controls import BEAMS, JSON, PENALTIES, SAMPLING, STOPS, TEMPLATES, refuse_unsupported
from services.llm.decoding import Decoding
from services.llm.stopwatch import Stopwatch
from services.llm.templates import render
from services.models import Card
from services.service import Call

from .toy_json import instance

NUM_TOKENS = 4096
END = 0
EXPECTED = 5.0
OTHERS = 4.0
CONTROLS = SAMPLING | PENALTIES | STOPS | TEMPLATES | JSON | BEAMS | {"ban_tokens"}
LAST = "{{ messages[-1].content }}"
CARD = Card("toy", "encoder", ("generate",), languages=("multilingual",), max_tokens=NUM_TOKENS)


def token_of(word: str) -> int:
    """The id of a word, with the blanks before it; another word may have the same, rarely."""
    return 1 + zlib.crc32(word.encode("utf-8", "surrogatepass")) % (NUM_TOKENS - 1)


class ToyGenerator:
    """Repeats the last thing that was said, word by word.

    Args:
        token_s: seconds between two tokens, for tests of streams and of cancelling.
    """

    card = CARD

    def __init__(self, token_s: float = 0.0) -> None:
        self._token_s = token_s

    def generate(self, request: Generate, call: Call) -> Stream[Token, None, Generation]:
        """Write; the tokens of a prompt are its words."""
        refuse_unsupported(request, CONTROLS, "toy")
        watch = Stopwatch()
        said = request.prompt or render(request.template or LAST, request.messages, request.template_options, call, {})
        wants_json = request.format == "json" or bool(request.json_schema)
        text = _document(said, request.json_schema) if wants_json else f"You said: {said}"
        echo = _Echo(text, self._token_s, call, is_strict=wants_json)
        prompt = [token_of(word) for word in said.split()]
        decoding = Decoding(self.card.name, echo.decode, {END})
        return (yield from decoding.write(echo, prompt, request, call, watch))

    def close(self) -> None:
        """Nothing is held."""


def _document(said: str, schema: str) -> str:
    wanted = json.loads(schema) if schema else {"properties": {"said": {"type": "string"}}}
    return json.dumps(instance(wanted, said), ensure_ascii=False)


class _Echo:
    """The model; a continuation is the list of the tokens that it read.

    Args:
        text: what it would write.
        token_s: seconds that each look at the next token takes.
        call: who waits.
        is_strict: it thinks of nothing but the next word, so that JSON stays JSON.
    """

    def __init__(self, text: str, token_s: float, call: Call, *, is_strict: bool) -> None:
        self._words: dict[int, str] = {}
        self._sequence = [self._learn(word) for word in re.findall(r"\s*\S+", text)]
        self._token_s, self._call, self._is_strict = token_s, call, is_strict
        self._read: list[tuple[int, ...]] = [()]

    def decode(self, ids: list[int]) -> str:
        """The words together."""
        return "".join(self._words[number] for number in ids)

    def read(self, prompt: Sequence[int]) -> np.ndarray:
        """Logits [NUM_TOKENS]."""
        return self._logits(())

    def expand(self, parents: Sequence[int], tokens: Sequence[int]) -> np.ndarray:
        """Logits [n, NUM_TOKENS]."""
        self._read = [(*self._read[parent], token) for parent, token in zip(parents, tokens, strict=True)]
        return np.stack([self._logits(read) for read in self._read])

    def _learn(self, word: str) -> int:
        number = token_of(word)
        while self._words.setdefault(number, word) != word:
            number = number % (NUM_TOKENS - 1) + 1
        return number

    def _logits(self, read: tuple[int, ...]) -> np.ndarray:
        if self._token_s:
            self._call.cancelled.wait(self._token_s)
        logits = np.full(NUM_TOKENS, -np.inf, np.float32)
        if not self._is_strict:
            before = read[-1] if read else END
            for number in (END, *self._words):
                logits[number] = OTHERS * (zlib.crc32(f"{before} {number}".encode()) % 1000) / 1000
        logits[self._expected(read)] = EXPECTED
        return logits

    def _expected(self, read: tuple[int, ...]) -> int:
        """The word after the newest one, at its place if it stands where it should, else at its first."""
        at = len(read)
        if read and (at > len(self._sequence) or self._sequence[at - 1] != read[-1]):
            at = self._sequence.index(read[-1]) + 1
        return self._sequence[at] if at < len(self._sequence) else END
