"""Which continuations of a prompt are the likeliest as a whole: a beam search over a model's logits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from clients.llm import Generate

from .sampling import Penalties, log_softmax

# Logits [beams, vocabulary] for live beams, each given by the place of its parent among the live beams of the
# call before (0 is the prompt at the first call) and by its newest token.
Expand = Callable[[Sequence[int], Sequence[int]], np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A continuation that is being, or has been, written.

    Attributes:
        tokens: ids, without the one that ended it.
        log_probability: of all its tokens, the one that ended it included; natural logarithm.
        score: the log probability over the number of those tokens to the power of the length penalty.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    finish_reason: Literal["stop", "length"]


@dataclass(slots=True, eq=False)
class _Live:
    tokens: tuple[int, ...]
    log_probability: float
    penalties: Penalties


def search(
    first: np.ndarray, expand: Expand, request: Generate, ends: Collection[int], prompt: Sequence[int]
) -> list[Path]:
    """The best continuations, best first; at most ``request.num_answers``.

    As in transformers, of the 2 x width best candidates of a step those that end are kept and the others
    live on, until no live beam can reach the worst of those kept.

    Args:
        first: logits [vocabulary] after the prompt.
        expand: runs the model.
        request: beams, num_answers, length_penalty, max_tokens, and the bans and penalties.
        ends: token ids that end a continuation.
        prompt: token ids of the prompt.
    """
    live = [_Live((), 0.0, Penalties(request, prompt))]
    logits, done = first[None, :], list[Path]()
    while True:
        parents, live, ended = _step(live, logits, request, ends)
        done = _best([*done, *ended], request.beams)
        if not live or len(live[0].tokens) >= request.max_tokens:
            return _best([*done, *(_cut(beam, request) for beam in live)], request.num_answers)
        if len(done) == request.beams and _is_hopeless(live, done, request):
            return _best(done, request.num_answers)
        logits = expand(parents, [beam.tokens[-1] for beam in live])


def _step(
    live: Sequence[_Live], logits: np.ndarray, request: Generate, ends: Collection[int]
) -> tuple[list[int], list[_Live], list[Path]]:
    """The parents of the new live beams, these, and those that ended."""
    parents, alive, ended = list[int](), list[_Live](), list[Path]()
    for rank, (at, token, total) in enumerate(_candidates(live, logits, 2 * request.beams)):
        if token in ends:
            if rank < request.beams:
                ended.append(_ended(live[at].tokens, total, request))
        elif len(alive) < request.beams:
            penalties = live[at].penalties.copy()
            penalties.note(token)
            parents.append(at)
            alive.append(_Live((*live[at].tokens, token), total, penalties))
    return parents, alive, ended


def _candidates(live: Sequence[_Live], logits: np.ndarray, count: int) -> list[tuple[int, int, float]]:
    """Beam, token and log probability, likeliest first; banned tokens never."""
    rows = [
        log_softmax(beam.penalties.apply(row)) + beam.log_probability for beam, row in zip(live, logits, strict=True)
    ]
    totals = np.concatenate(rows)
    order = np.argsort(-totals, kind="stable")[:count]
    width = logits.shape[1]
    return [(int(i) // width, int(i) % width, float(totals[i])) for i in order if totals[i] > -np.inf]


def _is_hopeless(live: Sequence[_Live], done: Sequence[Path], request: Generate) -> bool:
    best = max(beam.log_probability for beam in live)
    reach: float = best / len(live[0].tokens) ** request.length_penalty
    return reach <= min(path.score for path in done)


def _ended(tokens: tuple[int, ...], total: float, request: Generate) -> Path:
    return Path(tokens, total, total / (len(tokens) + 1) ** request.length_penalty, "stop")


def _cut(beam: _Live, request: Generate) -> Path:
    score = beam.log_probability / len(beam.tokens) ** request.length_penalty
    return Path(beam.tokens, beam.log_probability, score, "length")


def _best(paths: list[Path], count: int) -> list[Path]:
    return sorted(paths, key=lambda path: -path.score)[:count]
