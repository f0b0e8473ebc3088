"""Which pages does a site close to programs in its robots.txt (RFC 9309)?"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from clients.wire import Clock

from .exchange import Response
from .targets import Target
from .trouble import Trouble

MAX_BYTES = 512 << 10
KEEP_S = 3600.0
MAX_SITES = 1000
TOO_MANY = 429
# Without the file everything is allowed; one who is asked to slow down has not been told that.
MISSING = frozenset(range(400, 500)) - {TOO_MANY}


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of robots.txt: the longest pattern that fits a path decides; ``allows`` wins a tie."""

    pattern: str
    allows: bool

    def fits(self, path: str) -> bool:
        """Whether the pattern, with ``*`` and a closing ``$``, begins the path."""
        body = self.pattern.removesuffix("$")
        expression = ".*".join(re.escape(part) for part in re.split(r"\*+", body))
        end = r"\Z" if self.pattern.endswith("$") else ""
        return re.match(expression + end, path, re.DOTALL) is not None


def rules_for(text: str, agent: str) -> list[Rule]:
    """The rules of a robots.txt that bind an agent: those of its own name, or else those of ``*``."""
    groups: dict[str, list[Rule]] = {}
    names: list[str] = []
    in_names = False
    for line in text.splitlines():
        key, _, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if key == "user-agent":
            names = [*names, value.lower()] if in_names else [value.lower()]
            in_names = True
            groups.setdefault(value.lower(), [])
        elif key in ("allow", "disallow"):
            in_names = False
            for name in names if value else ():
                groups[name].append(Rule(_normal(value), key == "allow"))
    return groups.get(agent.lower(), groups.get("*", []))


def is_allowed(rules: list[Rule], path: str) -> bool:
    """Whether the rules let a path be fetched."""
    fitting = [rule for rule in rules if rule.fits(_normal(path))]
    best = max(fitting, key=lambda rule: (len(rule.pattern), rule.allows), default=None)
    return best is None or best.allows


def _normal(path: str) -> str:
    """One spelling of escapes."""
    return quote(unquote(path), safe="/*$?&=:@!'()+,;~-._")


class Robots:
    """What sites allow, remembered for an hour.

    Args:
        ask: fetches a robots.txt within its own limits; follows redirects.
        agent: the product's name, as sites write it.
        clock: seconds that only grow.
    """

    def __init__(self, ask: Callable[[Target], Response], agent: str, clock: Clock) -> None:
        self._ask = ask
        self._agent = agent
        self._clock = clock
        self._known: dict[str, tuple[float, list[Rule]]] = {}

    def allow(self, target: Target) -> bool:
        """Whether a page may be fetched.

        Raises:
            Trouble: the site cannot say; a site that is down allows nothing, one without the file all.
        """
        held = self._known.get(target.origin)
        if held is None or held[0] < self._clock():
            if len(self._known) >= MAX_SITES:
                self._known.clear()
            held = self._clock() + KEEP_S, self._rules(target)
            self._known[target.origin] = held
        return is_allowed(held[1], target.path)

    def _rules(self, target: Target) -> list[Rule]:
        answer = self._ask(Target(target.scheme, target.host, target.port, "/robots.txt"))
        if answer.status in MISSING:
            return []
        if answer.status != 200:
            raise Trouble(f"{target.host} answers {answer.status} for its robots.txt", help="try again later")
        return rules_for(answer.body.decode("utf-8", "replace").removeprefix("\ufeff"), self._agent)
