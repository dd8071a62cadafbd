"""Influence of documents on the reference, in jobs that Dask workers run; a large model scores here, where its GPU is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.run.parallel import current_mapper, serial
from tasks.train.format import Examples, encode_texts, from_sequences
from tasks.train.threads import threads_for

if TYPE_CHECKING:
    from tasks.quad.settings import Score
    from tasks.select.influence.scores import Direction

DOCUMENTS_PER_JOB = 16  # so few that a round has work for several workers
_ONE_AT_A_TIME = (
    Lock()
)  # hooks sit on the one model of a process, and a scheduler's workers may have several threads


@dataclass(frozen=True, slots=True)
class ScoringJob:
    """Work for one worker: small, picklable, and complete.

    Args:
        model: folder or name of the model.
        student: "tiny" for the tiny one, which works on one thread.
        direction: path of the reference's preconditioned gradient by this model.
        mark: what changes where either of these does; a worker may outlive a run.
        texts: documents.
        score: see the settings.
        sequence_tokens, batch_tokens: see the settings.
    """

    model: str
    student: str
    direction: str
    mark: str
    texts: list[str]
    score: Score
    sequence_tokens: int
    batch_tokens: int


def score_documents(
    texts: Sequence[str], *, models: Sequence[tuple[str, str]], **named: Any
) -> Iterator[float]:
    """What a token of each document does for the reference, in their order.

    Influence adds up over a document's parts, and so would grow with its length. A budget counts tokens, so what a token brings is
    what documents are compared by; parts of full length weigh as the paper's mean over parts. Its unit, what the reference does for
    itself per token, makes scores of different models comparable: 1 is as good as more of the reference's own kind.

    The cosine is that of the angle between the gradient of a part and the reference's preconditioned one, mean over the parts' tokens.
    An optimiser that normalises or clips its steps goes as far along a short gradient as along a long one, while influence favours
    documents of long ones: those that the model is worst at (for fine-tuning: LESS, arXiv 2402.04333, section 3.2).

    Args:
        models: the model and its checkpoints, each with the path of its direction; a score is the mean over them.
        named: the other fields of the jobs.
    """
    # One model after the other, since a worker holds one; the scores come as the last one gives them.
    *earlier, last = (_scores_by(model, direction, texts, **named) for model, direction in models)
    for scores in zip(*[list(one) for one in earlier], last, strict=True):
        yield fmean(scores)


def _scores_by(
    model: str, direction: str, texts: Sequence[str], *, student: str, **named: Any
) -> Iterator[float]:
    mapper = current_mapper() if student == "tiny" else serial
    jobs = [
        ScoringJob(model, student, direction, texts=list(texts[first : first + DOCUMENTS_PER_JOB]), **named)
        for first in range(0, len(texts), DOCUMENTS_PER_JOB)
    ]
    for scores in mapper(scores_of, jobs):
        yield from scores


def scores_of(job: ScoringJob) -> list[float]:
    """Scores of a job's documents; 0 for one of less than two tokens."""
    from tasks.select.influence.scores import stream_scores

    with _ONE_AT_A_TIME, threads_for(job.student):
        model, tokenizer = load_model(job.model, job.mark)
        parts, owners = chunks(tokenizer, job.texts, job.sequence_tokens)
        direction = _direction(job.direction, job.model, job.mark)
        scores = stream_scores(
            model, direction, parts, batch_tokens=job.batch_tokens, cosine=job.score == "cosine"
        )
    sums = scores / direction.unit if job.score == "influence" else scores * parts.loss_lengths
    found: list[float] = per_token(sums, parts, owners, len(job.texts)).tolist()
    return found


def per_token(sums: np.ndarray, parts: Examples, owners: np.ndarray, documents: int) -> np.ndarray:
    """Of documents, from sums over the tokens of their parts (see `chunks`)."""
    tokens = np.bincount(owners, parts.loss_lengths, documents)
    return np.asarray(np.bincount(owners, sums, documents) / np.maximum(1, tokens))


def chunks(tokenizer: Any, texts: Sequence[str], sequence_tokens: int) -> tuple[Examples, np.ndarray]:
    """Texts as token sequences, long ones in parts, every token but the first bearing loss.

    Returns:
        The parts, and the row of the text that each is of; a text without tokens has none.
    """
    sequences: list[list[int]] = []
    owners: list[int] = []
    for row, tokens in enumerate(encode_texts(tokenizer, texts)):
        for first in range(0, len(tokens), sequence_tokens):
            sequences.append(tokens[first : first + sequence_tokens])
            owners.append(row)
    return from_sequences(sequences, [0] * len(sequences)), np.array(owners, dtype=np.int64)


_held: dict[str, tuple[tuple[str, ...], Any]] = {}


def _hold(kind: str, key: tuple[str, ...], load: Callable[[], Any]) -> Any:
    """What is loaded, kept while the same is asked for: a worker has many jobs. The one before goes first, to make room."""
    if kind not in _held or _held[kind][0] != key:
        _held.pop(kind, None)
        _held[kind] = key, load()
    return _held[kind][1]


def load_model(path: str, mark: str) -> tuple[Any, Any]:
    """A model and its tokenizer; one is held at a time."""
    from tasks.train.checkpoint import load_student

    found: tuple[Any, Any] = _hold("model", (path, mark), lambda: load_student(path, flag="--model"))
    return found


def _direction(path: str, model: str, mark: str) -> Direction:
    from tasks.select.influence.scores import Direction

    def load() -> Direction:
        return Direction.load(Path(path), next(load_model(model, mark)[0].parameters()).device)

    found: Direction = _hold("direction", (path, mark), load)
    return found
