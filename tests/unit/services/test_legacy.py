"""The older mesh's commands, each as one call of today's methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from clients import index, llm
from clients.errors import BackendError, BadRequest, UnknownMethod
from clients.wire import Nothing
from services import legacy


@dataclass
class Methods:
    """Answers today's methods with real messages, and remembers the requests."""

    jobs: list[index.JobRecord] = field(default_factory=list)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(self, name: str, request: Any) -> Any:
        self.asked.append((name, request))
        return getattr(self, name.replace(".", "_"))(request)

    def llm_embed(self, request: llm.Embed) -> llm.Embeddings:
        return llm.Embeddings(np.full((len(request.texts), 2), 0.5, np.float32), "toy")

    def llm_score(self, request: llm.Score) -> llm.Scores:
        logits = np.arange(len(request.queries), dtype=np.float32)
        return llm.Scores(logits, logits, "logit", "toy")

    def llm_generate(self, request: llm.Generate) -> llm.Generation:
        return llm.Generation(_said(request).upper(), "stop", "toy")

    def llm_models(self, _request: Nothing) -> llm.Models:
        return llm.Models([llm.ModelInfo("embed", "toy", "toy", device="cpu", num_bytes=5)])

    def llm_usage(self, _request: Nothing) -> llm.WorkerUsage:
        return llm.WorkerUsage("here", 1, 2, 10, 20, 0.5, [])

    def index_add_texts(self, _request: index.AddTexts) -> index.JobRecord:
        return self.jobs.pop(0)

    def index_job(self, _request: index.JobId) -> index.JobRecord:
        return self.jobs.pop(0)

    def index_search(self, _request: index.Search) -> index.Hits:
        return index.Hits([index.Hit("c1", "d1", "a.pdf", "text", 0.75, "similarity", page=3)])

    def index_create_collection(self, request: index.CreateCollection) -> index.CreateCollection:
        return request

    def index_delete_collection(self, request: index.CollectionName) -> index.CollectionName:
        return request


def _said(request: llm.Generate) -> str:
    return request.messages[0].content if request.messages else request.prompt


@pytest.fixture
def methods() -> Methods:
    return Methods()


def test_embeddings_come_as_lists_in_batches_that_one_call_takes(methods: Methods) -> None:
    value = legacy.answer("llm", {"cmd": "GET_EMBEDDINGS", "texts": ["x"] * 150}, methods)
    assert value == [[0.5, 0.5]] * 150
    assert [len(request.texts) for _, request in methods.asked] == [64, 64, 22]


def test_one_text_may_come_without_a_list(methods: Methods) -> None:
    assert legacy.answer("llm", {"cmd": "get_embeddings", "texts": "x"}, methods) == [[0.5, 0.5]]


def test_cross_scores_are_the_raw_outputs(methods: Methods) -> None:
    request = {"cmd": "GET_CROSS_SCORES", "texts_0": ["q", "q"], "texts_1": ["a", "b"]}
    assert legacy.answer("llm", request, methods) == [0.0, 1.0]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"instruction": "do it", "input_text": "with this"}, {"content": "with this\n\ndo it", "temperature": 0.0}),
        ({"instruction": "do it", "top_p": 0.5, "temperature": 0.7}, {"temperature": 0.7, "top_p": 0.5}),
        ({"instruction": "do it", "top_p": 0, "temperature": 0.7}, {"temperature": 0.0, "top_p": 1.0}),
        ({"template_prompt": "as it stands", "instruction": "no"}, {"prompt": "as it stands", "messages": []}),
        ({"instruction": "x", "token_count": 7}, {"max_tokens": 7}),
        ({"instruction": "x"}, {"max_tokens": 128, "state": ""}),
        ({"instruction": "x", "state_file": "poet.pth"}, {"state": "poet.pth"}),
        ({"instruction": "x", "state_file": None}, {"state": ""}),
    ],
    ids=str,
)
def test_generation_keeps_the_old_fields(methods: Methods, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    text = legacy.answer("llm", {"cmd": "SAMPLING_GENERATE", **fields}, methods)
    (_, request) = methods.asked[0]
    content = _said(request)
    assert text == content.upper()
    assert {
        "content": content,
        **{n: getattr(request, n) for n in expected if n != "content"},
    }.items() >= expected.items()


def test_the_earliest_command_takes_the_likeliest_tokens_a_hundred_of_them(methods: Methods) -> None:
    fields = {"instruction": "do it", "input_text": "with this", "temperature": 0.9}
    assert legacy.answer("llm", {"cmd": "generate_texts", **fields}, methods) == "WITH THIS\n\nDO IT"
    (_, request) = methods.asked[0]
    assert (request.max_tokens, request.temperature) == (100, 0.0)


def test_models_are_told_by_role_with_devices_and_memory(methods: Methods) -> None:
    value = legacy.answer("llm", {"cmd": "LLM_CONFIG"}, methods)
    assert value == {
        "embed": {"name": "toy", "backend": "toy", "status": "ready", "device": "cpu", "bytes": 5},
        "memory": {"rss_bytes": 10, "available_bytes": 20},
        "threads": 2,
    }


def test_a_search_has_the_old_shape(methods: Methods) -> None:
    value = legacy.answer("index", {"cmd": "SEARCH_NEARBY", "text": "q"}, methods)
    assert value == {
        "ids": [["c1"]],
        "documents": [["text"]],
        "distances": [[0.25]],
        "metadatas": [[{"source": "a.pdf", "page": 3}]],
    }
    (_, request) = methods.asked[0]
    assert (request.collection, request.top_k, request.mode, request.rerank) == ("initial", 3, "dense", False)


def job(status: Any, reason: str = "") -> index.JobRecord:
    return index.JobRecord("j1", "initial", status, reason=reason)


def test_texts_can_be_found_when_the_answer_comes(methods: Methods) -> None:
    methods.jobs = [job("running"), job("succeeded")]
    assert legacy.answer("index", {"cmd": "INDEX_TEXTS", "texts": ["a b", "c"], "keys": ["k1", "k2"]}, methods) is True
    (_, request) = methods.asked[0]
    assert [text.name for text in request.texts] == ["k1", "k2"]
    assert request.chunking.size >= 4000


def test_texts_that_fail_are_answered_with_the_reason(methods: Methods) -> None:
    methods.jobs = [job("failed", "the disk is full")]
    with pytest.raises(BackendError, match="indexing failed: the disk is full"):
        legacy.answer("index", {"cmd": "INDEX_TEXTS", "texts": ["a"]}, methods)


def test_collections_are_made_and_removed(methods: Methods) -> None:
    assert legacy.answer("index", {"cmd": "CREATE_COLLECTION", "collection_name": "x"}, methods) is True
    assert legacy.answer("index", {"cmd": "DELETE_COLLECTION", "collection_name": "x"}, methods) is True
    assert [name for name, _ in methods.asked] == ["index.create_collection", "index.delete_collection"]
    assert methods.asked[0][1].exist_ok


@pytest.mark.parametrize(
    ("service", "request_map", "kind", "told"),
    [
        ("llm", None, BadRequest, "a text 'cmd'"),
        ("llm", {"cmd": 5}, BadRequest, "a text 'cmd'"),
        ("llm", {b"cmd": "LLM_CONFIG"}, BadRequest, "a text 'cmd'"),
        ("llm", {"cmd": "SEARCH_NEARBY"}, UnknownMethod, "unsupported command 'SEARCH_NEARBY' of llm"),
        ("tuning", {"cmd": "ANY"}, UnknownMethod, "unsupported command 'ANY' of tuning"),
        ("llm", {"cmd": "GET_EMBEDDINGS", "texts": [b"x"]}, BadRequest, "texts: a text or a list of texts"),
        ("llm", {"cmd": "GET_CROSS_SCORES", "texts_0": ["a"]}, BadRequest, "texts_1"),
        ("llm", {"cmd": "GENERATE_TEXTS", "instruction": "x", "token_count": "7"}, BadRequest, "token_count: a number"),
        ("llm", {"cmd": "GENERATE_TEXTS", "token_count": True}, BadRequest, "token_count: a number"),
        ("index", {"cmd": "CREATE_COLLECTION"}, BadRequest, "collection_name: a text"),
        ("index", {"cmd": "SEARCH_NEARBY"}, BadRequest, "text: a text"),
    ],
)  # fmt: skip
def test_a_wrong_request_says_which_field(
    methods: Methods, service: str, request_map: object, kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told):
        legacy.answer(service, request_map, methods)
    assert methods.asked == []
