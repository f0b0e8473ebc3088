"""Which token comes next, given the logits of a model and the controls of a request.

Knows no runtime: every backend that sees its logits samples with it, so that the controls mean the same
everywhere. The order is that of transformers: bans, penalties, temperature, top_k, top_p, min_p.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

import numpy as np

from clients.errors import BadRequest
from clients.llm import Generate

# So many candidates nearly always hold the nucleus; sorting a whole vocabulary costs ten times as much.
NUCLEUS = 1024


class Penalties:
    """What a request takes from the logits of tokens that stand in the text already.

    Presence and frequency count what was written, repetition the prompt too. With a decay ``d``, a token
    written ``n`` tokens ago weighs ``d**n``: its presence by the last time, its frequency by all times.

    Args:
        request: the controls.
        prompt: token ids of the prompt.
    """

    def __init__(self, request: Generate, prompt: Iterable[int] = ()) -> None:
        self._request = request
        self._seen = set(prompt)
        self._presence: dict[int, float] = {}
        self._counts: dict[int, float] = {}
        self._banned = np.array(sorted(set(request.ban_tokens)), np.int64)

    def copy(self) -> Penalties:
        """Another one with the same past, for a beam that forks."""
        twin = Penalties(self._request, self._seen)
        twin._presence, twin._counts = dict(self._presence), dict(self._counts)
        return twin

    def note(self, token: int) -> None:
        """A token was written."""
        decay = self._request.penalty_decay
        if decay != 1.0:
            self._presence = {key: value * decay for key, value in self._presence.items()}
            self._counts = {key: value * decay for key, value in self._counts.items()}
        self._presence[token] = 1.0
        self._counts[token] = self._counts.get(token, 0.0) + 1.0
        self._seen.add(token)

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """The logits after bans and penalties.

        Args:
            logits: float [vocabulary]; stays as it is.

        Returns:
            float64 [vocabulary].

        Raises:
            BadRequest: no token is left.
        """
        changed = logits.astype(np.float64)
        self._repel(changed)
        self._subtract(changed)
        changed[self._banned[self._banned < len(changed)]] = -np.inf
        if changed.max() == -np.inf:
            raise BadRequest("ban_tokens leaves no token that could be written")
        return changed

    def _repel(self, logits: np.ndarray) -> None:
        """Keskar et al. 2019 (CTRL), section 4.1, with the sign of transformers for negative logits."""
        factor = self._request.repetition_penalty
        if factor == 1.0 or not self._seen:
            return
        ids = np.fromiter(self._seen, np.int64, len(self._seen))
        ids = ids[ids < len(logits)]
        values = logits[ids]
        logits[ids] = np.where(values > 0, values / factor, values * factor)

    def _subtract(self, logits: np.ndarray) -> None:
        presence, frequency = self._request.presence_penalty, self._request.frequency_penalty
        if not self._counts or (presence == 0.0 and frequency == 0.0):
            return
        ids = np.fromiter(self._counts, np.int64, len(self._counts))
        present = np.fromiter(self._presence.values(), np.float64, len(self._counts))
        counts = np.fromiter(self._counts.values(), np.float64, len(self._counts))
        logits[ids] -= presence * present + frequency * counts


class Sampler:
    """Draws the tokens of one answer, one after the other.

    Args:
        request: the controls; temperature 0 takes the likeliest token.
        prompt: token ids of the prompt, for the repetition penalty.
    """

    def __init__(self, request: Generate, prompt: Sequence[int] = ()) -> None:
        self._request = request
        self._penalties = Penalties(request, prompt)
        seed = request.seed if request.seed is not None else secrets.randbits(63)
        self._random = np.random.default_rng(abs(seed))

    def next(self, logits: np.ndarray) -> int:
        """The next token, which counts as written.

        Args:
            logits: float [vocabulary], as the model gives them.
        """
        changed = self._penalties.apply(logits)
        token = int(changed.argmax()) if self._request.temperature == 0.0 else self._draw(changed)
        self._penalties.note(token)
        return token

    def _draw(self, logits: np.ndarray) -> int:
        ids, probabilities = candidates(logits, self._request)
        total = np.cumsum(probabilities)
        place = np.searchsorted(total, self._random.random() * total[-1], side="right")
        return int(ids[min(int(place), len(ids) - 1)])


def candidates(logits: np.ndarray, request: Generate) -> tuple[np.ndarray, np.ndarray]:
    """The tokens that may be drawn, likeliest first, and their probabilities.

    Args:
        logits: float64 [vocabulary], after the penalties.
        request: its temperature (above 0), top_k, top_p and min_p.

    Returns:
        int64 [n] and float64 [n] with the sum 1.
    """
    weights = np.exp((logits - logits.max()) / request.temperature)
    ids = _likeliest(weights, request)
    kept = weights[ids]
    kept = kept / (kept.sum() if request.top_k else weights.sum())
    # The token that reaches top_p belongs to the nucleus; what lies before it must not have reached it.
    is_in = (np.cumsum(kept) - kept < request.top_p) & (kept >= request.min_p * kept[0]) & (kept > 0)
    is_in[0] = True
    ids, kept = ids[is_in], kept[is_in]
    return ids, kept / kept.sum()


def _likeliest(weights: np.ndarray, request: Generate) -> np.ndarray:
    """Ids by falling weight: top_k of them, or as many as hold the nucleus, or all."""
    count = min(request.top_k or len(weights), len(weights))
    if not request.top_k and request.top_p < 1.0 and len(weights) > NUCLEUS:
        nearest = _largest(weights, NUCLEUS)
        if weights[nearest].sum() >= request.top_p * weights.sum():
            return nearest
    return _largest(weights, count)


def _largest(weights: np.ndarray, count: int) -> np.ndarray:
    """Ties go to the lower id."""
    ids = np.argpartition(-weights, count - 1)[:count] if count < len(weights) else np.arange(len(weights))
    ids = np.sort(ids)
    ordered: np.ndarray = ids[np.argsort(-weights[ids], kind="stable")]
    return ordered


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural logarithms of the probabilities; float64 [vocabulary]."""
    shifted = logits.astype(np.float64) - logits.max()
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum())
    return result
