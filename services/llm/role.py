"""Which model fills a role now, why none does, and how one is exchanged for another.

An exchange loads the new model first and swaps them; calls under way end on the old one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol

from clients.config import Model
from clients.errors import ConfigError, MissingExtra, ModelNotLoaded, NotFound, RagqError, TooLarge
from clients.models import Reload, RoleName
from services.service import Call

from .choice import Choice, settings_of
from .seat import CHECK_S, Held, M, Seat

log = logging.getLogger(__name__)

NONE = "none"
# What may be otherwise at the next call, without a restart: the files are there, or memory is free.
PASSING = (ModelNotLoaded, TooLarge)


class Measure(Protocol):
    """Whether there is memory for a model."""

    def __call__(self, settings: Model, present: Model | None, *, goes: bool) -> int:
        """Bytes of its weights by estimate, 0 if unknown.

        Args:
            settings: the model.
            present: the one that fills the role now.
            goes: that one is let go before.

        Raises:
            TooLarge: it would not fit.
        """
        ...


def _unknown(settings: Model, present: Model | None, *, goes: bool) -> int:  # noqa: ARG001 - the shape of every measure
    return 0


@dataclass(frozen=True, slots=True)
class Loader(Generic[M]):
    """How a role gets a model that has worked once, and finds out whether there is room for it."""

    load: Callable[[Model], M]
    measure: Measure = _unknown


class Role(Generic[M]):
    """A role, its model once it is loaded, and what stands in the way until then.

    A model that was missing is looked for again at each call, so a pull needs no restart.

    Args:
        name: of the role.
        section: what ragq.yml says.
        loader: how it gets a model.
        choice: where a choice of another model is kept.
    """

    def __init__(self, name: RoleName, section: Model, loader: Loader[M], choice: Choice) -> None:
        self.name = name
        self.section = section
        self.settings = settings_of(section, choice.look() or Reload(name))
        self.seat: Seat[M] = Seat(name)
        self._loader = loader
        self._choice = choice
        self._looking = threading.Lock()
        self._loading = threading.Lock()
        self._error: RagqError | None = None
        self._is_closed = False
        self._remark = ""

    @contextmanager
    def lend(self, call: Call, wanted: str = "") -> Iterator[M]:
        """The model, for as long as the caller needs it; waits while it is being loaded.

        Raises:
            ModelNotLoaded: there is none; says why and what to do.
            NotFound: ``wanted`` names another one than the loaded one.
        """
        held = self._take(call)
        try:
            if wanted and wanted not in (held.model.card.name, held.settings.name):
                raise NotFound(f"no model '{wanted}' is loaded to {self.name}", help=f"loaded: {held.model.card.name}")
            yield held.model
        finally:
            self.seat.give_back(held)

    def peek(self) -> M | None:
        """The model if it is loaded."""
        held = self.seat.held
        return held.model if held else None

    @property
    def status(self) -> str:
        """``ready``, ``loading``, or why not."""
        if self.seat.held is not None:
            return "ready"
        if self.settings.name == NONE:
            return "off"
        return str(self._error) if self._error else "loading"

    @property
    def is_busy(self) -> bool:
        """Whether its model works, or has work to do."""
        held = self.seat.held
        return held is not None and held.is_busy

    @property
    def remark(self) -> str:
        """What else there is to say of it; may be empty."""
        if self._remark or self.settings == self.section:
            return self._remark
        return f"chosen instead of {self.section.name}"

    def fill(self) -> None:
        """Load the model; a failure becomes the role's status."""
        with self._alone(None):
            if self.settings.name == NONE or self.seat.held is not None or self._is_closed:
                return
            self._error = None
            try:
                self._put(self._load(self.settings), self.settings)
            except RagqError as failure:
                self._fail(failure)

    def fill_later(self) -> None:
        """Load in a thread of its own; calls that come before wait for it."""
        threading.Thread(target=self.fill, name=f"load-{self.name}", daemon=True).start()

    def exchange(self, wish: Reload, call: Call) -> tuple[str, float]:
        """Another model in place of the present one, here and at every other worker of this home.

        Returns:
            The name of the model that it replaced, empty when there was none, and the seconds that it took.

        Raises:
            BadRequest: there is no such dtype, or the files are no such model.
            ModelNotLoaded: the model, its backend or a package that it needs is not here.
            TooLarge: memory does not hold it.
            Cancelled, DeadlineExceeded: nobody waits any more; the present model stays.
        """
        start = time.monotonic()
        settings = settings_of(self.section, wish)
        with self._alone(call):
            present = self.peek()
            replaced = present.card.name if present else ""
            self._swap(settings, wish, call)
        return replaced, time.monotonic() - start

    def follow(self) -> None:
        """Look whether another worker was told to exchange the model; the present one serves until it is done."""
        with self._looking:
            wish = self._choice.look()
        if wish is not None and settings_of(self.section, wish) != self.settings:
            threading.Thread(target=self._catch_up, args=(wish,), name=f"follow-{self.name}", daemon=True).start()

    def close(self) -> None:
        """Let go of the model; calls under way get an error."""
        self._is_closed = True
        self._error = ModelNotLoaded(f"the model to {self.name} was put away", help="try again")
        self.seat.close()

    def _take(self, call: Call) -> Held[M]:
        self.follow()
        self._try_again()
        while True:
            self.seat.wait(lambda: bool(self.seat.held or self._error or self.settings.name == NONE), call)
            held = self.seat.take()
            if held is not None:
                return held
            if self._error or self.settings.name == NONE:
                raise self._failure()

    def _try_again(self) -> None:
        """Look once more for a model that was missing, in a thread of its own: it may take longer than a call has."""
        with self._looking:
            if isinstance(self._error, PASSING) and not self._is_closed:
                self._error = None
                self.fill_later()

    # -- loading ---------------------------------------------------------------------------------

    @contextmanager
    def _alone(self, call: Call | None) -> Iterator[None]:
        """One model is loaded at a time."""
        while not self._loading.acquire(timeout=CHECK_S if call else -1):
            if call:
                call.check()
        try:
            yield
        finally:
            self._loading.release()

    def _load(self, settings: Model, present: Model | None = None) -> Held[M] | None:
        """The model, None when none is wanted; every failure comes from the error tree, and travels."""
        if settings.name == NONE:
            return None
        try:
            num_bytes = self._loader.measure(settings, present, goes=False)
            return Held(self._loader.load(settings), settings, num_bytes)
        except (ConfigError, MissingExtra) as error:
            raise ModelNotLoaded(error.message, help=error.help) from error
        except RagqError:
            raise
        except Exception as error:  # a runtime that is broken must not take the other roles with it
            log.exception("loading %s failed", settings.name)
            raise ModelNotLoaded(f"loading '{settings.name}' failed: {error}", help="ragq doctor") from error

    def _put(self, held: Held[M] | None, settings: Model) -> None:
        self.settings, self._error, self._remark = settings, None, ""
        self.seat.put(held)
        log.info("the model to %s is %s", self.name, settings.name)

    def _fail(self, error: RagqError) -> None:
        log.warning("the role %s has no model: %s", self.name, error.message)
        self._error = error
        self.seat.tell()

    def _failure(self) -> ModelNotLoaded:
        if self.settings.name == NONE:
            return ModelNotLoaded(
                f"this service has no model to {self.name}", help=f"set llm.{self.name}.name in ragq.yml"
            )
        error = self._error
        reason, cure = (error.message, error.help) if error else ("it was put away just now", "try again")
        return ModelNotLoaded(f"the role '{self.name}' has no model: {reason}", help=cure)

    # -- exchange --------------------------------------------------------------------------------

    def _swap(self, settings: Model, wish: Reload, call: Call | None) -> None:
        """Load and exchange; ``call`` is who asked for it, None when another worker was asked."""
        held = self.seat.held
        if held is None or not wish.release_first:
            self._put(self._kept(self._load(settings, held.settings if held else None), wish, call), settings)
            return
        self._loader.measure(settings, held.settings, goes=True)
        self.seat.take_out(call)
        try:
            new = self._kept(self._load(settings), wish, call)
        except RagqError:
            self._bring_back(held.settings)
            raise
        self._put(new, settings)

    def _kept(self, new: Held[M] | None, wish: Reload, call: Call | None) -> Held[M] | None:
        """The model, once the choice of it is written down."""
        if call is None:
            return new
        try:
            call.check()
            self._choice.keep(wish)
        except RagqError:
            if new is not None:
                new.model.close()
            raise
        return new

    def _bring_back(self, settings: Model) -> None:
        try:
            self._put(self._load(settings), settings)
        except RagqError as error:
            self._fail(error)

    def _catch_up(self, wish: Reload) -> None:
        settings = settings_of(self.section, wish)
        with self._alone(None):
            if settings == self.settings:
                return
            self._remark = f"loading {settings.name}"
            try:
                self._swap(settings, wish, None)
            except RagqError as error:
                self._remark = f"{settings.name} could not be loaded: {error.message}"
                log.warning("the model to %s stays %s: %s", self.name, self.settings.name, error.message)
