"""What ragq.yml says of the services: what every section has, and what those of the LLM and Index service have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .endpoint import Endpoint, Pair, pair


@dataclass(frozen=True, slots=True)
class Service:
    """What every service's section has.

    Attributes:
        module: name of the service's class among the installed plug-ins; empty means its own name.
        proxies: further proxies beside ``front_end`` and ``back_end``, equal to the first, each
            ``FRONT BACK``: ``tcp://10.0.0.2:7781 tcp://10.0.0.2:7782``.
        num_workers: processes that serve it.
        slots: calls that one worker takes at a time; 0 means the service's own choice.
        options: free settings for a third-party service.
    """

    enabled: bool = True
    module: str = ""
    front_end: Endpoint = field(default_factory=Endpoint)
    back_end: Endpoint = field(default_factory=Endpoint)
    proxies: list[str] = field(default_factory=list)
    num_workers: int = 1
    slots: int = 0
    options: dict[str, object] = field(default_factory=dict)

    @property
    def pairs(self) -> list[Pair]:
        """Every proxy of the service, the one of ``front_end`` and ``back_end`` first."""
        return [Pair(self.front_end, self.back_end), *map(pair, self.proxies)]

    @property
    def fronts(self) -> list[str]:
        """The addresses that clients connect to."""
        return [pair.front_end.address for pair in self.pairs]

    @property
    def backs(self) -> list[str]:
        """The addresses that workers connect to."""
        return [pair.back_end.address for pair in self.pairs]


@dataclass(frozen=True, slots=True)
class Model:
    """A model for one role.

    Attributes:
        name: of a model in the models directory, or a path; ``none`` leaves the role without one, and an empty
            name in a configuration means the profile's.
        backend: ``openvino``, ``torch``, ``sophon``, ``remote``, ``toy``; others come by extras.
        dtype: ``auto`` is bf16 where the processor has it, else fp32.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``; for backends that have a choice.
        max_tokens: longest input; 0 means the model's own limit.
        dimension: of the vectors, for models that may be cut short (Matryoshka); 0 means all of it.
        instruction: what queries are told to be, for models that take one; empty means the model's own.
        url: of a remote server, such as ``http://host:8000/v1``.
        api_key: for a remote server; ``$NAME`` reads the environment variable NAME.
        timeout_s: seconds that a remote server may take for one request.
        options: free settings of the backend.
    """

    name: str
    backend: str = "openvino"
    dtype: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    device: str = "auto"
    max_tokens: int = 0
    dimension: int = 0
    instruction: str = ""
    url: str = ""
    api_key: str = ""
    timeout_s: float = 60.0
    options: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LLM(Service):
    """The LLM service: a model per role.

    Attributes:
        profile: the models of all roles in one word; a role that names a model has that one.
        threads: processor threads for one worker; 0 means the cores but one, divided by ``num_workers``, at least one.
        roles: those that workers started from this configuration serve; empty means all of them. Workers of one
            service may serve different roles, on different machines.
        cache_mb: memory for remembered vectors, and as much again for remembered scores.
        side_models: embedding models that a worker may load beside its own, for calls that name them.
    """

    front_end: Endpoint = field(default_factory=lambda: Endpoint(7781))
    back_end: Endpoint = field(default_factory=lambda: Endpoint(7782))
    profile: Literal["embedded", "embedded-light", "better", "qwen3", "bge"] = "embedded"
    embed: Model = field(default_factory=lambda: Model("multilingual-e5-small"))
    rerank: Model = field(default_factory=lambda: Model("maxsim"))
    generate: Model = field(default_factory=lambda: Model("smollm2-135m-instruct"))
    threads: int = 0
    roles: list[Literal["embed", "rerank", "generate"]] = field(default_factory=list)
    cache_mb: int = 64
    side_models: int = 1
    state_path: str = ""
    device: str = "cpu"
    strategy: str = ""


@dataclass(frozen=True, slots=True)
class Web:
    """What the Index service may fetch from the web; nothing by default.

    Attributes:
        enabled: let pages be added by URL; the service then calls out.
        schemes: of http and https.
        allow: names (``.example.org`` is every name below) and networks (``10.1.0.0/16``) that may be fetched from
            although they are not public.
        max_mb: larger pages are refused, however well they are packed.
        timeout_s: for one answer as a whole.
        tries: how often a page is asked for that does not come.
        robots: keep away from what a site's robots.txt closes to programs.
        search: who is asked for web searches; empty means nobody.
        search_url: address of the SearXNG server.
        search_folder: folder that ``folder`` searches instead of the web.
    """

    enabled: bool = False
    schemes: list[str] = field(default_factory=lambda: ["https", "http"])
    allow: list[str] = field(default_factory=list)
    max_mb: int = 20
    timeout_s: float = 30.0
    tries: int = 3
    max_redirects: int = 5
    user_agent: str = "ragq/0.1"
    robots: bool = True
    search: Literal["", "searxng", "ddgs", "folder"] = ""
    search_url: str = ""
    search_folder: str = ""


@dataclass(frozen=True, slots=True)
class Index(Service):
    """The Index service.

    Attributes:
        num_workers: more than one needs a server for the vectors: one of them leads and writes, the others read.
        store: where vectors live; ``chroma-server`` is a server of its own, which several workers may ask.
        roots: directories on the service's disk below which ``paths`` may be added; none by default.
        max_file_mb: larger files are refused with the reason.
        max_pages: longer documents are refused with the reason.
        codes_mb: memory for copies of collections of more than 20,000 chunks, which are searched faster then.
        parse_timeout_s: a file that takes longer fails with the reason.
        watch_s: how often followed directories are looked at.
        ocr: read pages and files that are pictures where the extra ``ocr`` is installed, or never.
        ocr_pages: documents with more pages to recognise fail with the reason.
        ocr_timeout_s: a page that takes longer to recognise fails its document with the reason.
        search_history: questions of the page's retrieval test that are kept for each collection; 0 keeps none, and
            forgets those that were kept.
        sample: load the sample knowledge base when there is no collection yet.
        web: what may be fetched from the web.
        chroma_path, sqlite_db_path: empty means below the data directory.
        chroma_url: of a Chroma server that runs elsewhere; empty lets one be run and watched here.
        chroma_token: for that server; ``$NAME`` reads the environment variable NAME.
        chroma_database: of that server; empty means one that belongs to these records alone.
    """

    front_end: Endpoint = field(default_factory=lambda: Endpoint(7783))
    back_end: Endpoint = field(default_factory=lambda: Endpoint(7784))
    store: Literal["chroma", "chroma-server", "faiss", "memory"] = "chroma"
    roots: list[str] = field(default_factory=list)
    chunk_size: int = 512
    overlap: int = 64
    max_file_mb: int = 200
    max_pages: int = 5000
    codes_mb: int = 1024
    parse_timeout_s: float = 300.0
    watch_s: float = 5.0
    ocr: Literal["auto", "never"] = "auto"
    ocr_pages: int = 500
    ocr_timeout_s: float = 120.0
    search_history: int = 50
    sample: bool = True
    web: Web = field(default_factory=Web)
    chroma_path: str = ""
    chroma_url: str = ""
    chroma_token: str = ""
    chroma_database: str = ""
    sqlite_db_path: str = ""

    @property
    def runs_store(self) -> bool:
        """Whether a server for the vectors is run and watched here."""
        return self.store == "chroma-server" and not self.chroma_url


@dataclass(frozen=True, slots=True)
class Tuning(Service):
    """The Tuning service; this release has its contract, not yet its worker."""

    enabled: bool = False
    front_end: Endpoint = field(default_factory=lambda: Endpoint(7787))
    back_end: Endpoint = field(default_factory=lambda: Endpoint(7788))
