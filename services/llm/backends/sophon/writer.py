"""Text by a compiled model without a memory: for each token the whole answer so far is read again.

For short answers on a device that serves vectors and scores too. A pass costs the same however little is new.
"""

from __future__ import annotations

from collections.abc import Generator as Stream
from collections.abc import Sequence

import numpy as np

from clients.llm import Generate, Generation, Token
from services.llm import controls
from services.llm.backends.chat_prompt import ChatPrompt
from services.llm.decoding import Decoding
from services.llm.stopwatch import Stopwatch
from services.models import Shelved
from services.models.bundle import Bundle
from services.service import Call

from .passes import Outputs
from .plan import LONGER_NET

CONTROLS = (
    controls.SAMPLING | controls.PENALTIES | controls.TEMPLATES | controls.STOPS | controls.BEAMS | {"ban_tokens"}
)


class SophonWriter:
    """A causal model that tells the next token.

    Args:
        model: from the shelf.
        bundle: what was compiled.
        passes: of the bundle.
        max_tokens: longest prompt with its answer; 0 is the longest net.

    Raises:
        BadRequest: a file of the tokenizer cannot be read.
    """

    def __init__(self, model: Shelved, bundle: Bundle, passes: Outputs, *, max_tokens: int = 0) -> None:
        self.card = model.card
        self._passes = passes
        self._context = min(max_tokens or bundle.max_tokens, bundle.max_tokens)
        self._prompt = ChatPrompt(model.path, model.card.name)
        self._decoding = Decoding(model.card.name, self._prompt.spell, self._prompt.ends)

    def generate(self, request: Generate, call: Call) -> Stream[Token, None, Generation]:
        """Write token by token; looks at ``call`` before each."""
        watch = Stopwatch()
        controls.refuse_unsupported(request, CONTROLS, "sophon")
        prompt = self._prompt.encode(request, call)
        request = controls.fitting(request, len(prompt), self.card.name, self._context, LONGER_NET)
        watch.begin()
        return self._decoding.write(_Reader(self._passes), prompt, request, call, watch)

    def close(self) -> None:
        """Let go of the devices."""
        self._passes.close()


class _Reader:
    """An answer as it grows, in as many branches as are searched."""

    def __init__(self, passes: Outputs) -> None:
        self._passes = passes
        self._texts: list[list[int]] = []

    def read(self, prompt: Sequence[int]) -> np.ndarray:
        self._texts = [list(prompt)]
        first: np.ndarray = self._logits()[0]
        return first

    def expand(self, parents: Sequence[int], tokens: Sequence[int]) -> np.ndarray:
        self._texts = [[*self._texts[parent], token] for parent, token in zip(parents, tokens, strict=True)]
        return self._logits()

    def _logits(self) -> np.ndarray:
        return self._passes.outputs([np.array(text, np.int32) for text in self._texts])
