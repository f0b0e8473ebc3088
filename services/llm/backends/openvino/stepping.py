"""One thread that steps a pipeline; each step gives every answer that is being written a token."""

from __future__ import annotations

import itertools
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from clients.errors import BackendError, BadRequest, ModelNotLoaded, RagqError
from services.service import Call

log = logging.getLogger(__name__)

CHECK_S = 0.1
ENDS = {"STOP": "stop", "LENGTH": "length"}


@dataclass(slots=True, eq=False)
class Answer:
    """One that is being written.

    Attributes:
        handle: the runtime's.
        is_json: it keeps to a grammar, which the runtime reads at its first token.
        has_begun: a token of it has come.
        failure: why there will be no more.
    """

    handle: Any
    is_json: bool
    has_begun: bool = False
    failure: RagqError | None = None


class Stepping:
    """A pipeline, and the thread that steps it.

    A step that fails leaves the runtime's scheduler in the middle of its work, for good: the pipeline is
    built anew, and the next call works. Answers under way get an error; where a schema that the runtime
    cannot use was the reason, only its caller does, and the others go on in the new pipeline.

    Args:
        build: makes a pipeline.
    """

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build
        self._pipeline = build()
        self.settings = self._pipeline.get_config
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._answers: set[Answer] = set()
        self._failure: BackendError | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._steps, name="generate", daemon=True)
        self._thread.start()

    def write(self, prompt: Any, settings: Any, call: Call, *, is_json: bool) -> Iterator[tuple[list[int], str]]:
        """Pairs of new token ids and, with the last ones, why it ended: stop or length.

        Raises:
            BadRequest: the runtime cannot keep to the JSON schema.
            BackendError: the runtime failed.
            ModelNotLoaded: it was closed.
        """
        written: list[int] = []
        finish = ""
        while not finish:
            try:
                for ids, finish in self._once(_after(prompt, written), settings, call, is_json=is_json):
                    written += ids
                    yield ids, finish
            except _Interrupted:
                settings.max_new_tokens -= len(written)

    def _once(self, prompt: Any, settings: Any, call: Call, *, is_json: bool) -> Iterator[tuple[list[int], str]]:
        """As ``write``, until the pipeline is built anew because of another answer."""
        answer = self._admit(prompt, settings, call, is_json=is_json)
        finish = ""
        try:
            while not finish:
                self._wait(answer, call)
                ids, finish = self._take(answer)
                yield ids, finish
        finally:
            with self._changed:
                answer.handle.cancel()
                self._answers.discard(answer)
                self._changed.notify_all()

    def close(self) -> None:
        """End the thread; answers that are being written get an error."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()
        self._pipeline = None

    def _admit(self, prompt: Any, settings: Any, call: Call, *, is_json: bool) -> Answer:
        with self._changed:
            while self._pipeline is None and not self._is_closed and self._failure is None:
                call.check()
                self._changed.wait(CHECK_S)
            self._raise_if_down()
            try:
                answer = Answer(self._pipeline.add_request(next(self._numbers), prompt, settings), is_json)
            except RuntimeError as error:
                raise BackendError(f"OpenVINO GenAI refused the request: {error}") from error
            self._answers.add(answer)
            self._changed.notify_all()
        return answer

    def _wait(self, answer: Answer, call: Call) -> None:
        with self._changed:
            while not answer.handle.can_read():
                call.check()
                if answer.failure is not None:
                    raise answer.failure
                self._raise_if_down()
                self._changed.wait(CHECK_S)
        call.check()

    def _take(self, answer: Answer) -> tuple[list[int], str]:
        ids: list[int] = []
        finish = ""
        while answer.handle.can_read():
            for output in answer.handle.read().values():
                ids.extend(output.generated_ids)
                finish = finish or ENDS.get(output.finish_reason.name, "")
        answer.has_begun = True
        return ids, finish

    def _raise_if_down(self) -> None:
        if self._is_closed:
            raise ModelNotLoaded("the generation model was put away", help="try again")
        if self._failure is not None:
            raise self._failure

    def _steps(self) -> None:
        while self._has_work():
            try:
                self._pipeline.step()
            except RuntimeError as error:
                log.exception("the generation model failed; its pipeline is built anew")
                self._renew(error)
            with self._changed:
                self._changed.notify_all()

    def _has_work(self) -> bool:
        """Wait for answers to write; False when it is closed and the last is let go of."""
        with self._changed:
            if self._pipeline is None:
                return False
            while not self._is_closed and not self._pipeline.has_non_finished_requests():
                self._changed.wait()
            if self._is_closed:
                for answer in self._answers:
                    answer.handle.cancel()
            return bool(self._pipeline.has_non_finished_requests())

    def _renew(self, error: RuntimeError) -> None:
        with self._changed:
            is_schema = "grammar" in str(error) and any(map(_awaits_grammar, self._answers))
            for answer in self._answers:
                answer.failure = _failure(answer, error, is_schema=is_schema)
            self._answers.clear()
            self._pipeline = None
            self._changed.notify_all()
        try:
            pipeline, failure = self._build(), None
        except BackendError as second:
            pipeline, failure = None, second
        with self._changed:
            self._pipeline, self._failure = pipeline, failure
            self._changed.notify_all()


class _Interrupted(BackendError):
    """The pipeline failed because of another answer; this one can go on in a new one."""


def _awaits_grammar(answer: Answer) -> bool:
    return answer.is_json and not answer.has_begun


def _failure(answer: Answer, error: RuntimeError, *, is_schema: bool) -> RagqError:
    if is_schema and _awaits_grammar(answer):
        return BadRequest(f"the runtime cannot keep to this json_schema: {_reason(error)}")
    if is_schema and not answer.is_json:
        return _Interrupted("the pipeline is built anew")
    return BackendError(f"the generation model failed: {_reason(error)}", help="try again; it is being loaded anew")


def _after(prompt: Any, written: list[int]) -> Any:
    """The prompt with what was written, as one to continue."""
    import openvino

    if not written:
        return prompt
    return openvino.Tensor(np.concatenate([prompt.data, np.array([written], prompt.data.dtype)], axis=1))


def _reason(error: RuntimeError) -> str:
    """The last line that says something, without places in the runtime's sources."""
    line = [line.strip() for line in str(error).splitlines() if line.strip()][-1]
    return re.sub(r"^\[[\d:]+\] \S+: ", "", line)[:500]
