"""Which answers are being made right now, whoever watches: a page may come, go and come back.

Each question runs in a thread of this process and fills a buffer; pages read the buffer from any
offset. A stop cancels the call in the mesh. The end of a run, stopped ones too, is stored before the
run counts as over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from clients import Events
from clients.answers import Event
from clients.errors import Busy, Internal, RagqError
from clients.index import Turn

from .exchanges import Exchange, told, turn_of

LOG = logging.getLogger("ragq.ui")
MAX_RUNNING = 32
MAX_KEPT = 200

Ask = Callable[[], Events]
Save = Callable[[Turn], None]


class Run:
    """One question on its way to its answer; safe to use from any thread.

    Attributes:
        error: why it failed, once it has.
        save_error: why its end could not be stored.
    """

    def __init__(self, chat_id: str, question: str, collection: str, began_at: float) -> None:
        self.chat_id = chat_id
        self.began_at = began_at
        self.error: RagqError | None = None
        self.save_error: RagqError | None = None
        self._exchange = Exchange(question, collection, created_at=began_at)
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._is_closed = False
        self._is_over = False
        self._cancel: Callable[[], None] = lambda: None

    @property
    def question(self) -> str:
        """What was asked."""
        return self._exchange.question

    @property
    def exchange(self) -> Exchange:
        """The question and as much of the answer as there is."""
        with self._changed:
            return self._exchange

    @property
    def num_events(self) -> int:
        """How many events there are so far: the offset to go on from."""
        with self._changed:
            return len(self._events)

    @property
    def is_over(self) -> bool:
        """Whether it has ended and its end was stored, or could not be."""
        with self._changed:
            return self._is_over

    @property
    def has_failed(self) -> bool:
        """Whether it has ended without an answer, or with one that could not be stored."""
        with self._changed:
            return self._is_over and (self.error is not None or self.save_error is not None)

    @property
    def is_closed(self) -> bool:
        """Whether no event can come any more; the end may still be on its way to the Index service."""
        with self._changed:
            return self._is_closed

    def events(self, offset: int = 0, timeout_s: float = 0.0) -> list[Event]:
        """The events from ``offset`` on; waits for one at most ``timeout_s`` while there is none."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._events) > offset or self._is_closed, timeout_s)
            return self._events[offset:]

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is over; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_over, timeout_s)

    def add(self, event: Event) -> bool:
        """Take an event; False when the run is closed and wants no more."""
        with self._changed:
            if self._is_closed:
                return False
            self._events.append(event)
            self._exchange = told(self._exchange, [event])
            self._changed.notify_all()
            return True

    def close(self, error: RagqError | None = None) -> bool:
        """No event after this; False when somebody else closed it first."""
        with self._changed:
            if self._is_closed:
                return False
            self._is_closed, self.error = True, error
            self._changed.notify_all()
            return True

    def comes_from(self, events: Events) -> None:
        """Remember what a stop has to cancel; a run that was stopped before it began cancels at once."""
        with self._changed:
            self._cancel = events.cancel
            is_closed = self._is_closed
        if is_closed:
            events.cancel()

    def cancel(self) -> None:
        """End the call in the mesh."""
        with self._changed:
            cancel = self._cancel
        cancel()

    def mark_stopped(self) -> None:
        """Remember that a person ended it."""
        with self._changed:
            self._exchange = replace(self._exchange, is_stopped=True)

    def finish(self, save_error: RagqError | None = None) -> None:
        """It is over; watchers are told."""
        with self._changed:
            self._is_over, self.save_error = True, save_error
            self._changed.notify_all()


class Runs:
    """The runs of this process, at most one for each chat.

    Args:
        save: stores a finished turn; it may raise RagqError.
        clock: seconds since 1970.
    """

    def __init__(self, save: Save, clock: Callable[[], float] = time.time) -> None:
        self._save = save
        self._clock = clock
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}

    def start(self, chat_id: str, question: str, collection: str, ask: Ask) -> Run:
        """Ask in a thread of its own.

        Args:
            chat_id: one that waits for no answer.
            question: as it was typed.
            collection: where to look.
            ask: begins the call and returns its events.

        Raises:
            Busy: this chat waits for an answer already, or too many chats do.
        """
        run = Run(chat_id, question, collection, self._clock())
        with self._lock:
            self._make_room(chat_id)
            self._runs[chat_id] = run
        threading.Thread(target=self._work, args=(run, ask), name=f"ask-{chat_id}", daemon=True).start()
        return run

    def of(self, chat_id: str) -> Run | None:
        """The newest run of a chat, under way or over."""
        with self._lock:
            return self._runs.get(chat_id)

    def stop(self, chat_id: str) -> None:
        """End the run of a chat and keep what it has said so far; nothing happens when there is none."""
        run = self.of(chat_id)
        if run is not None and run.close():
            run.mark_stopped()
            run.cancel()
            self.keep(run)

    def keep(self, run: Run) -> None:
        """Store the end of a run, for the first time or again."""
        try:
            self._save(turn_of(run.chat_id, run.exchange))
        except RagqError as error:
            run.finish(error)
        else:
            run.finish()

    def forget(self, chat_id: str) -> None:
        """Drop a run that is over: its turn is stored, or nobody wants it any more."""
        with self._lock:
            run = self._runs.get(chat_id)
            if run is not None and run.is_over:
                del self._runs[chat_id]

    def _make_room(self, chat_id: str) -> None:
        running = [run for run in self._runs.values() if not run.is_over]
        if any(run.chat_id == chat_id for run in running):
            raise Busy("this chat is still being answered", help="wait for the answer, or stop it")
        if len(running) >= MAX_RUNNING:
            raise Busy(f"{MAX_RUNNING} questions are being answered at this moment", help="try again in a moment")
        for old in [run for run in self._runs.values() if run.is_over][:-MAX_KEPT]:
            del self._runs[old.chat_id]

    def _work(self, run: Run, ask: Ask) -> None:
        error = _drain(run, ask)
        if run.close(error):
            if error is None:
                self.keep(run)
            else:
                run.finish()


def _drain(run: Run, ask: Ask) -> RagqError | None:
    """Move every event into the run until the end or a stop; why it failed, or None."""
    try:
        with closing(ask()) as events:
            run.comes_from(events)
            for event in events:
                if not run.add(event):
                    break
    except RagqError as error:
        return error
    except Exception as error:
        LOG.exception("a question ended with a defect")
        return Internal(f"{type(error).__name__}: {error}", help="the log of the page's process has the details")
    return None
