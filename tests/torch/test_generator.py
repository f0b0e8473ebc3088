"""What the torch backend writes is what transformers writes, alone or beside other answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install 'ragq[torch]'")

from clients.errors import BadRequest, Busy, Cancelled, TooLarge  # noqa: E402 - needs torch
from clients.llm import Generate, Generation, Message  # noqa: E402 - needs torch
from services.llm.backends.torch.device import Place  # noqa: E402 - needs torch
from services.llm.backends.torch.generator import MAX_ANSWERS, TorchGenerator  # noqa: E402 - needs torch
from services.llm.backends.torch.slots import Slots  # noqa: E402 - needs torch
from services.llm.backends.torch.stepper import LEAST_WINDOW, Stepper, stepper  # noqa: E402 - needs torch
from services.service import Call  # noqa: E402 - needs torch

from . import small_models  # noqa: E402 - needs torch

# transformers takes its time to import what generates.
pytestmark = [pytest.mark.torch, pytest.mark.timeout(180)]
CPU = Place(torch.device("cpu"), torch.float32)
PROMPTS = ["The cat sits on", "Interest rates rose sharply in the last quarter. " * 12, "x", "Where does the cat sit?"]


def call(timeout_s: float = 30.0) -> Call:
    return Call(time.monotonic() + timeout_s)


def written(generator: TorchGenerator, request: Generate) -> tuple[list[str], Generation]:
    stream, pieces = generator.generate(request, call()), []
    while True:
        try:
            pieces.append(next(stream).text)
        except StopIteration as end:
            return pieces, end.value


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TorchGenerator, object]]:
    model, reference = small_models.decoder(tmp_path_factory.mktemp("qwen3"), "qwen3")
    generator = TorchGenerator(model, CPU)
    yield generator, reference
    generator.close()


def golden(generator: TorchGenerator, reference, prompt: str, **settings) -> str:
    ids = torch.tensor([generator._prompt._ids(prompt, has_specials=True)])
    with torch.no_grad():
        out = reference.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    return generator._prompt.spell(out[0, ids.shape[1] :].tolist())


@pytest.mark.parametrize("kind", small_models.DECODERS)
def test_greedy_answers_are_those_of_transformers(tmp_path, kind):
    model, reference = small_models.decoder(tmp_path / "m", kind)
    generator = TorchGenerator(model, CPU)
    for prompt in PROMPTS:
        pieces, whole = written(generator, Generate(prompt=prompt, max_tokens=24))
        assert whole.text == golden(generator, reference, prompt, max_new_tokens=24, do_sample=False)
        assert "".join(pieces) == whole.text
    generator.close()


def test_answers_beside_each_other_are_those_of_each_alone(qwen):
    generator, _ = qwen
    requests = [Generate(prompt=f"{prompt} {n}", max_tokens=12) for n in range(4) for prompt in PROMPTS]
    alone = [written(generator, request)[1].text for request in requests]
    with ThreadPoolExecutor(MAX_ANSWERS) as pool:
        assert list(pool.map(lambda request: written(generator, request)[1].text, requests)) == alone


def test_a_prompt_that_begins_like_an_earlier_one_is_read_from_where_they_part(tmp_path):
    model, reference = small_models.decoder(tmp_path / "m", "qwen3")
    generator = TorchGenerator(model, CPU)
    context = "The cat sits on the mat. " * 20
    _, first = written(generator, Generate(prompt=context + "Where?", max_tokens=8))
    _, second = written(generator, Generate(prompt=context + "Why?", max_tokens=8))
    _, again = written(generator, Generate(prompt=context + "Why?", max_tokens=8))
    assert first.usage.cached_tokens == 0
    assert second.usage.prompt_tokens - 8 < second.usage.cached_tokens < second.usage.prompt_tokens
    assert again.usage.cached_tokens == again.usage.prompt_tokens - 1
    assert second.text == golden(generator, reference, context + "Why?", max_new_tokens=8, do_sample=False)
    assert again.text == second.text
    generator.close()


def test_what_a_busy_slot_has_read_is_copied(tmp_path):
    model, reference = small_models.decoder(tmp_path / "m", "qwen3")
    generator = TorchGenerator(model, CPU)
    context = "The cat sits on the mat. " * 20
    busy = generator.generate(Generate(prompt=context, max_tokens=400), call())
    next(busy)
    _, second = written(generator, Generate(prompt=context + "Why?", max_tokens=8))
    assert second.usage.cached_tokens > second.usage.prompt_tokens - 8
    assert second.text == golden(generator, reference, context + "Why?", max_new_tokens=8, do_sample=False)
    busy.close()
    generator.close()


def test_a_beam_search_finds_what_transformers_finds(qwen):
    generator, reference = qwen
    _, whole = written(generator, Generate(prompt=PROMPTS[0], max_tokens=8, beams=3, num_answers=2))
    expected = golden(generator, reference, PROMPTS[0], max_new_tokens=8, num_beams=3, do_sample=False)
    assert whole.text == expected
    assert len(whole.beams) == 2
    assert whole.beams[0].score >= whole.beams[1].score


def test_the_controls_do_what_they_say(qwen):
    generator, _ = qwen
    letters = {generator._prompt._tokenizer.token_to_id(letter) for letter in "abcdefghij"}
    banned = [token for token in range(small_models.VOCABULARY) if token not in letters]
    plain = Generate(prompt=PROMPTS[0], max_tokens=12, ban_tokens=banned, presence_penalty=1.0)
    _, greedy = written(generator, plain)
    assert len(greedy.text) == 12
    assert set(greedy.text) <= set("abcdefghij")
    _, stopped = written(generator, replace(plain, stop=[greedy.text[3:6]]))
    assert (stopped.text, stopped.finish_reason) == (greedy.text[: greedy.text.index(greedy.text[3:6])], "stop")
    sampled = replace(plain, temperature=1.0, top_p=0.9, seed=7)
    assert written(generator, sampled)[1].text == written(generator, sampled)[1].text
    assert written(generator, sampled)[1].text != written(generator, replace(sampled, seed=8))[1].text
    with pytest.raises(BadRequest, match="unsupported control 'format'"):
        written(generator, replace(plain, format="json"))


def test_messages_go_through_the_models_template(qwen):
    generator, reference = qwen
    turns = [Message("user", "Where does the cat sit?")]
    _, whole = written(generator, Generate(messages=turns, max_tokens=6, template_options={"enable_thinking": False}))
    prompt = "<|im_start|>user\nWhere does the cat sit?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert whole.text == golden(generator, reference, prompt, max_new_tokens=6, do_sample=False)
    assert whole.usage.prompt_tokens == len(generator._prompt._ids(prompt, has_specials=False))


def test_a_caller_who_leaves_frees_the_slot(qwen):
    generator, _ = qwen
    for _ in range(2 * MAX_ANSWERS + 1):
        gone = call()
        stream = generator.generate(Generate(prompt="The cat", max_tokens=900), gone)
        next(stream)
        gone.cancelled.set()
        with pytest.raises(Cancelled):
            for _ in stream:
                pass
    assert written(generator, Generate(prompt="The cat", max_tokens=3))[1].usage.queue_s < 1.0


def test_too_many_answers_are_told_to_come_back(qwen):
    generator, _ = qwen
    streams = [generator.generate(Generate(prompt=f"{n}", max_tokens=900), call()) for n in range(2 * MAX_ANSWERS)]
    with ThreadPoolExecutor(len(streams)) as pool:
        for future in [pool.submit(next, stream) for stream in streams[:MAX_ANSWERS]]:
            future.result()
        late = [pool.submit(next, stream) for stream in streams[MAX_ANSWERS:]]
        end = time.monotonic() + 10
        while len(generator._answers._waiting) < MAX_ANSWERS and time.monotonic() < end:
            time.sleep(0.01)
        with pytest.raises(Busy):
            next(generator.generate(Generate(prompt="x"), call()))
        for stream in streams[:MAX_ANSWERS]:
            stream.close()
        assert all(future.result().text for future in late)
    for stream in streams:
        stream.close()


def test_a_prompt_beyond_the_context_is_refused(tmp_path):
    model, _ = small_models.decoder(tmp_path / "m", "qwen3")
    generator = TorchGenerator(model, CPU, max_tokens=64)
    with pytest.raises(TooLarge, match="takes 64"):
        written(generator, Generate(prompt="word " * 500))
    _, whole = written(generator, Generate(prompt="one two three", max_tokens=500))
    assert whole.usage.prompt_tokens + whole.usage.completion_tokens <= 64
    generator.close()


def test_a_step_looks_no_further_than_it_must_and_gives_the_same(qwen):
    generator, _ = qwen
    ids = generator._prompt._ids("The cat sits on the mat. " * 60, has_specials=False)[: LEAST_WINDOW + 40]
    steps = Stepper(generator._decoder, Slots(generator._decoder, 3, 1000))
    with torch.inference_mode():
        for slot in (0, 2):
            steps.read(slot, ids[:LEAST_WINDOW], 0)
        expected = steps.read(2, ids[LEAST_WINDOW:], LEAST_WINDOW)
        for cell in range(LEAST_WINDOW, len(ids)):
            logits = steps.write({0: (ids[cell], cell)})
    np.testing.assert_allclose(logits[0], expected, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_graphs_give_what_steps_without_them_give(tmp_path):
    model, _ = small_models.decoder(tmp_path / "m", "qwen3")
    exact = Place(torch.device("cuda"), torch.float32)
    plain, graphs = TorchGenerator(model, exact), TorchGenerator(model, exact, has_graphs=True)
    requests = [Generate(prompt=f"{prompt} {n}", max_tokens=40) for n in range(4) for prompt in PROMPTS]
    expected = [written(plain, request)[1].text for request in requests]
    with ThreadPoolExecutor(MAX_ANSWERS) as pool:
        assert list(pool.map(lambda request: written(graphs, request)[1].text, requests)) == expected
    assert type(stepper(graphs._decoder, Slots(graphs._decoder, 1, 8), has_graphs=True)).__name__ == "GraphStepper"
    plain.close()
    graphs.close()
