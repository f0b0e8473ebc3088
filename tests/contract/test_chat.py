"""What a GGUF model promises beyond the contract of all backends: each control works, and no failure spreads."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clients.config import Config
from clients.errors import BadRequest, Cancelled, DeadlineExceeded, ModelNotLoaded, RagqError
from clients.llm import Generate, Generation, Message
from services.llm.backends.openvino.chat import MAX_ANSWERS, OpenVINOChat
from services.llm.backends.openvino.gguf_model import GGUFModel
from services.llm.backends.openvino.logits import StatefulReader
from services.llm.sampling import log_softmax
from services.models import Shelf
from services.models.gguf import read_header
from services.service import Call

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]
NAME = "smollm2-135m-instruct"
ONCE = "Once upon a time"
ASK = [Message("user", "What is the capital of France?")]
# It passes every check of ours, and GenAI notices at the first token.
IMPOSSIBLE = json.dumps({"type": "array", "minItems": 5, "maxItems": 2})


def shelf() -> Shelf:
    """A shelf with the model, or a skip that says how to get it."""
    shelf = Shelf(Config().home)
    if not shelf.has(NAME):
        pytest.skip(f"the model {NAME} is not below {shelf.directory}: ragq models pull {NAME}")
    return shelf


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenVINOChat]:
    chat = OpenVINOChat(shelf().locate(NAME), cache=tmp_path_factory.mktemp("cache"))
    yield chat
    chat.close()


def call(timeout_s: float = 60.0) -> Call:
    return Call(time.monotonic() + timeout_s)


def written(chat: OpenVINOChat, at: Call | None = None, **controls: Any) -> Generation:
    if "messages" not in controls:
        controls.setdefault("prompt", ONCE)
    stream = chat.generate(Generate(**{"max_tokens": 16, **controls}), at or call())
    pieces = []
    while True:
        try:
            pieces.append(next(stream).text)
        except StopIteration as end:
            whole: Generation = end.value
            break
    assert "".join(pieces) == whole.text
    return whole


def ids(chat: OpenVINOChat, text: str) -> list[int]:
    tokens: list[int] = chat._tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
    return tokens


def test_the_logits_are_those_of_transformers(chat):
    """Top three after "Once upon a time", by transformers 5.23 in fp32 with the weights of the Q4_1 file.

    Rounding the weights to Q8_0 moved each by less than 0.09; read with whole zero points as GenAI does by
    itself, they are 19.85, 17.56 and 14.88.
    """
    logits = StatefulReader(chat._model.reader(), call()).read(ids(chat, ONCE))
    assert logits.argsort()[::-1][:3].tolist() == [28, 281, 665]
    assert logits[[28, 281, 665]].tolist() == pytest.approx([18.142, 14.083, 13.367], abs=0.15)


def test_a_file_that_the_runtime_misreads_is_repacked_once_into_the_cache(tmp_path, caplog):
    shelved = shelf().locate(NAME)
    if not read_header(shelved.path / shelved.card.weights).unreadable:
        pytest.skip("this shelf holds the file that is repacked already")
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            GGUFModel(shelved, 1, tmp_path)
    assert [record.message.count("Q4_1") for record in caplog.records] == [1]
    (file,) = (tmp_path / "gguf").iterdir()
    assert read_header(file).unreadable == ()


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"temperature": 0.01}], ids=str)
@pytest.mark.parametrize("seed", [None, 5])
def test_the_narrowest_sampling_is_greedy_with_and_without_a_seed(chat, narrow, seed):
    assert written(chat, **{"temperature": 1.5, "seed": seed, **narrow}).text == written(chat).text


def test_sampling_is_not_greedy(chat):
    texts = {written(chat, temperature=1.5).text for _ in range(4)}
    assert len(texts) > 2


@pytest.mark.parametrize(
    "penalty", [{"presence_penalty": 2.0}, {"frequency_penalty": 2.0}, {"repetition_penalty": 1.5}], ids=str
)
def test_penalties_make_it_repeat_less(chat, penalty):
    def num_distinct(**controls: Any) -> int:
        return len(set(ids(chat, written(chat, max_tokens=32, **controls).text)))

    assert num_distinct(**penalty) > num_distinct()


def test_a_penalty_that_fades_at_once_is_none(chat):
    kept = written(chat, frequency_penalty=2.0, max_tokens=32).text
    assert (
        written(chat, frequency_penalty=2.0, penalty_decay=0.01, max_tokens=32).text
        == written(chat, max_tokens=32).text
    )
    assert kept != written(chat, max_tokens=32).text


def test_stop_tokens_end_it_and_banned_tokens_never_come(chat):
    plain = written(chat)
    (comma,) = ids(chat, ",")
    assert plain.text.startswith(",")
    assert "," not in written(chat, ban_tokens=[comma]).text
    (city,) = ids(chat, " city")
    stopped = written(chat, stop_tokens=[city])
    assert stopped.text == plain.text[: plain.text.index(" city")]
    assert stopped.finish_reason == "stop"


def test_the_same_seed_gives_the_same_text_while_others_are_written_beside_it(chat):
    alone = written(chat, temperature=1.0, seed=7).text
    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(written, chat, prompt=f"{n} seas", temperature=1.0, max_tokens=24) for n in range(3)]
        again = pool.submit(written, chat, temperature=1.0, seed=7)
        assert again.result().text == alone
        assert all(other.result().text for other in others)
    assert written(chat, temperature=1.0, seed=8).text != alone


def test_a_template_and_its_options_make_the_prompt(chat):
    template = "{% for m in messages %}{{ m.content }}{% endfor %}{% if enable_thinking %} twice{% endif %}"
    one = written(chat, messages=[Message("user", ONCE)], template=template)
    two = written(chat, messages=[Message("user", ONCE)], template=template, template_options={"enable_thinking": True})
    assert one.text == written(chat).text
    assert two.usage.prompt_tokens == one.usage.prompt_tokens + 1
    with pytest.raises(BadRequest, match="wrong in line 2"):
        written(chat, messages=ASK, template="\n{% for m in %}")


def test_an_answer_in_json_is_json(chat):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "people": {"type": "integer"}},
        "required": ["city", "people"],
        "additionalProperties": False,
    }
    value = json.loads(written(chat, messages=ASK, json_schema=json.dumps(schema), max_tokens=80).text)
    assert set(value) == {"city", "people"}
    assert isinstance(value["people"], int)
    assert written(chat, messages=ASK, format="json").text.startswith("{")
    with pytest.raises(BadRequest, match="cannot keep to JSON and honour 'ban_tokens'"):
        written(chat, messages=ASK, format="json", ban_tokens=[1])


def test_beams_come_best_first_and_their_scores_are_those_of_their_tokens(chat):
    whole = written(chat, beams=4, num_answers=3, max_tokens=6, length_penalty=0.5)
    assert len({beam.text for beam in whole.beams}) == 3
    for beam in whole.beams:
        assert beam.score == pytest.approx(beam.log_probability / 6**0.5)
    assert whole.text == whole.beams[0].text
    prompt, tokens = ids(chat, ONCE), ids(chat, whole.text)
    rows = [StatefulReader(chat._model.reader(), call()).read([*prompt, *tokens[:n]]) for n in range(len(tokens))]
    total = sum(float(log_softmax(row)[token]) for row, token in zip(rows, tokens, strict=True))
    # The state keeps keys and values in 8 bits, so that one pass and many differ a little.
    assert whole.beams[0].log_probability == pytest.approx(total, abs=0.2)


def test_a_schema_that_the_runtime_cannot_use_harms_nobody_else(chat):
    plain = written(chat, max_tokens=48).text
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(written, chat, max_tokens=48)
        with pytest.raises(BadRequest, match="minItems is greater than maxItems"):
            written(chat, messages=ASK, json_schema=IMPOSSIBLE)
        assert other.result().text == plain
    assert written(chat, max_tokens=48).text == plain


def test_the_ninth_answer_waits_and_those_who_gave_up_are_dropped(chat):
    streams = [chat.generate(Generate(prompt=ONCE, max_tokens=400), call()) for _ in range(MAX_ANSWERS)]
    for stream in streams:
        next(stream)
    gone = call()
    gone.cancelled.set()
    with pytest.raises(Cancelled):
        written(chat, gone)
    with pytest.raises(DeadlineExceeded):
        written(chat, call(0.3))
    with ThreadPoolExecutor(1) as pool:
        ninth = pool.submit(written, chat, max_tokens=4)
        time.sleep(0.2)
        assert not ninth.done()
        streams[0].close()
        usage = ninth.result().usage
    assert usage.queue_s >= 0.15
    assert usage.queue_s <= usage.first_token_s <= usage.total_s
    for stream in streams:
        stream.close()


def test_a_second_start_takes_the_graph_from_the_cache(chat, tmp_path: Path):
    graph = chat._model.graph / "openvino_model.xml"
    before = graph.stat().st_mtime_ns
    second = OpenVINOChat(Shelf(Config().home).locate(NAME), cache=chat._model.graph.parent.parent)
    assert written(second).text == written(chat).text
    assert graph.stat().st_mtime_ns == before
    second.close()
    with pytest.raises(ModelNotLoaded):
        written(second)


def test_an_unknown_control_is_refused(chat):
    with pytest.raises(RagqError, match="unsupported control 'state' of backend openvino"):
        written(chat, state="poet")
