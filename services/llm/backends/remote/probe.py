"""Which models does a server have, and what kind of server is it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clients.errors import ModelNotLoaded
from clients.reading import nearest

from .options import Kind
from .server import Server

PROBE_S = 20.0
MAX_NAMES = 8
OWNERS: dict[str, Kind] = {
    "vllm": "vllm",
    "sglang": "sglang",
    "llamacpp": "llamacpp",
    "library": "ollama",
    "ragq": "ragq",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a server says about a model; each field is empty or 0 where it says nothing.

    Attributes:
        name: as the server spells it.
        server: the kind of server.
        revision: of the model's files.
    """

    name: str
    server: Kind = ""
    max_tokens: int = 0
    revision: str = ""


def find_model(server: Server, name: str) -> Found:
    """Look for a model; a server without a list of models is believed.

    Raises:
        ModelNotLoaded: the server has others; names the nearest.
        RagqError: the server is not there, wants another key, or is no model server.
    """
    answer = server.ask(f"{server.address.path}/models", timeout_s=PROBE_S)
    if answer.status in (404, 405, 501):
        return _from_info(server, name)
    by_name = {str(entry["id"]): entry for entry in _entries(answer.value()) if "id" in entry}
    return _choose(server, name, by_name) if by_name else _from_info(server, name)


def _choose(server: Server, name: str, by_name: Mapping[str, Mapping[str, Any]]) -> Found:
    known = next((each for each in (name, f"{name}:latest") if each in by_name), None)
    if known is None:
        names = sorted(by_name)
        shown = ", ".join(names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")
        hint = nearest(name, names)
        raise ModelNotLoaded(
            f"{server.address} has no model '{name}'",
            help=hint if hint.startswith("did") else f"it has: {shown}",
        )
    entry = by_name[known]
    return Found(known, _kind(entry), _max_tokens(entry), str(entry.get("root", "")))


def _kind(entry: Mapping[str, Any]) -> Kind:
    owner = str(entry.get("owned_by", "")).lower()
    if owner.startswith(("openai", "system")):
        return "openai"
    return OWNERS.get(owner, "")


def _max_tokens(entry: Mapping[str, Any]) -> int:
    meta = entry.get("meta")
    values = (entry.get("max_model_len"), entry.get("context_length"), _get(meta, "n_ctx"), _get(meta, "n_ctx_train"))
    return next((value for value in values if isinstance(value, int) and value > 0), 0)


def _from_info(server: Server, name: str) -> Found:
    """TEI tells of its one model at ``/info``."""
    answer = server.ask(f"{server.address.root.path}/info", timeout_s=PROBE_S)
    if answer.status in (404, 405, 501):
        return Found(name)
    info = answer.value()
    model = _get(info, "model_id")
    if not isinstance(model, str):
        return Found(name)
    if name not in (model, model.rpartition("/")[2]):
        raise ModelNotLoaded(f"{server.address} has no model '{name}'", help=f"it has: {model}")
    max_tokens = _get(info, "max_input_length")
    revision = _get(info, "model_sha")
    return Found(name, "tei", max_tokens if isinstance(max_tokens, int) else 0, str(revision or ""))


def _entries(value: Any) -> list[Mapping[str, Any]]:
    listed = value if isinstance(value, list) else _get(value, "data")
    return [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None
