"""Who says back what it hears: the Echo service."""

from __future__ import annotations

from collections.abc import Generator

from clients.errors import BadRequest
from services.service import Call, Service, serves

from .contract import SAY, SPELL, Said, Say, Spell, Spelled, Word

MAX_TIMES = 100


class Echo(Service):
    """Says back what it hears."""

    name = "echo"

    def start(self) -> None:
        """Read the settings once, before the first call."""
        self.mark = str(self.config.service(self.name).options.get("mark", ""))

    @serves(SAY)
    def say(self, request: Say, _call: Call) -> Said:
        """One request, one reply."""
        if not 1 <= request.times <= MAX_TIMES:
            raise BadRequest(f"times: {request.times} is not 1 to {MAX_TIMES}")
        return Said(" ".join([request.text] * request.times) + self.mark)

    @serves(SPELL)
    def spell(self, request: Spell, call: Call) -> Generator[Word, None, Spelled]:
        """One request, an event for each word, then the reply."""
        words = request.text.split()
        for word in words:
            yield Word(word)
            # Wakes at once when the caller gives up; the next yield then ends the generator.
            call.cancelled.wait(request.pause_s)
        return Spelled(len(words))
