"""Chat models in GGUF files by OpenVINO GenAI, several answers at a time.

One thread steps the model; each step advances every answer by a token, so a second caller does not
wait for the first. Prompts share what they have in common through the runtime's prefix cache.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Generator as Stream
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from clients.errors import BackendError, Busy, ModelNotLoaded, TooLarge
from clients.llm import Generate, Generation, Token, Usage
from services.llm.controls import refuse_unsupported
from services.llm.stopping import Stopper
from services.models import Shelved
from services.service import Call

log = logging.getLogger(__name__)

# Room for prompts and answers: 12 kB a token for the small models.
KV_TOKENS = 16384
KV_BLOCK_TOKENS = 32
PREFILL_TOKENS = 256
DEFAULT_CONTEXT_TOKENS = 4096
MAX_ANSWERS = 8
CHECK_S = 0.1
CONTROLS = frozenset(
    {"temperature", "top_p", "top_k", "seed", "stop", "presence_penalty", "frequency_penalty", "repetition_penalty"}
)
REPLACEMENT = "\ufffd"


@dataclass(slots=True)
class _Spelling:
    """Token ids that become text as soon as their bytes are whole characters."""

    tokenizer: Any
    ids: list[int] = field(default_factory=list)
    first: int = 0
    shown: int = 0

    def add(self, ids: list[int]) -> str:
        self.ids.extend(ids)
        before = self._decode(self.first, self.shown)
        after = self._decode(self.first, len(self.ids))
        if len(after) <= len(before) or after.endswith(REPLACEMENT):
            return ""
        self.first, self.shown = self.shown, len(self.ids)
        return after[len(before) :]

    def rest(self) -> str:
        return self._decode(self.first, len(self.ids))[len(self._decode(self.first, self.shown)) :]

    def _decode(self, first: int, last: int) -> str:
        return str(self.tokenizer.decode(self.ids[first:last])) if last > first else ""


class OpenVINOChat:
    """A GGUF model.

    Args:
        model: from the shelf, or a .gguf file.
        threads: processor threads.
        max_tokens: longest prompt with its answer; 0 is the model's own limit.

    Raises:
        BackendError: the runtime cannot read the file.
    """

    def __init__(self, model: Shelved, *, threads: int = 1, max_tokens: int = 0) -> None:
        import openvino_genai

        self._genai = openvino_genai
        limits = (max_tokens, model.card.max_tokens or DEFAULT_CONTEXT_TOKENS, KV_TOKENS // 2)
        self._context_tokens = min(filter(None, limits))
        self.card = model.card
        settings = {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
        path = str(model.path / model.card.weights)
        try:
            self._pipeline = openvino_genai.ContinuousBatchingPipeline(path, self._schedule(), "CPU", settings)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO GenAI cannot load '{path}': {error}") from error
        self._tokenizer = self._pipeline.get_tokenizer()
        self._ends = set(self._pipeline.get_config().stop_token_ids) | {self._tokenizer.get_eos_token_id()}
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._answers: set[Any] = set()
        self._failure: BackendError | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._steps, name="generate", daemon=True)
        self._thread.start()

    def generate(self, request: Generate, call: Call) -> Stream[Token, None, Generation]:
        """Write token by token; a caller who leaves frees the model within one token."""
        refuse_unsupported(request, CONTROLS, "openvino")
        start = time.monotonic()
        prompt = self._encode(request)
        num_prompt = int(prompt.get_shape()[1])
        max_new = min(request.max_tokens, self._context_tokens - num_prompt)
        if max_new < 1:
            raise TooLarge(
                f"the prompt has {num_prompt} tokens; '{self.card.name}' takes {self._context_tokens} with the answer",
                help="send fewer or shorter passages",
            )
        stopper, spelling = Stopper(request.stop), _Spelling(self._tokenizer)
        first_token_s = 0.0
        finish = "stop"
        for ids, reason in self._answer(prompt, self._settings(request, max_new), call):
            first_token_s = first_token_s or time.monotonic() - start
            if text := stopper.feed(spelling.add(ids)):
                yield Token(text)
            finish = "stop" if stopper.is_stopped else reason
            if stopper.is_stopped:
                break
        if text := stopper.feed(spelling.rest()) + stopper.flush():
            yield Token(text)
        usage = Usage(num_prompt, len(spelling.ids), first_token_s, time.monotonic() - start)
        return Generation(stopper.text, "length" if finish == "length" else "stop", self.card.name, usage)

    def close(self) -> None:
        """End the thread; answers that are being written get an error."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _answer(self, prompt: Any, settings: Any, call: Call) -> Iterator[tuple[list[int], str]]:
        """Pairs of new token ids and, with the last ones, why it ended."""
        handle = self._admit(prompt, settings)
        finish = ""
        try:
            while not finish:
                self._wait(handle, call)
                ids: list[int] = []
                while handle.can_read():
                    for output in handle.read().values():
                        ids.extend(output.generated_ids)
                        finish = finish or self._finish(output.finish_reason)
                yield self._without_end(ids), finish
        finally:
            with self._changed:
                handle.cancel()
                self._answers.discard(handle)
                self._changed.notify_all()

    def _admit(self, prompt: Any, settings: Any) -> Any:
        with self._changed:
            self._raise_if_down()
            if len(self._answers) >= MAX_ANSWERS:
                raise Busy(f"'{self.card.name}' is writing {MAX_ANSWERS} answers already", retry_after_s=1.0)
            try:
                handle = self._pipeline.add_request(next(self._numbers), prompt, settings)
            except RuntimeError as error:
                raise BackendError(f"OpenVINO GenAI refused the request: {error}") from error
            self._answers.add(handle)
            self._changed.notify_all()
        return handle

    def _wait(self, handle: Any, call: Call) -> None:
        with self._changed:
            while not handle.can_read():
                call.check()
                self._raise_if_down()
                self._changed.wait(CHECK_S)
        call.check()

    def _raise_if_down(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._is_closed:
            raise ModelNotLoaded("the generation model was put away", help="try again")

    def _steps(self) -> None:
        while True:
            with self._changed:
                while not self._is_closed and not self._pipeline.has_non_finished_requests():
                    self._changed.wait()
                if self._is_closed:
                    self._abandon()
                if not self._pipeline.has_non_finished_requests():
                    return
            try:
                self._pipeline.step()
            except RuntimeError as error:
                log.exception("the generation model failed")
                with self._changed:
                    self._failure = BackendError(
                        f"the generation model failed: {error}", help="restart the llm service"
                    )
                    self._changed.notify_all()
                return
            with self._changed:
                self._changed.notify_all()

    def _abandon(self) -> None:
        """Cancel what is being written; the runtime wants one more step to let go of it."""
        for handle in self._answers:
            handle.cancel()

    def _encode(self, request: Generate) -> Any:
        text = request.prompt
        if request.messages:
            turns = [{"role": turn.role, "content": turn.content} for turn in request.messages]
            text = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True)
        # One more than fits, or the runtime would cut a longer prompt without a word.
        return self._tokenizer.encode(text, add_special_tokens=False, max_length=self._context_tokens + 1).input_ids

    def _settings(self, request: Generate, max_new: int) -> Any:
        settings = self._pipeline.get_config()
        settings.apply_chat_template = False
        settings.max_new_tokens = max_new
        settings.repetition_penalty = request.repetition_penalty
        settings.presence_penalty = request.presence_penalty
        settings.frequency_penalty = request.frequency_penalty
        settings.do_sample = request.temperature > 0
        if settings.do_sample:
            settings.temperature = request.temperature
            settings.top_p = request.top_p
            if request.top_k:
                settings.top_k = request.top_k
            settings.rng_seed = request.seed if request.seed is not None else secrets.randbits(31)
        return settings

    def _schedule(self) -> Any:
        schedule = self._genai.SchedulerConfig()
        schedule.num_kv_blocks = KV_TOKENS // KV_BLOCK_TOKENS
        schedule.max_num_batched_tokens = PREFILL_TOKENS
        schedule.dynamic_split_fuse = True
        schedule.enable_prefix_caching = True
        return schedule

    def _finish(self, reason: Any) -> str:
        reasons = self._genai.GenerationFinishReason
        return {reasons.STOP: "stop", reasons.LENGTH: "length"}.get(reason, "")

    def _without_end(self, ids: list[int]) -> list[int]:
        return [number for number in ids if number not in self._ends]
