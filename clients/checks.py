"""Which settings have the right type and still cannot work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from .asking import Ask
from .config import Config, Face, Index, Service, Web
from .endpoint import Endpoint, is_loopback
from .errors import ConfigError

Problem = tuple[str, str, str]
MAX_PORT = 65535
_DATABASE = re.compile(r"[a-z0-9][a-z0-9_-]{2,59}")
MAX_TEMPERATURE, MAX_PENALTY = 2.0, 2.0
_AT_LEAST: dict[str, float] = {
    "llm.threads": 0,
    "llm.embed.max_tokens": 0,
    "llm.rerank.max_tokens": 0,
    "llm.generate.max_tokens": 0,
    "llm.embed.dimension": 0,
    "llm.cache_mb": 0,
    "llm.side_models": 0,
    "index.chunk_size": 1,
    "index.overlap": 0,
    "index.max_file_mb": 1,
    "index.max_pages": 1,
    "index.codes_mb": 0,
    "index.search_history": 0,
    "index.ocr_pages": 1,
    "index.web.max_mb": 1,
    "index.web.tries": 1,
    "index.web.max_redirects": 0,
    "ask.rounds": 0,
    "ask.top_k": 1,
    "ask.passages": 1,
    "ask.max_tokens": 1,
}


def problems(config: Config) -> Iterator[Problem]:
    """Each thing that cannot work: its dotted key, why, and what to do (maybe '')."""
    yield from _ranges(config)
    yield from _asking(config.ask)
    yield from _web(config.index.web)
    yield from _store(config.index)
    yield from _workers(config)
    yield from _proxies(config)
    yield from _ports(config)
    yield from _binds(config)


def _ranges(config: Config) -> Iterator[Problem]:
    for key, least in _AT_LEAST.items():
        if (value := _number(config, key)) < least:
            yield key, f"{value:g} is too small; at least {least:g}", ""
    if config.index.overlap >= config.index.chunk_size:
        yield (
            "index.overlap",
            f"{config.index.overlap} must be smaller than index.chunk_size ({config.index.chunk_size})",
            "",
        )
    for key in ("index.parse_timeout_s", "index.ocr_timeout_s", "index.watch_s"):
        if not (seconds := _number(config, key)) > 0:
            yield key, f"{seconds:g} is not a time; seconds above 0", ""


def _asking(ask: Ask) -> Iterator[Problem]:
    for name, value in (("threshold_low", ask.threshold_low), ("threshold", ask.threshold)):
        if not 0 <= value <= 1:
            yield f"ask.{name}", f"{value:g} is outside 0..1", ""

    if not 0 <= ask.temperature <= MAX_TEMPERATURE:
        yield "ask.temperature", f"{ask.temperature:g} is outside 0..{MAX_TEMPERATURE:g}", ""
    for name in ("presence_penalty", "frequency_penalty"):
        if not abs(penalty := getattr(ask, name)) <= MAX_PENALTY:
            yield f"ask.{name}", f"{penalty:g} is outside {-MAX_PENALTY:g}..{MAX_PENALTY:g}", ""


def _store(index: Index) -> Iterator[Problem]:
    url = urlsplit(index.chroma_url)
    if index.chroma_url and (url.scheme not in ("http", "https") or not url.hostname):
        yield "index.chroma_url", f"'{index.chroma_url}' is no address of a server", "http://HOST:PORT, or https"
    for name in ("chroma_url", "chroma_token", "chroma_database"):
        if getattr(index, name) and index.store != "chroma-server":
            yield f"index.{name}", f"it is set, and index.store is '{index.store}'", "index.store: chroma-server"
    if index.chroma_database and not _DATABASE.fullmatch(index.chroma_database):
        yield "index.chroma_database", f"'{index.chroma_database}' cannot name one", "3 to 60 of a-z, 0-9, '-' and '_'"


def _web(web: Web) -> Iterator[Problem]:
    if not web.timeout_s > 0:
        yield "index.web.timeout_s", f"{web.timeout_s:g} is not a time; seconds above 0", ""
    if not web.schemes or set(web.schemes) - {"http", "https"}:
        yield "index.web.schemes", f"{', '.join(web.schemes) or 'nothing'} cannot be fetched", "of http and https"
    if not web.user_agent.isprintable() or not web.user_agent.isascii() or not web.user_agent.strip():
        yield "index.web.user_agent", "it goes into a header", "printable ASCII"
    needed = {"searxng": "search_url", "folder": "search_folder"}.get(web.search, "")
    if needed and not getattr(web, needed):
        yield f"index.web.{needed}", f"it is empty, and index.web.search is {web.search}", ""


def _number(config: Config, key: str) -> float:
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return float(value)  # type: ignore[arg-type]  # the table names numbers only


def _workers(config: Config) -> Iterator[Problem]:
    for prefix, service in _services(config):
        if service.num_workers < 1:
            yield (
                f"{prefix}.num_workers",
                f"{service.num_workers} is too small; at least 1",
                f"'{prefix}.enabled: false' turns a service off",
            )
        if service.slots < 0:
            yield f"{prefix}.slots", f"{service.slots} is too small; 0 leaves the choice to the service", ""
    if config.index.num_workers > 1 and config.index.store != "chroma-server":
        why = {
            "chroma": "a Chroma directory has exactly one owner process; two would silently lose vectors",
            "faiss": "a directory of FAISS files has exactly one owner process; two would overwrite each other's",
            "memory": "each worker would hold a memory store of its own, and answers would differ",
        }[config.index.store]
        yield (
            "index.num_workers",
            f"{config.index.num_workers} with the embedded store '{config.index.store}' is refused: {why}",
            "set it to 1, or 'index.store: chroma-server'",
        )


def _proxies(config: Config) -> Iterator[Problem]:
    for prefix, service in _services(config):
        try:
            service.pairs  # noqa: B018 - read for what it refuses
        except ConfigError as error:
            yield f"{prefix}.proxies", error.message.removeprefix("proxies: "), error.help


def _services(config: Config) -> list[tuple[str, Service]]:
    own = [(name, config.service(name)) for name in ("llm", "index", "tuning")]
    return [*own, *((f"services.{name}", service) for name, service in config.services.items())]


def _endpoints(config: Config) -> Iterator[tuple[str, Endpoint]]:
    """Every enabled socket with its key; the faces count as tcp."""
    for prefix, service in _services(config):
        if service.enabled:
            yield f"{prefix}.front_end", service.front_end
            yield f"{prefix}.back_end", service.back_end
            for pair in service.pairs[1:]:
                yield f"{prefix}.proxies", pair.front_end
                yield f"{prefix}.proxies", pair.back_end
    for prefix, face in _faces(config):
        if face.enabled:
            yield prefix, Endpoint(face.port, face.host)


def _faces(config: Config) -> list[tuple[str, Face]]:
    return [("http", config.http), ("ui", config.ui)]


def _ports(config: Config) -> Iterator[Problem]:
    taken: dict[tuple[str, int], str] = {}
    for prefix, end in _endpoints(config):
        key = prefix if prefix.endswith(".proxies") else f"{prefix}.port"
        if end.protocol != "tcp" or end.host == "*":
            yield from _hosts(prefix, end)
            continue
        if not 1 <= end.port <= MAX_PORT:
            yield key, f"{end.port} is not a port; 1 to {MAX_PORT}", ""
        elif (place := (_machine(end.host), end.port)) in taken:
            yield key, f"{end.port} is also {taken[place]}", "each socket needs a port of its own"
        else:
            taken[place] = key


def _hosts(prefix: str, end: Endpoint) -> Iterator[Problem]:
    if end.host == "*":
        yield f"{prefix}.host", "'*' cannot be connected to", "write 0.0.0.0 for every address of this machine"
    elif not end.host or is_loopback(end.host):
        why = "a path" if end.protocol == "ipc" else "a name"
        yield f"{prefix}.host", f"'{end.host}' is no place for {end.protocol}, which wants {why}", ""


def _machine(host: str) -> str:
    return "" if is_loopback(host) or host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound


def _binds(config: Config) -> Iterator[Problem]:
    if config.insecure:
        return
    for prefix, end in _endpoints(config):
        is_face = prefix in ("http", "ui")
        if not end.is_local and (is_face or not config.security.enabled):
            why = "the page and the HTTP face ask nobody who they are" if is_face else "the mesh has no keys"
            cure = "" if is_face else "'security.enabled: true' gives it keys; or "
            yield (
                prefix if prefix.endswith(".proxies") else f"{prefix}.host",
                f"refused: {end.host} is reachable from other machines, and {why}",
                f"{cure}use 127.0.0.1 (an SSH tunnel reaches it), or accept the risk with 'insecure: true'",
            )
