"""Text by torch: causal models that chat, several answers at a time."""

from __future__ import annotations

import queue
from collections.abc import Generator as Stream
from collections.abc import Iterator

import torch

from clients.llm import Generate, Generation, Token
from services.llm import controls
from services.llm.backends.chat_prompt import ChatPrompt
from services.llm.decoding import Decoding
from services.llm.spelling import Spelling
from services.llm.stopping import Stopper
from services.llm.stopwatch import Stopwatch
from services.models import Shelved
from services.service import Call

from .answers import Answer, Answers, News
from .branches import Branches
from .decoder import Decoder
from .device import Place
from .loading import load
from .passes import Passes
from .slots import Slots, slot_bytes
from .stepper import stepper

CONTROLS = (
    controls.SAMPLING | controls.PENALTIES | controls.TEMPLATES | controls.STOPS | controls.BEAMS | {"ban_tokens"}
)
MAX_ANSWERS = 8
# Longest prompt with its answer, unless max_tokens says otherwise.
CONTEXT_TOKENS = 8192
# Of the free memory that the remembered keys and values may take; passes need the rest.
SHARE = 0.5
CHECK_S = 0.1


class TorchGenerator:
    """A causal model such as Qwen3, Qwen2 or Llama.

    Args:
        model: from the shelf.
        place: device and dtype.
        max_tokens: longest prompt with its answer; 0 is the model's own limit, and at most 8192.
        has_graphs: replay CUDA graphs; only on a GPU.

    Raises:
        BadRequest: the files are no such model.
        TooLarge: the weights, or the keys and values of one answer, do not fit the device.
    """

    def __init__(self, model: Shelved, place: Place, *, max_tokens: int = 0, has_graphs: bool = False) -> None:
        self.card = model.card
        loaded = load(model, place)
        self._decoder = loaded.decoder()
        self._context = min(
            filter(None, (max_tokens or CONTEXT_TOKENS, model.card.max_tokens, self._decoder.max_tokens))
        )
        self._prompt = ChatPrompt(model.path, model.card.name)
        self._decoding = Decoding(model.card.name, self._prompt.spell, self._prompt.ends)
        self._passes = Passes(place, model.card.name)
        slots = Slots(self._decoder, num_slots(self._decoder, self._context), self._context)
        self._answers = Answers(stepper(self._decoder, slots, has_graphs=has_graphs), self._passes, slots.number)

    def generate(self, request: Generate, call: Call) -> Stream[Token, None, Generation]:
        """Write token by token; a caller who leaves frees the slot before the next token."""
        watch = Stopwatch()
        controls.refuse_unsupported(request, CONTROLS, "torch")
        prompt = self._prompt.encode(request, call)
        fitting = controls.fitting(request, len(prompt), self.card.name, self._context)
        if request.beams:
            watch.begin()
            branches = Branches(self._decoder, self._passes, fitting, len(prompt))
            return self._decoding.write(branches, prompt, fitting, call, watch)
        ends = self._decoding.ends | set(request.stop_tokens)
        return self._tell(Answer(prompt, request, frozenset(ends), fitting.max_tokens, watch), call)

    def close(self) -> None:
        """End the thread; answers that are being written get an error."""
        self._answers.close()
        del self._answers, self._decoder
        torch.cuda.empty_cache()

    def _tell(self, answer: Answer, call: Call) -> Stream[Token, None, Generation]:
        """Turn the news of an answer into text."""
        stopper, spelling = Stopper(answer.request.stop), Spelling(self._prompt.spell)
        finish = ""
        for news in self._news(answer, call):
            finish = news.finish
            if news.token is not None and news.token not in answer.ends:
                if text := stopper.feed(spelling.add([news.token])):
                    yield Token(text)
                if stopper.is_stopped:
                    break
        if text := stopper.feed(spelling.rest()) + stopper.flush():
            yield Token(text)
        usage = answer.watch.usage(len(answer.prompt), answer.num_cached)
        is_cut = finish == "length" and not stopper.is_stopped
        return Generation(stopper.text, "length" if is_cut else "stop", self.card.name, usage)

    def _news(self, answer: Answer, call: Call) -> Iterator[News]:
        self._answers.add(answer)
        try:
            news = News()
            while not news.finish:
                news = _next(answer, call)
                if news.error is not None:
                    raise news.error
                answer.watch.note()
                yield news
        finally:
            self._answers.leave(answer)


def num_slots(decoder: Decoder, num_tokens: int) -> int:
    """Answers that are written at a time: as many as fit, at most ``MAX_ANSWERS``.

    Raises:
        TooLarge: not even one fits.
    """
    each = slot_bytes(decoder, num_tokens)
    free = decoder.place.free_bytes()
    if not free:
        return MAX_ANSWERS
    decoder.place.check_fits(each, f"an answer of {num_tokens} tokens")
    return max(1, min(MAX_ANSWERS, int(free * SHARE) // each))


def _next(answer: Answer, call: Call) -> News:
    while True:
        call.check()
        try:
            return answer.news.get(timeout=min(CHECK_S, call.remaining_s))
        except queue.Empty:
            continue
