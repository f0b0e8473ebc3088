"""Where do the functions and classes of a program begin, in the languages that people add."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .base import Heading, Loaded

LANGUAGES = {
    ending: language
    for language, endings in {
        "python": "py pyi", "javascript": "js mjs cjs jsx vue", "typescript": "ts tsx", "java": "java",
        "kotlin": "kt kts",
        "c": "c h", "c++": "cc cpp cxx hpp hh", "csharp": "cs", "go": "go", "rust": "rs", "ruby": "rb", "php": "php",
        "swift": "swift", "scala": "scala", "shell": "sh bash zsh", "powershell": "ps1", "sql": "sql", "r": "r",
        "lua": "lua", "perl": "pl pm", "protobuf": "proto", "css": "css scss", "groovy": "groovy gradle",
        "makefile": "makefile mk", "dockerfile": "dockerfile", "cmake": "cmake", "julia": "jl", "dart": "dart",
    }.items()
    for ending in endings.split()
}  # fmt: skip
BY_WORD = r"""
    (?:(?:export|default|public|private|protected|internal|static|abstract|final|sealed|async|unsafe|override|open|data
        |inline|virtual|partial|const|extern|local|pub(?:\([^)]*\))?)\s+)*
    (?:def|class|function\*?|func|fn|fun|sub|struct|enum|trait|impl|interface|module|namespace|message|service|record)\s+
    (?:\([^)]*\)\s*)?(?P<name>[\w$]+(?:[.:]+[\w$]+)*[?!]?)
"""
BY_ARROW = (
    r"(?:export\s+)?(?:const|let|var)\s+(?P<name>[\w$]+)\s*=\s*(?:async\s*)?(?:function\b|\([^)\n]*\)\s*=>|\w+\s*=>)"
)
BY_BRACKETS = r"(?P<name>[\w-]+)\s*\(\)\s*\{"
BY_CREATE = r"""
    create\s+(?:or\s+replace\s+)?(?:temp(?:orary)?\s+)?(?:table|view|function|procedure|trigger|index|type)\s+
    (?:if\s+not\s+exists\s+)?(?P<name>[\w.\"`]+)
"""
# A line at the margin that names a type, a function and its parameters, and goes on with a body.
BY_TYPE = r"(?=[A-Za-z_])(?:[\w:<>,~]+[ \t*&]+)+(?P<name>[\w:~]+)\([^;{}]{0,2000}\)[^;{}]{0,200}\{"
PATTERNS = {
    **dict.fromkeys(("javascript", "typescript"), (BY_WORD, BY_ARROW)),
    **dict.fromkeys(("c", "c++"), (BY_WORD, BY_TYPE)),
    "shell": (BY_WORD, BY_BRACKETS),
    "sql": (BY_CREATE,),
    **dict.fromkeys(("css", "makefile", "dockerfile", "cmake"), ()),
}
# Decorators, attributes and comments right above a definition belong to it.
ABOVE = re.compile(r"[ \t]*(?:@|#|//|/\*|\*|--)")


def source(text: str, language: str) -> Loaded:
    """A program: each function and class begins a chunk of its own where the size allows it."""
    return Loaded(text, f"text/x-{language}", headings=list(_definitions(text, language)), is_lines=True)


def _definitions(text: str, language: str) -> Iterator[Heading]:
    taken = 0
    for pattern_match in _matches(text, PATTERNS.get(language, (BY_WORD,))):
        start = _with_above(text, pattern_match.start(), taken)
        stop = text.find("\n", pattern_match.start("name"))
        taken = len(text) if stop < 0 else stop
        indent = len(pattern_match["indent"].expandtabs(4))
        if start < taken:
            yield Heading(start, taken, min(6, 1 + indent // 2), pattern_match["name"].strip('"`'))


def _matches(text: str, patterns: tuple[str, ...]) -> list[re.Match[str]]:
    found: dict[int, re.Match[str]] = {}
    for pattern in patterns:
        margin = "" if pattern is BY_TYPE else r"[ \t]*"
        flags = re.MULTILINE | re.VERBOSE | (re.IGNORECASE if pattern is BY_CREATE else 0)
        for match in re.finditer(rf"^(?P<indent>{margin})(?:{pattern})", text, flags):
            found.setdefault(match.start(), match)
    return [found[start] for start in sorted(found)]


def _with_above(text: str, start: int, floor: int) -> int:
    """The start of the first line of what belongs to a definition, not before ``floor``."""
    while start > floor:
        above = text.rfind("\n", 0, start - 1) + 1
        if above < floor or above == start or not ABOVE.match(text, above, start):
            break
        start = above
    return start
