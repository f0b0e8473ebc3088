"""What on this machine would keep a mesh from running, and what cures it?"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from clients.config import Config
from clients.errors import RagqError
from services.launching import gpu_check, key_check, ports, provision, store_check
from services.launching.home import Home, HomeUnusable, read_roles
from services.models import PULLABLE, Shelf

PACKAGES = (
    "chromadb", "charset-normalizer", "click", "jinja2", "lxml", "msgpack", "numpy", "opencc", "openvino",
    "openvino-genai", "openvino-tokenizers", "pypdfium2", "python-docx", "pyyaml", "pyzmq", "rich", "safetensors",
    "starlette", "streamlit", "tantivy", "tokenizers", "uvicorn",
)  # fmt: skip
OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 200 << 20
GOOD_FREE_BYTES = 2 << 30
GOOD_MEMORY_BYTES = 2 << 30
Level = Literal["ok", "note", "blocks"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: ``blocks`` keeps a mesh from starting; ``note`` is worth knowing.
        cure: what to do about it; empty when nothing need be done.
    """

    what: str
    level: Level
    says: str
    cure: str = ""


def examine(config: Config) -> list[Finding]:
    """Look at everything that a mesh of this configuration needs."""
    home = Home(config.home)
    return [
        python(sys.version_info[:2]), *packages(), processor(_cpu_flags()), memory(),
        *disk(home), *mesh(home), *sockets(config, is_running=bool(home.owner())), *keys(config),
        *store(config, is_running=bool(home.owner())), *torch(config, gpu_check.torch_version()), *models(config),
    ]  # fmt: skip


def python(found: tuple[int, int]) -> Finding:
    """Is this Python new enough?"""
    says = f"{platform.python_version()} at {sys.executable}"
    if found < OLDEST_PYTHON:
        return Finding("python", "blocks", says, "install Python 3.11 or later")
    return Finding("python", "ok", says)


def packages(names: tuple[str, ...] = PACKAGES) -> Iterator[Finding]:
    """Is every package of the default install here? torch is not among them."""
    found, lost = [], []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lost.append(name)
    yield Finding("packages", "ok", ", ".join(found) or "none")
    if lost:
        yield Finding(
            "packages",
            "blocks",
            f"not installed: {', '.join(lost)}",
            f"{sys.executable} -m pip install {' '.join(lost)}",
        )


def processor(flags: frozenset[str]) -> Finding:
    """How many cores may we use, and which short number formats do they know?"""
    bf16 = bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
    vnni = bool(flags & {"avx512_vnni", "avx_vnni", "i8mm", "asimddp"})
    words = [
        f"{usable_cores()} usable cores",
        f"bf16 {'yes' if bf16 else 'no (models run in fp32)'}",
        f"int8 {'yes' if vnni else 'no'}",
    ]
    if flags and not flags & {"avx2", "asimd"}:
        return Finding(
            "processor", "note", ", ".join([*words, "no AVX2"]), "models will be slow; another machine is the cure"
        )
    return Finding("processor", "ok", ", ".join(words))


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_flags() -> frozenset[str]:
    text = _read("/proc/cpuinfo")
    match = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    return frozenset(match.group(1).split()) if match else frozenset()


def memory() -> Finding:
    """Is there memory for the embedded models?"""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    if not match:
        return Finding("memory", "ok", "this system does not tell")
    free = int(match.group(1)) << 10
    if free < GOOD_MEMORY_BYTES:
        return Finding(
            "memory",
            "note",
            f"{_gb(free)} available",
            "the embedded models need about 1.5 GB; RAGQ_LLM__GENERATE__NAME=none saves a third",
        )
    return Finding("memory", "ok", f"{_gb(free)} available")


def disk(home: Home) -> Iterator[Finding]:
    """Can the data directory be written, and is there room?"""
    try:
        home.prepare()
    except HomeUnusable as error:
        yield Finding("data", "blocks", error.message, error.help)
        return
    if not os.access(home.path, os.W_OK):
        yield Finding("data", "blocks", f"{home.path} cannot be written", "choose another with --data-dir or RAGQ_HOME")
        return
    free = shutil.disk_usage(home.path).free
    says = f"{home.path}, {_gb(free)} free"
    if free < LEAST_FREE_BYTES:
        yield Finding("data", "blocks", says, "free some space, or choose another disk with RAGQ_HOME")
    elif free < GOOD_FREE_BYTES:
        yield Finding("data", "note", says, "models and documents need room; RAGQ_HOME moves them to another disk")
    else:
        yield Finding("data", "ok", says)


def mesh(home: Home) -> Iterator[Finding]:
    """Does a mesh run on this data directory, and how are its processes?"""
    owner = home.owner()
    if not owner:
        yield Finding("mesh", "ok", "none runs on this data directory")
        return
    yield Finding("mesh", "ok", f"runs as pid {owner}")
    for record in read_roles(home):
        if record.state == "failed":
            yield Finding(
                "mesh",
                "blocks",
                f"{record.role} is down: {record.why}",
                f"ragq logs {record.role}; then ragq down and ragq up",
            )
        elif record.restarts:
            yield Finding(
                "mesh",
                "note",
                f"{record.role} was started again {record.restarts} times, last {record.why}",
                f"ragq logs {record.role}",
            )


def sockets(config: Config, *, is_running: bool) -> Iterator[Finding]:
    """Are the ports free, or ours?"""
    wanted = of_config(config)
    numbers = ", ".join(str(one.port) for one in wanted)
    if is_running:
        yield Finding("ports", "ok", f"{numbers}: in use by the running mesh")
        return
    taken = []
    for one in wanted:
        try:
            ports.check([one])
        except RagqError as error:
            taken.append(Finding("ports", "blocks", error.message, error.help))
    yield from taken or [Finding("ports", "ok", f"{numbers} are free")]


def of_config(config: Config) -> list[ports.Socket]:
    """Every port that a whole mesh binds."""
    found = [one for name in config.enabled_services for one in ports.of_proxy(config, name)]
    faces = (("http", config.http), ("ui", config.ui))
    return found + [ports.Socket(name, face.host, face.port) for name, face in faces if face.enabled]


def keys(config: Config) -> Iterator[Finding]:
    """With security: are the keys here, and do they fit each other?"""
    if not config.security.enabled:
        return
    if key_check.is_new(config):
        yield Finding("keys", "note", f"none in {config.keys_folder} yet", "'ragq up' or 'ragq keys new' makes them")
        return
    found = [Finding("keys", "blocks", error.message, error.help) for error in key_check.troubles(config)]
    yield from found or [Finding("keys", "ok", f"all that this machine needs, in {config.keys_folder}")]


def store(config: Config, *, is_running: bool) -> Iterator[Finding]:
    """With a server for the vectors: does it answer, and which worker leads?"""
    if config.index.store != "chroma-server" or not (is_running or config.index.chroma_url):
        return
    address, trouble = store_check.server(config)
    if trouble is not None:
        yield Finding("store", "note", trouble.message, trouble.help)
    else:
        yield Finding("store", "ok", f"the vector store's server answers at {address}")
    if pid := store_check.leader(config):
        yield Finding("index", "ok", f"pid {pid} leads; 'ragq status' shows who follows")
    elif is_running:
        yield Finding("index", "note", "no worker leads at the moment: what writes has to wait", "ragq logs index")


def torch(config: Config, version: str, look: Callable[[], list[gpu_check.Gpu]] = gpu_check.gpus) -> Iterator[Finding]:
    """Is torch here for the roles that want it, and does it see the GPUs that they name?"""
    roles = {"embed": config.llm.embed, "rerank": config.llm.rerank, "generate": config.llm.generate}
    wanted = {name: model.device for name, model in roles.items() if model.backend == "torch"}
    if not version:
        if wanted:
            says = f"not installed, and llm.{next(iter(wanted))} wants it"
            yield Finding("torch", "blocks", says, "pip install 'ragq[torch]'")
        return
    gpus = look()
    seen = {"auto", "cpu", *(gpu.device for gpu in gpus), *(["cuda"] if gpus else [])}
    says = f"{version}, " + ("; ".join(map(str, gpus)) or "no GPU: its models run on the processor")
    lost = [f"llm.{name} wants {device}" for name, device in wanted.items() if device not in seen]
    if lost:
        yield Finding("torch", "blocks", f"{says}; {', '.join(lost)}", "set device: cpu, or look at the GPU's driver")
    else:
        yield Finding("torch", "ok", says)


def models(config: Config) -> Iterator[Finding]:
    """Is the model of each role here and whole?"""
    shelf = Shelf(config.home)
    for role, model in provision.wanted(config).items():
        yield _model(shelf, role, model.name)


def _model(shelf: Shelf, role: str, name: str) -> Finding:
    what = f"llm.{role}"
    if not provision.is_there(shelf, name):
        pullable = any(name == model.name for model in PULLABLE)
        level: Level = "note" if pullable else "blocks"
        return Finding(
            what, level, f"the model '{name}' is not here", f"ragq models {'pull ' + name if pullable else 'add PATH'}"
        )
    try:
        found = shelf.locate(name)
        weights = found.path / found.card.weights
        if not weights.is_file() or not weights.stat().st_size:
            return Finding(what, "blocks", f"the model '{name}' has no {found.card.weights}", _again(found.path, name))
        if not _is_as_pinned(weights):
            return Finding(
                what, "blocks", f"{weights} is damaged: its sha256 is not the pinned one", _again(found.path, name)
            )
    except RagqError as error:
        is_pinned = any(name == model.name for model in PULLABLE)
        return Finding(what, "blocks", error.message, _again(shelf.path(name), name) if is_pinned else error.help)
    return Finding(what, "ok", f"{name}, {found.num_bytes / 1e6:.0f} MB at {found.path}")


def _is_as_pinned(weights: Path) -> bool:
    """Whether weights that are kept as they were downloaded still have their hash; converted ones are not pinned."""
    pins = {
        content.sha256
        for model in PULLABLE
        if model.name == weights.parent.name and not any(source.converter for source in model.sources)
        for source in model.sources
        for content in source.contents
        if content.name == weights.name
    }
    if not pins:
        return True
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() in pins


def _again(place: Path, name: str) -> str:
    return f"remove {place}, then: ragq models pull {name}"


def _gb(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
