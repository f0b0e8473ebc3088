"""How good is a ranking? BEIR directories, and nDCG, MRR and recall as trec_eval counts them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import BadRequest

Judgements = Mapping[str, Mapping[str, int]]
TEST_SET = 'a line is {"question": "…", "documents": ["name of one that answers it"]}'
LAYOUT = "a BEIR directory holds corpus.jsonl, queries.jsonl and qrels/test.tsv"


@dataclass(frozen=True, slots=True)
class Entry:
    """A document of a corpus."""

    id: str
    title: str
    text: str

    @property
    def content(self) -> str:
        """Title and text, as they are indexed."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True)
class Beir:
    """A test collection.

    Attributes:
        queries: text by query id, in the order of the file, those with a relevant document only.
        judgements: relevance by document id, by query id; above 0 is relevant.
    """

    name: str
    corpus: list[Entry]
    queries: dict[str, str]
    judgements: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of one query, or their means over many; each 0 to 1."""

    ndcg_at_10: float
    mrr_at_10: float
    recall_at_100: float


@dataclass(frozen=True, slots=True)
class Report:
    """Means over the judged queries, and each query's own figures for paired comparisons."""

    mean: Quality
    by_query: dict[str, Quality]


def read_beir(directory: str | Path, split: str = "test") -> Beir:
    """Read a directory in BEIR layout.

    Args:
        directory: holds ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``, ``text``)
            and ``qrels/<split>.tsv`` (query id, corpus id, relevance; one header line).
        split: which judgements.

    Raises:
        BadRequest: a file is missing, or a line is not what the layout says; the message names file and line.
    """
    root = Path(directory)
    if not root.is_dir():
        raise BadRequest(f"not a directory: {root}", help=LAYOUT)
    corpus = [Entry(_text(line, "_id", where), _text(line, "title", where, ""), _text(line, "text", where, ""))
              for where, line in _json_lines(root / "corpus.jsonl")]  # fmt: skip
    queries = {
        _text(line, "_id", where): _text(line, "text", where) for where, line in _json_lines(root / "queries.jsonl")
    }
    judgements = _read_judgements(root / "qrels" / f"{split}.tsv")
    judged = {key: text for key, text in queries.items() if _num_relevant(judgements.get(key, {}))}
    if not corpus or not judged:
        raise BadRequest(f"{root}: no documents, or no query with a relevant document in split '{split}'", help=LAYOUT)
    return Beir(root.resolve().name, corpus, judged, judgements)


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in _lines(path):
        where = f"{path}:{number}"
        try:
            value = json.loads(line)
        except ValueError as error:
            raise BadRequest(f"{where}: not JSON: {error}", help=LAYOUT) from None
        if not isinstance(value, dict):
            raise BadRequest(f"{where}: expected a JSON object", help=LAYOUT)
        yield where, value


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    if not path.is_file():
        raise BadRequest(f"no such file: {path}", help=LAYOUT)
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from ((number, line.rstrip("\n")) for number, line in enumerate(file, 1) if line.strip())
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path}: not UTF-8: {error}", help=LAYOUT) from None


def _text(line: Mapping[str, object], key: str, where: str, default: str | None = None) -> str:
    value = line.get(key, default)
    if isinstance(value, int) and key == "_id":
        return str(value)
    if not isinstance(value, str):
        raise BadRequest(f"{where}: '{key}' is missing or not text", help=LAYOUT)
    return value


def _read_judgements(path: Path) -> dict[str, dict[str, int]]:
    judgements: dict[str, dict[str, int]] = {}
    for number, line in _lines(path):
        fields = line.split("\t")
        if number == 1 and not fields[-1].strip().lstrip("-").isdigit():
            continue
        try:
            query, document, relevance = fields
            judgements.setdefault(query, {})[document] = int(relevance)
        except ValueError:
            raise BadRequest(
                f"{path}:{number}: expected query id, corpus id and a whole number, by tabs", help=LAYOUT
            ) from None
    return judgements


def best_per_document(hits: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The highest score of each document among (document id, score) pairs of chunks."""
    best: dict[str, float] = {}
    for document, score in hits:
        best[document] = max(score, best.get(document, score))
    return best


def ranking(scores: Mapping[str, float]) -> list[str]:
    """Document ids, best first; equal scores by descending id, as trec_eval breaks ties."""
    return sorted(sorted(scores, reverse=True), key=lambda document: -scores[document])


def ndcg_at(ranked: Sequence[str], relevance: Mapping[str, int], k: int = 10) -> float:
    """Linear-gain nDCG: sum of rel / log2(rank + 1) over the first k, by that of the ideal order.

    Unjudged and negatively judged documents gain nothing. 0 where nothing is relevant.
    The formula is trec_eval's ``ndcg_cut`` (Järvelin and Kekäläinen 2002, with the gain itself, not 2^rel - 1).
    """
    gains = [max(0, relevance.get(document, 0)) for document in ranked[:k]]
    ideal = sorted((rel for rel in relevance.values() if rel > 0), reverse=True)[:k]
    return _discounted(gains) / _discounted(ideal) if ideal else 0.0


def _discounted(gains: Sequence[int]) -> float:
    ranks = np.arange(2, len(gains) + 2, dtype=np.float64)
    return float(np.sum(np.asarray(gains, np.float64) / np.log2(ranks)))


def mrr_at(ranked: Sequence[str], relevance: Mapping[str, int], k: int = 10) -> float:
    """1 / rank of the first relevant document among the first k; 0 if there is none."""
    ranks = (rank for rank, document in enumerate(ranked[:k], 1) if relevance.get(document, 0) > 0)
    return 1.0 / next(ranks, float("inf"))


def recall_at(ranked: Sequence[str], relevance: Mapping[str, int], k: int = 100) -> float:
    """Share of the relevant documents that are among the first k; 0 where nothing is relevant."""
    found = sum(relevance.get(document, 0) > 0 for document in ranked[:k])
    return found / max(1, _num_relevant(relevance))


def _num_relevant(relevance: Mapping[str, int]) -> int:
    return sum(rel > 0 for rel in relevance.values())


def judge(run: Mapping[str, Mapping[str, float]], judgements: Judgements) -> Report:
    """Figures of a run.

    Args:
        run: score by document id, by query id. A judged query with no documents counts as 0, as with
            ``trec_eval -c``; a query without a relevant document is left out.
        judgements: relevance by document id, by query id.

    Raises:
        BadRequest: no query of the run is judged.
    """
    by_query = {query: _quality(ranking(scores), judgements[query])
                for query, scores in run.items() if _num_relevant(judgements.get(query, {}))}  # fmt: skip
    if not by_query:
        raise BadRequest("none of the queries has a relevant document in the judgements")
    return Report(_mean(list(by_query.values())), by_query)


def _quality(ranked: list[str], relevance: Mapping[str, int]) -> Quality:
    return Quality(ndcg_at(ranked, relevance), mrr_at(ranked, relevance), recall_at(ranked, relevance))


def _mean(qualities: list[Quality]) -> Quality:
    rows = [(q.ndcg_at_10, q.mrr_at_10, q.recall_at_100) for q in qualities]
    ndcg, mrr, recall = np.mean(rows, axis=0)
    return Quality(float(ndcg), float(mrr), float(recall))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question with the names of the documents that answer it; none when it has no answer in the collection."""

    question: str
    documents: frozenset[str]


def read_labelled(path: str | Path) -> list[Labelled]:
    """Questions of a directory in BEIR layout, or of a file with a JSON object ``question``, ``documents`` a line.

    Raises:
        BadRequest: a file is missing, or a line is not what the layout says; the message names file and line.
    """
    if Path(path).is_dir():
        beir = read_beir(path)
        return [Labelled(text, relevant(beir.judgements[key])) for key, text in beir.queries.items()]
    found = [Labelled(_text(line, "question", where), _names(line, where)) for where, line in _json_lines(Path(path))]
    if not found:
        raise BadRequest(f"{path}: no questions", help=TEST_SET)
    return found


def relevant(judged: Mapping[str, int]) -> frozenset[str]:
    """The documents that answer a query."""
    return frozenset(document for document, relevance in judged.items() if relevance > 0)


def _names(line: Mapping[str, object], where: str) -> frozenset[str]:
    names = line.get("documents", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequest(f"{where}: 'documents' is not a list of names", help=TEST_SET)
    return frozenset(names)
