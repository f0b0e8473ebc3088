"""Text from a server, token by token, and what becomes of a server's faults."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from clients.errors import BackendError, BadRequest, Busy, Cancelled, DeadlineExceeded, RagqError, TooLarge, Unreachable
from clients.llm import Generate, Generation, Message
from services.llm.backends.base import Generator
from services.service import Call
from tests.unit.llm.remote.conftest import Loader
from tests.unit.llm.remote.scripted import HANG, HANG_UP, Reply, Scripted, as_json, as_stream, as_text, delta

CHAT = "/v1/chat/completions"
USAGE = {
    "choices": [],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
}
TURNS = [Message("user", "hi")]


def call(timeout_s: float = 10.0) -> Call:
    return Call(time.monotonic() + timeout_s)


def write(
    generator: Generator, request: Generate | None = None, of: Call | None = None
) -> tuple[list[str], Generation]:
    stream = generator.generate(request or Generate(messages=TURNS), of or call())
    tokens = []
    while True:
        try:
            tokens.append(next(stream).text)
        except StopIteration as end:
            return tokens, end.value


def test_tokens_come_as_they_are_sent_and_then_the_whole(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model())
    server.pause_s = 0.02
    server.on(
        CHAT, as_stream(delta(), delta("Hello "), delta("you"), delta("!"), delta(finish="stop"), USAGE, "[DONE]")
    )
    tokens, done = write(generator)
    assert (tokens, done.text, done.finish_reason, done.model) == (["Hello ", "you", "!"], "Hello you!", "stop", "m")
    usage = done.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (7, 3, 4)
    assert 0.02 <= usage.first_token_s < usage.total_s
    assert 0.01 <= usage.token_s < usage.total_s


def test_the_connection_carries_the_next_answer(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model())
    server.on(CHAT, as_stream(delta("a", "stop"), "[DONE]"))
    for _ in range(3):
        assert write(generator)[1].text == "a"
    assert server.num_connections == 1


def test_tokens_are_counted_where_the_server_says_no_usage(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model())
    server.on(CHAT, as_stream(delta("a"), delta("b", "length"), "[DONE]"))
    _, done = write(generator)
    assert (done.finish_reason, done.usage.completion_tokens, done.usage.prompt_tokens) == ("length", 2, 0)


def test_a_prompt_is_continued_as_it_is(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model())
    server.on("/v1/completions", as_stream({"choices": [{"text": "x", "finish_reason": "stop"}]}, "[DONE]"))
    assert write(generator, Generate(prompt="once"))[1].text == "x"
    body = server.bodies("/v1/completions")[0]
    assert body["prompt"] == "once"
    assert "messages" not in body


def test_a_server_that_does_not_stream_is_understood(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model())
    server.on(CHAT, as_json({"choices": [{"message": {"content": "all"}, "finish_reason": "stop"}]}))
    assert write(generator)[0] == ["all"]


def test_thoughts_are_left_out_or_kept_between_tags(server: Scripted, remote: Loader) -> None:
    thoughts = [delta(reasoning_content="hm"), delta(reasoning="..."), delta("yes"), delta(finish="stop"), "[DONE]"]
    server.on(CHAT, *server.replies[CHAT], as_stream(*thoughts))
    assert write(remote.generator(server.model()))[1].text == "yes"
    server.on(CHAT, as_json({"choices": []}), as_stream(*thoughts))
    keeps = remote.generator(server.model(options={"reasoning": "keep"}))
    assert write(keeps)[1].text == "<think>hm...</think>\n\nyes"


def test_thoughts_that_never_end_are_closed(server: Scripted, remote: Loader) -> None:
    keeps = remote.generator(server.model(options={"reasoning": "keep"}))
    server.on(CHAT, as_stream(delta(reasoning_content="hm"), delta(finish="length"), "[DONE]"))
    assert write(keeps)[1].text == "<think>hm</think>\n\n"


def test_a_stop_text_that_the_server_lets_through_ends_the_answer(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model())
    server.on(CHAT, [*as_stream(delta("one S"), delta("TOP two"))[:3], HANG])
    tokens, done = write(generator, Generate(messages=TURNS, stop=["STOP"]))
    assert ("".join(tokens), done.text, done.finish_reason) == ("one ", "one ", "stop")
    assert server.left.wait(5)


@pytest.mark.parametrize(
    ("kind", "controls", "fields"),
    [
        ("vllm", {"top_k": 5, "min_p": 0.1}, {"top_k": 5, "min_p": 0.1}),
        ("vllm", {"stop_tokens": [1]}, {"stop_token_ids": [1]}),
        ("vllm", {"ban_tokens": [7, 9]}, {"logit_bias": {"7": -100, "9": -100}}),
        ("vllm", {"template": "{{ x }}"}, {"chat_template": "{{ x }}"}),
        ("sglang", {"template_options": {"think": False}}, {"chat_template_kwargs": {"think": False}}),
        ("vllm", {"repetition_penalty": 1.1}, {"repetition_penalty": 1.1}),
        ("llamacpp", {"repetition_penalty": 1.1}, {"repeat_penalty": 1.1}),
        ("ollama", {"format": "json"}, {"response_format": {"type": "json_object"}}),
        ("", {"seed": 0, "top_p": 0.5}, {"seed": 0, "top_p": 0.5}),
        ("", {"presence_penalty": 1.0}, {"presence_penalty": 1.0}),
        ("", {"frequency_penalty": -1.0}, {"frequency_penalty": -1.0}),
        ("", {"stop": list("abcdef")}, {"stop": list("abcd")}),
        ("openai", {"max_tokens": 9}, {"max_completion_tokens": 9}),
        ("", {"max_tokens": 9}, {"max_tokens": 9}),
        (
            "",
            {"json_schema": '{"type": "object"}'},
            {"response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
            }},
        ),
    ],
)  # fmt: skip
def test_controls_have_the_names_of_the_server(
    kind: str, controls: dict[str, Any], fields: dict[str, Any], server: Scripted, remote: Loader
) -> None:
    server.on("/v1/models", as_json({"data": [{"id": "m"}]}))
    generator = remote.generator(server.model(options={"server": kind}))
    server.on(CHAT, as_stream(delta("a", "stop"), "[DONE]"))
    write(generator, Generate(messages=TURNS, **controls))
    body = server.bodies(CHAT)[-1]
    assert body | fields == body
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert body["stream_options"] == {"include_usage": True}


def test_controls_that_are_not_set_are_not_sent(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model())
    server.on(CHAT, as_stream(delta("a", "stop"), "[DONE]"))
    write(generator)
    body = server.bodies(CHAT)[-1]
    assert set(body) == {"model", "stream", "stream_options", "max_tokens", "messages", "temperature"}


@pytest.mark.parametrize(
    ("owner", "controls"),
    [
        ("library", {"top_k": 5}),
        ("someone", {"min_p": 0.5}),
        ("llamacpp", {"stop_tokens": [1]}),
        ("vllm", {"beams": 2}),
        ("vllm", {"penalty_decay": 0.9}),
    ],
)
def test_a_control_that_the_server_would_ignore_is_refused(
    owner: str, controls: dict[str, Any], server: Scripted, remote: Loader
) -> None:
    server.on("/v1/models", as_json({"data": [{"id": "m", "owned_by": owner}]}))
    generator = remote.generator(server.model())
    server.asked.clear()
    with pytest.raises(BadRequest, match=next(iter(controls))):
        write(generator, Generate(messages=TURNS, **controls))
    assert not server.asked


def test_a_control_that_the_settings_name_is_let_through(server: Scripted, remote: Loader) -> None:
    server.on("/v1/models", as_json({"data": [{"id": "m"}]}))
    generator = remote.generator(server.model(options={"controls": ["top_k"]}))
    server.on(CHAT, as_stream(delta("a", "stop"), "[DONE]"))
    write(generator, Generate(messages=TURNS, top_k=3))
    assert server.bodies(CHAT)[-1]["top_k"] == 3


@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [
        (as_stream(delta("a"), is_whole=False), BackendError, "broke off"),
        (as_stream(delta("a")), BackendError, "broke off"),
        (as_stream(delta("a"), "[DONE]"), BackendError, "broke off"),
        (as_stream("[DONE]"), BackendError, "broke off"),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b'data: {"choices": []}\n\n', HANG_UP],
            BackendError,
            "broke",
        ),
        (as_stream(delta("a"), {"error": {"message": "out of memory", "code": 500}}), BackendError, "out of memory"),
        (
            as_stream({"object": "error", "message": "context length", "code": 400}),
            TooLarge,
            "context",
        ),
        (as_stream(delta("a"), "{oops"), BackendError, "no JSON"),
        (as_stream(delta("a"), "[1]"), BackendError, "no object"),
        (as_stream({"choices": ["a"]}), BackendError, "choice"),
        (as_stream(delta("a"), delta(finish="content_filter")), BackendError, "content_filter"),
        (as_stream(delta("a"), delta(finish="abort")), BackendError, "abort"),
        (as_json({"error": {"message": "maximum context length is 512 tokens"}}, 400), TooLarge, "512"),
        (as_json({"detail": [{"loc": ["body", "top_p"], "msg": "too big"}]}, 422), BadRequest, "body.top_p: too big"),
        (as_json({"error": "slow"}, 429, Retry_After="2"), Busy, "slow"),
        (as_json({"error": "oops"}, 500), BackendError, "oops"),
        (as_json({"error": "denied"}, 401), BackendError, "denied"),
        (as_text("<html>"), BackendError, "a web page"),
        ([as_stream()[0], HANG], BackendError, r"said nothing for 1 s"),
        (HANG, BackendError, r"said nothing for 1 s"),
    ],
)
def test_an_answer_that_fails_is_never_a_short_answer(
    fault: Reply, kind: type[RagqError], why: str, server: Scripted, remote: Loader
) -> None:
    generator = remote.generator(server.model(timeout_s=1.0))
    server.on(CHAT, fault)
    with pytest.raises(kind, match=why) as caught:
        write(generator)
    assert type(caught.value) is kind


def test_busy_says_when_to_come_back(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model())
    server.on(CHAT, as_json({"error": "slow"}, 429, Retry_After="2"))
    with pytest.raises(Busy) as caught:
        write(generator)
    assert caught.value.retry_after_s == 2.0


def test_a_server_that_is_gone_is_unreachable(remote: Loader) -> None:
    with Scripted() as server:
        server.on("/v1/models", as_json({"data": [{"id": "m"}]}))
        server.on(CHAT, as_json({"choices": []}))
        generator = remote.generator(server.model())
    with pytest.raises(Unreachable, match="refused"):
        write(generator)


def test_a_caller_who_gives_up_ends_the_request_at_once(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model(timeout_s=30.0))
    server.on(CHAT, [*as_stream(delta("a"))[:2], HANG])
    of = call(30.0)
    stream = generator.generate(Generate(messages=TURNS), of)
    assert next(stream).text == "a"
    threading.Timer(0.1, of.cancelled.set).start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        next(stream)
    assert time.monotonic() - start < 2.0
    assert server.left.wait(5)


def test_a_stream_that_is_dropped_ends_the_request(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model())
    server.on(CHAT, [*as_stream(delta("a"))[:2], HANG])
    stream = generator.generate(Generate(messages=TURNS), call())
    next(stream)
    stream.close()
    assert server.left.wait(5)


def test_the_deadline_of_the_call_is_kept_before_and_within_the_answer(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model(timeout_s=30.0))
    for reply in (HANG, [*as_stream(delta("a"))[:2], HANG]):
        server.on(CHAT, reply)
        with pytest.raises(DeadlineExceeded):
            write(generator, of=call(0.2))


def test_a_server_that_stays_after_the_last_event_does_not_hold_up_the_answer(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model(timeout_s=30.0))
    server.on(CHAT, [*as_stream(delta("a", "stop"), "[DONE]")[:3], HANG])
    start = time.monotonic()
    assert write(generator)[1].text == "a"
    assert time.monotonic() - start < 5.0


def test_a_kept_connection_that_the_server_gives_up_just_then_costs_nothing(server: Scripted, remote: Loader) -> None:
    generator = remote.generator(server.model())
    answer = as_stream(delta("a", "stop"), "[DONE]")
    server.on(CHAT, answer, HANG_UP, answer)
    assert [write(generator)[1].text for _ in range(2)] == ["a", "a"]
    assert server.num_connections == 2
