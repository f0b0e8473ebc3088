"""Text by a compiled model that remembers what it read: a prompt costs one pass, and so does each token."""

from __future__ import annotations

from collections.abc import Generator as Stream

from clients.llm import Generate, Generation, Token
from services.llm import controls
from services.llm.backends.chat_prompt import ChatPrompt
from services.llm.decoding import Decoding
from services.llm.stopwatch import Stopwatch
from services.models import Shelved
from services.models.bundle import Bundle
from services.service import Call

from .plan import LONGER_NET
from .recall import Recalls

CONTROLS = controls.SAMPLING | controls.PENALTIES | controls.TEMPLATES | controls.STOPS | {"ban_tokens"}


class SophonChat:
    """A causal model with its keys and values on the device.

    Args:
        model: from the shelf.
        bundle: what was compiled.
        recalls: of the bundle.
        max_tokens: longest prompt with its answer; 0 is the longest net.

    Raises:
        BadRequest: a file of the tokenizer cannot be read.
    """

    def __init__(self, model: Shelved, bundle: Bundle, recalls: Recalls, *, max_tokens: int = 0) -> None:
        self.card = model.card
        self._recalls = recalls
        self._context = min(max_tokens or bundle.max_tokens, bundle.max_tokens)
        self._prompt = ChatPrompt(model.path, model.card.name)
        self._decoding = Decoding(model.card.name, self._prompt.spell, self._prompt.ends)

    def generate(self, request: Generate, call: Call) -> Stream[Token, None, Generation]:
        """Write token by token; looks at ``call`` before each, and while it waits for a device."""
        watch = Stopwatch()
        controls.refuse_unsupported(request, CONTROLS, "sophon")
        prompt = self._prompt.encode(request, call)
        fitting = controls.fitting(request, len(prompt), self.card.name, self._context, LONGER_NET)
        return self._write(prompt, fitting, call, watch)

    def close(self) -> None:
        """Let go of the devices."""
        self._recalls.close()

    def _write(
        self, prompt: list[int], request: Generate, call: Call, watch: Stopwatch
    ) -> Stream[Token, None, Generation]:
        with self._recalls.lent(call) as recall:
            watch.begin()
            return (yield from self._decoding.write(recall, prompt, request, call, watch))
