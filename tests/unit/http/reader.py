"""A strict reader of Prometheus' text format, for tests; it refuses what a scraper would."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
ESCAPES = {r"\"": '"', r"\\": "\\", r"\n": "\n"}
Key = tuple[str, frozenset[tuple[str, str]]]


@dataclass
class Read:
    """What a text said."""

    kinds: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    values: dict[Key, float] = field(default_factory=dict)

    def value(self, name: str, /, **labels: str) -> float:
        return self.values[name, frozenset(labels.items())]


def read(text: str) -> Read:
    """Every sample; AssertionError names the line that breaks the format."""
    assert text.endswith("\n")
    found, current = Read(), ""
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            current, _, words = line[7:].partition(" ")
            assert NAME.fullmatch(current), line
            assert current not in found.words, f"a second HELP: {line}"
            found.words[current] = words
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == current, f"TYPE without its HELP: {line}"
            assert name not in found.kinds, f"a second TYPE: {line}"
            assert kind in ("counter", "gauge", "histogram"), line
            found.kinds[name] = kind
        else:
            _sample(line, current, found)
    _check_histograms(found)
    return found


def _sample(line: str, current: str, found: Read) -> None:
    match = SAMPLE.match(line)
    assert match, f"no sample: {line!r}"
    name, inside, number = match[1], match[2] or "", match[3]
    suffixes = ("_bucket", "_sum", "_count") if found.kinds[current] == "histogram" else ("",)
    assert name in {current + suffix for suffix in suffixes}, f"{line!r} under {current}"
    assert found.kinds[current] != "counter" or name.endswith("_total"), name
    labels = LABEL.findall(inside)
    assert ",".join(f'{label}="{value}"' for label, value in labels) == inside, f"labels: {line!r}"
    assert len({label for label, _ in labels}) == len(labels), f"a label twice: {line!r}"
    key = name, frozenset((label, _plain(value)) for label, value in labels)
    assert key not in found.values, f"a second sample: {line!r}"
    found.values[key] = float(number.replace("+Inf", "inf"))
    assert found.kinds[current] != "counter" or found.values[key] >= 0, line


def _plain(value: str) -> str:
    return re.sub(r'\\["\\n]', lambda match: ESCAPES[match[0]], value)


def _check_histograms(found: Read) -> None:
    series: dict[Key, list[tuple[float, float]]] = {}
    for (name, labels), value in found.values.items():
        if name.endswith("_bucket"):
            (le,) = (float(v.replace("+Inf", "inf")) for k, v in labels if k == "le")
            rest = frozenset((k, v) for k, v in labels if k != "le")
            series.setdefault((name.removesuffix("_bucket"), rest), []).append((le, value))
    for (name, labels), buckets in series.items():
        counts = [count for _, count in sorted(buckets)]
        assert counts == sorted(counts), f"{name}: buckets are not cumulative"
        assert max(buckets) == (float("inf"), found.values[f"{name}_count", labels]), name
        assert f"{name}_sum" in {key[0] for key in found.values}, name
