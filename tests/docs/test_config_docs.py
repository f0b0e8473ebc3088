"""Does docs/config.md know every key, and only keys that there are?"""

from __future__ import annotations

import re
from pathlib import Path

from clients.config import Config
from clients.schema import defaults
from clients.settings import load
from clients.spellings import OLD_IGNORED, OLD_MODULES, OLD_SECTIONS, OLD_SPELLINGS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
KEYS, _, OLD = PAGE.partition("## Spellings")
STANDS_FOR = {"SERVICE": ("llm", "index", "tuning"), "MODEL": ("llm.embed", "llm.rerank", "llm.generate")}


def documented() -> set[str]:
    keys = set()
    for key in re.findall(r"^\| `([\w.]+)` \|(?! \d{4} \|)", KEYS, re.MULTILINE):
        first, _, rest = key.partition(".")
        keys.update(f"{name}.{rest}" for name in STANDS_FOR[first]) if first in STANDS_FOR else keys.add(key)
    return keys


def test_every_key_has_a_line_and_every_line_a_key() -> None:
    assert documented() == {key for key, _ in defaults()}


def test_the_page_says_the_true_defaults() -> None:
    values = dict(defaults())
    for key, said in re.findall(r"^\| `([a-z_.]+)` \| `([^`]*)` \|", KEYS, re.MULTILINE):
        value = values[key]
        assert said == (str(value).lower() if isinstance(value, bool) else str(value)), key


def test_every_old_spelling_is_on_the_page() -> None:
    told = set(re.findall(r"`([\w.]+)`", OLD))
    assert told >= {*OLD_SPELLINGS, *OLD_IGNORED, *OLD_MODULES, *OLD_SECTIONS}


def test_the_example_file_equals_the_defaults_and_has_every_key() -> None:
    loaded = load(ROOT / "ragq.yml", env={})
    assert loaded.config == Config()
    assert {key for key, _ in defaults()} == set(loaded.origins)
    assert not loaded.warnings


def test_the_example_file_speaks_chinese_too() -> None:
    comments = re.findall(r"#.*", (ROOT / "ragq.yml").read_text(encoding="utf-8"))
    assert sum(bool(re.search(r"[\u4e00-\u9fff]", comment)) for comment in comments) > 20
