"""Which keys of older systems mean which of ours, and which mean nothing any more."""

from __future__ import annotations

import re
from dataclasses import replace

from .sources import Given

OLD_SECTIONS: dict[str, str] = {"llm_service": "llm", "index_service": "index", "tuning_service": "tuning"}
OLD_SPELLINGS: dict[str, str] = {
    "llm.base_model_path": "llm.generate.name",
    "llm.base_model_file": "llm.generate.name",
    "llm.embedding_path": "llm.embed.name",
    "llm.bgem3_path": "llm.embed.name",
    "llm.reranker_path": "llm.rerank.name",
    "llm.rerank_path": "llm.rerank.name",
    "index.chroma_db_path": "index.chroma_path",
    "index.vectordb_path": "index.chroma_path",
    "base_model_path": "llm.generate.name",
    "base_model_file": "llm.generate.name",
    "embedding_path": "llm.embed.name",
    "bgem3_path": "llm.embed.name",
    "reranker_path": "llm.rerank.name",
    "rerank_path": "llm.rerank.name",
    "state_path": "llm.state_path",
    "strategy": "llm.strategy",
    "vectordb.path": "index.chroma_path",
}
OLD_MODULES = ("service_module", "class_name")
_SOCKETS = "the sockets and processes are the mesh's own choice"
_STORE = "index.chroma_url names a server; without it the vector store is on this machine"
_TUNING = "a tuning job names its own model and data"
OLD_IGNORED: dict[str, str] = {
    "is_init_once": _SOCKETS,
    "spawn_method": _SOCKETS,
    "socket_type": _SOCKETS,
    "index.chroma_host": _STORE,
    "index.chroma_port": _STORE,
    "index.vectordb_name": _STORE,
    "index.vectordb_host": _STORE,
    "index.vectordb_port": _STORE,
    "vectordb.name": _STORE,
    "vectordb.host": _STORE,
    "vectordb.port": _STORE,
    "index.llm_front_end_url": "llm.front_end tells where the LLM service listens",
    "rwkv_version": "a model file says its own version",
    "knowledge_base_path": "files are kept below data_dir",
    "tuning.model_path": _TUNING,
    "tuning.project_dir": _TUNING,
    "tuning.data_file": _TUNING,
    "tuning.jsonl_path": _TUNING,
    "tuning.output_path": _TUNING,
    "tuning.n_epoch": _TUNING,
}
_OWN_MODULE = re.compile(r"(.*[./])?(llm|index|tuning)_?(service|worker)\w*", re.IGNORECASE)


def modernise(given: Given) -> tuple[Given | None, str]:
    """A value under today's key (None when it no longer means anything), and the warning to give, or ''."""
    given = _section(given)
    leaf = given.path[-1]
    reason = OLD_IGNORED.get(given.key) or (OLD_IGNORED.get(leaf) if _in_service(given) else None)
    if reason:
        return None, f"{given.place}: '{given.key}' is ignored: {reason}"
    if leaf in OLD_MODULES and _in_service(given):
        return _module(given)
    if new := OLD_SPELLINGS.get(given.key):
        return replace(given, path=tuple(new.split("."))), f"{given.place}: '{given.key}' is now '{new}'"
    return given, ""


def _section(given: Given) -> Given:
    return replace(given, path=(OLD_SECTIONS.get(given.path[0], given.path[0]), *given.path[1:]))


def _in_service(given: Given) -> bool:
    return given.path[0] in (*OLD_SECTIONS.values(), "services") and len(given.path) > 1


def _module(given: Given) -> tuple[Given | None, str]:
    if _OWN_MODULE.fullmatch(str(given.value)):
        return None, f"{given.place}: '{given.key}' is ignored: the built-in service needs no module"
    new = replace(given, path=(*given.path[:-1], "module"))
    return new, f"{given.place}: '{given.key}' is now '{new.key}'"
