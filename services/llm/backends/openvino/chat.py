"""Chat models in GGUF files, several answers at a time.

GenAI's pipeline writes most answers: each of its steps advances all of them by a token, and prompts share
what they have in common through its prefix cache. What it cannot do, or not rightly, is decoded by our own
loop over the logits of the same graph: see EXACT.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator as Stream
from pathlib import Path
from typing import Any

from clients.errors import BadRequest
from clients.llm import Generate, Generation, Token
from services.llm.controls import (
    BEAMS,
    JSON,
    PENALTIES,
    SAMPLING,
    STOPS,
    TEMPLATES,
    fitting,
    refuse_unsupported,
    set_controls,
)
from services.llm.decoding import Decoding
from services.llm.spelling import Spelling
from services.llm.stopping import Stopper
from services.llm.stopwatch import Stopwatch
from services.llm.templates import render
from services.llm.turns import Turns
from services.models import Shelved
from services.service import Call

from .gguf_model import GGUFModel
from .logits import StatefulReader
from .stepping import Stepping

# Room for prompts and answers: 12 kB a token for the small models.
KV_TOKENS = 16384
DEFAULT_CONTEXT_TOKENS = 4096
MAX_ANSWERS = 8
MAX_EXACT = 2
MAX_WAITING = 64
# GenAI refuses 1, which leaves the likeliest token only.
MOST_MIN_P = 0.999999
CONTROLS = SAMPLING | PENALTIES | STOPS | TEMPLATES | JSON | BEAMS | {"ban_tokens"}
# GenAI has no bans and no decay; its presence and frequency penalties raise negative logits instead of lowering
# them; all its answers draw from one stream of random numbers, so that a seed holds for one answer alone.
EXACT = BEAMS | {"ban_tokens", "presence_penalty", "frequency_penalty", "seed"}
# A model that thinks first spends a small max_tokens on it; whoever wants it says so.
OPTIONS = {"enable_thinking": False}
ANY_OBJECT = json.dumps({"type": "object"})


class OpenVINOChat:
    """A GGUF model.

    Args:
        model: from the shelf, or a .gguf file.
        threads: processor threads.
        max_tokens: longest prompt with its answer; 0 is the model's own limit.
        cache: directory for the graph that the file is translated to.
        any_tokenizer: take a file whose text the runtime splits by another rule than the model's.

    Raises:
        BadRequest: the runtime would misread the file.
        BackendError: the runtime cannot read the file.
    """

    def __init__(
        self,
        model: Shelved,
        *,
        threads: int = 1,
        max_tokens: int = 0,
        cache: Path | None = None,
        any_tokenizer: bool = False,
    ) -> None:
        limits = (max_tokens, model.card.max_tokens or DEFAULT_CONTEXT_TOKENS, KV_TOKENS // 2)
        self._context_tokens = min(filter(None, limits))
        self.card = model.card
        self._model = GGUFModel(model, threads, cache, any_tokenizer=any_tokenizer)
        self._tokenizer = self._model.tokenizer()
        self._end = int(self._tokenizer.get_eos_token_id())
        self._decoding = Decoding(model.card.name, self._decode, {self._end})
        self._stepping = Stepping(lambda: self._model.pipeline(self._tokenizer, KV_TOKENS))
        self._turns, self._exact_turns = Turns(MAX_ANSWERS, MAX_WAITING), Turns(MAX_EXACT, MAX_WAITING)

    def generate(self, request: Generate, call: Call) -> Stream[Token, None, Generation]:
        """Write token by token; a caller who leaves frees the model within one token."""
        refuse_unsupported(request, CONTROLS, "openvino")
        is_exact = _is_exact(request)
        watch = Stopwatch()
        prompt = self._encode(request, call)
        request = self._fitting(request, int(prompt.get_shape()[1]))
        with (self._exact_turns if is_exact else self._turns).take(call):
            watch.begin()
            if is_exact:
                return (yield from self._read_logits(prompt, request, call, watch))
            return (yield from self._step(prompt, request, call, watch))

    def close(self) -> None:
        """End the thread; answers that are being written get an error."""
        self._stepping.close()
        self._model.close()

    def _read_logits(
        self, prompt: Any, request: Generate, call: Call, watch: Stopwatch
    ) -> Stream[Token, None, Generation]:
        reader = StatefulReader(self._model.reader(), call)
        return self._decoding.write(reader, prompt.data[0].tolist(), request, call, watch)

    def _step(self, prompt: Any, request: Generate, call: Call, watch: Stopwatch) -> Stream[Token, None, Generation]:
        stopper, spelling = Stopper(request.stop), Spelling(self._decode)
        ends = {self._end, *request.stop_tokens}
        finish = "stop"
        for ids, reason in self._stepping.write(prompt, self._settings(request), call, is_json=_is_json(request)):
            written = [number for number in ids if number not in ends]
            watch.note(len(written))
            if text := stopper.feed(spelling.add(written)):
                yield Token(text)
            finish = "stop" if stopper.is_stopped else reason
            if stopper.is_stopped:
                break
        if text := stopper.feed(spelling.rest()) + stopper.flush():
            yield Token(text)
        usage = watch.usage(int(prompt.get_shape()[1]))
        return Generation(stopper.text, "length" if finish == "length" else "stop", self.card.name, usage)

    def _encode(self, request: Generate, call: Call) -> Any:
        text = request.prompt
        if request.messages:
            text = render(
                self._template(request), request.messages, OPTIONS | request.template_options, call, self._special()
            )
        # One more than fits, or the runtime would cut a longer prompt without a word.
        return self._tokenizer.encode(text, add_special_tokens=False, max_length=self._context_tokens + 1).input_ids

    def _template(self, request: Generate) -> str:
        template = request.template or self._tokenizer.get_original_chat_template()
        if not template:
            raise BadRequest(
                f"'{self.card.name}' has no chat template", help="send a template with the messages, or a plain prompt"
            )
        return str(template)

    def _special(self) -> dict[str, str]:
        tokenizer = self._tokenizer
        return {"bos_token": tokenizer.get_bos_token(), "eos_token": tokenizer.get_eos_token()}

    def _fitting(self, request: Generate, num_prompt: int) -> Generate:
        if num_prompt == 0:
            raise BadRequest("the prompt is empty")
        return fitting(request, num_prompt, self.card.name, self._context_tokens)

    def _settings(self, request: Generate) -> Any:
        import openvino_genai

        settings = self._stepping.settings()
        settings.apply_chat_template = False
        settings.set_eos_token_id(self._end)
        settings.stop_token_ids = {self._end, *request.stop_tokens}
        settings.max_new_tokens = request.max_tokens
        settings.repetition_penalty = request.repetition_penalty
        if _is_json(request):
            schema = request.json_schema or ANY_OBJECT
            settings.structured_output_config = openvino_genai.StructuredOutputConfig(json_schema=schema)
        settings.do_sample = request.temperature > 0
        if settings.do_sample:
            settings.temperature = request.temperature
            settings.top_p = request.top_p
            settings.min_p = min(request.min_p, MOST_MIN_P)
            if request.top_k:
                settings.top_k = request.top_k
            settings.rng_seed = secrets.randbits(31)
        return settings

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids))


def _is_json(request: Generate) -> bool:
    return request.format == "json" or bool(request.json_schema)


def _is_exact(request: Generate) -> bool:
    """Whether our own loop writes; BadRequest for what neither that nor GenAI can do."""
    wanted = EXACT.intersection(set_controls(request))
    if request.temperature == 0.0:
        wanted -= {"seed"}
    if wanted and _is_json(request):
        raise BadRequest(
            f"the openvino backend cannot keep to JSON and honour '{min(wanted)}' in one answer",
            help="leave one of the two out",
        )
    return bool(wanted)
