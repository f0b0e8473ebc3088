"""The other rerankers, in an environment of their own: transformers in several ways, and sentence-transformers.

Reads a task per line as JSON from its input and writes a line with processor seconds and logits.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

BATCH_TOKENS = 1024
Prompts = list[list[int]]
State = tuple[Any, Any]


class Causal:
    """A causal model that is asked for yes or no.

    Args:
        directory: of the model.
        dtype: of torch, by name.
        ids: of yes and no.
    """

    def __init__(self, directory: str, dtype: str, ids: tuple[int, int]) -> None:
        from transformers import AutoModelForCausalLM

        self._model = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, dtype)).eval()
        self._yes, self._no = ids

    def naive(self, prompts: Prompts) -> list[float]:
        """As the model's own page says: one batch, padded on the left, the whole head at every position."""
        return self._padded(prompts, {})

    def last(self, prompts: Prompts) -> list[float]:
        """The same with the head at the last position only."""
        return self._padded(prompts, {"logits_to_keep": 1})

    def alone(self, prompts: Prompts) -> list[float]:
        """One prompt after the other, without padding."""
        return [score for prompt in prompts for score in self._padded([prompt], {"logits_to_keep": 1})]

    def sorted(self, prompts: Prompts) -> list[float]:
        """In batches of neighbours in length, of at most 1024 padded tokens."""
        found: dict[int, float] = {}
        for batch in _batches(prompts):
            scores = self._padded([prompts[place] for place in batch], {"logits_to_keep": 1})
            found |= dict(zip(batch, scores, strict=True))
        return [found[place] for place in range(len(prompts))]

    def shared(self, prompts: Prompts) -> list[float]:
        """The common beginning once, by transformers' own cache; then batches of neighbours in length."""
        from transformers import DynamicCache

        common = next(place for place, ids in enumerate(zip(*prompts, strict=False)) if len(set(ids)) > 1)
        beginning = self._model(torch.tensor([prompts[0][:common]]), use_cache=True, logits_to_keep=1).past_key_values
        layers = [(layer.keys, layer.values) for layer in beginning.layers]
        rest, found = [prompt[common:] for prompt in prompts], {}
        for batch in _batches(rest):
            cache = DynamicCache()
            for number, (keys, values) in enumerate(layers):
                cache.update(keys.expand(len(batch), -1, -1, -1), values.expand(len(batch), -1, -1, -1), number)
            scores = self._behind([rest[place] for place in batch], common, cache)
            found |= dict(zip(batch, scores, strict=True))
        return [found[place] for place in range(len(prompts))]

    def _padded(self, prompts: Prompts, options: dict[str, Any]) -> list[float]:
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        logits = self._model(ids, attention_mask=mask, **options).logits[:, -1]
        return self._score(logits)

    def _behind(self, rest: Prompts, common: int, cache: Any) -> list[float]:
        """Padded on the right; the last position differs, so the head works on those rows alone."""
        width = max(map(len, rest))
        ids = torch.tensor([prompt + [0] * (width - len(prompt)) for prompt in rest])
        mask = torch.tensor([[1] * (common + len(prompt)) + [0] * (width - len(prompt)) for prompt in rest])
        hidden = self._model.model(ids, attention_mask=mask, past_key_values=cache).last_hidden_state
        last = hidden[torch.arange(len(rest)), torch.tensor([len(prompt) - 1 for prompt in rest])]
        return self._score(self._model.lm_head(last))

    def _score(self, logits: Any) -> list[float]:
        return [float(value) for value in (logits[:, self._yes] - logits[:, self._no]).float()]


def _batches(prompts: Prompts) -> Iterator[list[int]]:
    batch: list[int] = []
    for place in sorted(range(len(prompts)), key=lambda place: len(prompts[place])):
        if batch and len(prompts[place]) * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    yield batch


def cross_encoder(directory: str) -> Callable[[list[list[str]]], list[float]]:
    """sentence-transformers, with the raw logit."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(directory, device="cpu", activation_fn=torch.nn.Identity(), max_length=512)
    return lambda pairs: [
        float(score) for score in model.predict([(query, text) for query, text in pairs], show_progress_bar=False)
    ]


def main() -> None:
    """Serve until the input ends."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    found: dict[str, Callable[[Any], list[float]]] = {}
    for line in sys.stdin:
        task = json.loads(line)
        if task["do"] == "causal":
            causal = Causal(task["directory"], task["dtype"], tuple(task["ids"]))
            found |= {name: getattr(causal, name) for name in ("naive", "last", "alone", "sorted", "shared")}
            answer: dict[str, Any] = {}
        elif task["do"] == "cross_encoder":
            found["pairs"], answer = cross_encoder(task["directory"]), {}
        else:
            start = time.process_time()
            logits = found[task["do"]](task["items"])
            answer = {"cpu_s": time.process_time() - start, "logits": logits}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
