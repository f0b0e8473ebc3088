"""How are several answers written at a time: each joins and leaves between two steps of the model."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Literal

from clients.errors import BackendError, Busy, ModelNotLoaded, RagqError
from clients.llm import Generate
from services.llm.sampling import Sampler
from services.llm.stopwatch import Stopwatch

from .passes import Passes
from .seats import Seat, Seats
from .stepper import Stepper

log = logging.getLogger(__name__)

# Of a long prompt so much is read between two steps, so that those who write do not stand still.
CHUNK_TOKENS = {"cpu": 256, "cuda": 4096}


@dataclass(frozen=True, slots=True)
class News:
    """What happened to an answer: a token, or its end.

    Attributes:
        token: the new one; None at the end.
        finish: why it ended, empty before.
        error: it ended by.
    """

    token: int | None = None
    finish: Literal["", "stop", "length"] = ""
    error: RagqError | None = None


@dataclass(slots=True, eq=False)
class Answer:
    """A text that is being written.

    Attributes:
        ends: token ids that end it.
        max_new: tokens that it may have.
        news: for the caller, one for each token and one for the end.
        is_gone: the caller left.
        num_read: tokens of the prompt that its seat holds.
        num_cached: of these, how many were there before.
        newest: token that was written last, and is not in the seat yet.
    """

    prompt: list[int]
    request: Generate
    ends: frozenset[int]
    max_new: int
    watch: Stopwatch
    sampler: Sampler = field(init=False)
    news: SimpleQueue[News] = field(default_factory=SimpleQueue)
    is_gone: bool = False
    seat: Seat | None = None
    num_read: int = 0
    num_cached: int = 0
    num_new: int = 0
    newest: int = -1

    def __post_init__(self) -> None:
        self.sampler = Sampler(self.request, self.prompt)

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is all that it wants, so that the device may pick it."""
        request = self.request
        return not request.temperature and not request.ban_tokens and request.repetition_penalty == 1.0 and not (
            request.presence_penalty or request.frequency_penalty
        )  # fmt: skip

    @property
    def num_held(self) -> int:
        """Tokens that its seat holds."""
        return len(self.seat.ids) if self.seat is not None else 0

    @property
    def is_reading(self) -> bool:
        """Whether part of the prompt is still to be read."""
        return self.num_read < len(self.prompt)


class Answers:
    """Writes answers on a thread of its own; safe for any number of callers.

    A turn reads a part of one prompt and then writes one token of every answer whose prompt has been read.

    Args:
        stepper: the model and its slots.
        passes: where its passes run.
        max_waiting: answers that may wait for a slot.
    """

    def __init__(self, stepper: Stepper, passes: Passes, max_waiting: int) -> None:
        self._stepper, self._passes, self._max_waiting = stepper, passes, max_waiting
        self._seats = Seats(stepper.slots.number)
        self._chunk = CHUNK_TOKENS[stepper.decoder.place.device.type]
        self._changed = threading.Condition()
        self._waiting: deque[Answer] = deque()
        self._seated: list[Answer] = []
        self._copies: list[tuple[int, int, int]] = []
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="generate", daemon=True)
        self._thread.start()

    def add(self, answer: Answer) -> None:
        """Queue one; its news tell the rest.

        Raises:
            Busy: too many wait already.
            ModelNotLoaded: the model was put away.
        """
        with self._changed:
            if self._is_closed:
                raise _put_away()
            if len(self._seated) + len(self._waiting) >= len(self._seats) + self._max_waiting:
                raise Busy(f"{len(self._waiting)} answers wait for the model already", retry_after_s=1.0)
            self._waiting.append(answer)
            self._changed.notify_all()

    def leave(self, answer: Answer) -> None:
        """Its caller wants no more; the slot falls free before the next token."""
        with self._changed:
            answer.is_gone = True
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread; answers that are being written end with an error."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while self._seat_the_next():
            try:
                self._passes.once(self._turn)
            except RagqError as error:
                self._fail(error)
            except Exception as error:  # whatever the runtime raises, the callers that wait must hear of it
                log.exception("the generation model failed")
                self._fail(BackendError(f"the generation model failed: {error}"))

    def _seat_the_next(self) -> bool:
        """Wait for work and give out free slots; False when all is over."""
        with self._changed:
            self._clear()
            while not (self._is_closed or self._seated or self._waiting):
                self._changed.wait()
                self._clear()
            if self._is_closed:
                for answer in [*self._seated, *self._waiting]:
                    answer.news.put(News(error=_put_away()))
                return False
            while self._waiting and self._seats.has_free:
                self._sit(self._waiting.popleft())
        return True

    def _clear(self) -> None:
        """Let go of the answers whose callers left."""
        self._waiting = deque(answer for answer in self._waiting if not answer.is_gone)
        for answer in [answer for answer in self._seated if answer.is_gone]:
            self._stand_up(answer)

    def _sit(self, answer: Answer) -> None:
        seating = self._seats.take(answer.prompt)
        if seating.source is not None:
            self._copies.append((seating.source.number, seating.seat.number, seating.num_kept))
        answer.seat, answer.num_read, answer.num_cached = seating.seat, seating.num_kept, seating.num_kept
        answer.watch.begin()
        self._seated.append(answer)

    def _stand_up(self, answer: Answer) -> None:
        assert answer.seat is not None
        self._seats.free(answer.seat)
        self._seated.remove(answer)

    def _turn(self) -> None:
        while self._copies:
            self._stepper.slots.copy(*self._copies[0])
            del self._copies[0]
        reading = next((answer for answer in self._seated if answer.is_reading), None)
        if reading is not None:
            self._read(reading)
        writing = [answer for answer in self._seated if not answer.is_reading]
        if writing:
            self._write(writing)

    def _read(self, answer: Answer) -> None:
        assert answer.seat is not None
        part = answer.prompt[answer.num_read : answer.num_read + self._chunk]
        logits = self._stepper.read(answer.seat.number, part, answer.num_read)
        answer.seat.ids += part
        answer.num_read += len(part)
        if not answer.is_reading:
            self._advance({0: answer}, logits[None])

    def _write(self, answers: Sequence[Answer]) -> None:
        seated = {answer.seat.number: answer for answer in answers if answer.seat is not None}
        newest = {number: (answer.newest, answer.num_held) for number, answer in seated.items()}
        logits = self._stepper.write(newest)
        for answer in answers:
            assert answer.seat is not None
            answer.seat.ids.append(answer.newest)
        self._advance(seated, logits)

    def _advance(self, answers: Mapping[int, Answer], logits: Any) -> None:
        """Choose the next token of each, given by row; the likeliest are found on the device, and fetched at once."""
        likeliest = logits.argmax(dim=-1).tolist()
        for row, answer in answers.items():
            try:
                chosen = likeliest[row] if answer.is_greedy else answer.sampler.next(logits[row].cpu().numpy())
            except RagqError as error:
                self._end(answer, News(error=error))
                continue
            self._note(answer, chosen)

    def _note(self, answer: Answer, token: int) -> None:
        answer.num_new += 1
        answer.newest = token
        if token in answer.ends:
            self._end(answer, News(token, "stop"))
        elif answer.num_new >= answer.max_new:
            self._end(answer, News(token, "length"))
        else:
            answer.news.put(News(token))

    def _end(self, answer: Answer, news: News) -> None:
        with self._changed:
            self._stand_up(answer)
        answer.news.put(news)

    def _fail(self, error: RagqError) -> None:
        with self._changed:
            for answer in list(self._seated):
                self._stand_up(answer)
                answer.news.put(News(error=error))
            self._seats.forget()
            self._copies.clear()


def _put_away() -> ModelNotLoaded:
    return ModelNotLoaded("the generation model was put away", help="try again")
