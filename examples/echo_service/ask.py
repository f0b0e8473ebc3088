"""Call the echo: python ask.py [ragq.yml]."""

from __future__ import annotations

import sys
from pathlib import Path

from echo_service import SAY, SPELL, Say, Spell

from clients import Ragq

config = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("ragq.yml")

with Ragq(config) as mesh:
    echo = mesh.client("echo")

    print(echo.call(SAY, Say("hello", times=2)).text)

    with echo.stream(SPELL, Spell("one word after the other")) as words:
        for word in words:
            print(word.text, flush=True)
    print(words.reply.num_words, "words")
