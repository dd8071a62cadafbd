"""Influence of documents: per token, long ones in parts, and the same however they are split into jobs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.quad import scoring
from tasks.quad.scoring import chunks, load_model, score_documents
from tasks.records import BadInput
from tasks.select.influence.scores import (
    Curvature,
    Direction,
    influence_scores,
    reference_direction,
    stream_scores,
)
from tasks.train.format import encode_texts, from_sequences
from tests.train.tiny_models import TEXTS, save_model

DOCUMENTS = [
    f"{text} Then {other}" * (1 + number % 4)
    for number, (text, other) in enumerate(zip(TEXTS, TEXTS[5:], strict=False))
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tasks.train.student import learn_tokenizer

    return save_model(tmp_path_factory.mktemp("model"), learn_tokenizer(TEXTS, 320))


@pytest.fixture(scope="module")
def direction(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    own, tokenizer = load_model(str(model), "")
    reference, _ = chunks(tokenizer, TEXTS[:6], 32)
    path = tmp_path_factory.mktemp("direction") / "direction.safetensors"
    reference_direction(own, reference, Curvature(plain=True), None).save(path)
    return path


def scores(
    model: Path, direction: Path, texts: list[str], sequence_tokens: int = 32, score: str = "influence"
) -> list[float]:
    given = {"mark": "", "score": score, "sequence_tokens": sequence_tokens, "batch_tokens": 256}
    return list(score_documents(texts, models=[(str(model), str(direction))], student="tiny", **given))


def test_a_documents_score_is_the_sum_over_its_parts_for_each_of_its_tokens(
    model: Path, direction: Path
) -> None:
    own, tokenizer = load_model(str(model), "")
    reference, _ = chunks(tokenizer, TEXTS[:6], 32)
    found = scores(model, direction, DOCUMENTS[:9])
    unit = Direction.load(direction, torch.device("cpu")).unit
    for text, score in zip(DOCUMENTS[:9], found, strict=True):
        (tokens,) = encode_texts(tokenizer, [text])
        parts = from_sequences(
            [tokens[first : first + 32] for first in range(0, len(tokens), 32)], [0] * -(-len(tokens) // 32)
        )
        wanted = influence_scores(own, reference, parts, curvature=Curvature(plain=True))
        assert score == pytest.approx(wanted.sum() / parts.loss_lengths.sum() / unit, rel=1e-4)


def test_a_documents_cosine_is_the_mean_over_the_tokens_of_its_parts(model: Path, direction: Path) -> None:
    own, tokenizer = load_model(str(model), "")
    against = Direction.load(direction, torch.device("cpu"))
    found = scores(model, direction, DOCUMENTS[:9], score="cosine")
    for text, score in zip(DOCUMENTS[:9], found, strict=True):
        parts, _ = chunks(tokenizer, [text], 32)
        each = stream_scores(own, against, parts, cosine=True)
        assert score == pytest.approx(np.average(each, weights=parts.loss_lengths), rel=1e-4)
    assert found != pytest.approx(scores(model, direction, DOCUMENTS[:9]))


def test_a_document_without_tokens_has_a_score_of_0(
    model: Path, direction: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (known,) = scores(model, direction, DOCUMENTS[:1])
    assert scores(model, direction, ["", DOCUMENTS[0], ""]) == pytest.approx([0, known, 0])
    monkeypatch.setattr(scoring, "DOCUMENTS_PER_JOB", 1)  # a job of nothing else
    assert scores(model, direction, ["", DOCUMENTS[0], ""]) == pytest.approx([0, known, 0])


def test_scores_that_are_not_finite_stop_the_run(model: Path, direction: Path) -> None:
    own, tokenizer = load_model(str(model), "nan")  # loaded anew: its weights are changed
    (rare,) = encode_texts(tokenizer, [DOCUMENTS[0]])
    with torch.no_grad():
        own.get_input_embeddings().weight[rare[-1]] = float("nan")
    parts, _ = chunks(tokenizer, DOCUMENTS[:1], 32)
    with pytest.raises(BadInput, match="the scores of 1 of 1 texts are not finite"):
        stream_scores(own, Direction.load(direction, torch.device("cpu")), parts)
    load_model(str(model), "")


def test_jobs_change_nothing(model: Path, direction: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scores(model, direction, DOCUMENTS)
    monkeypatch.setattr(scoring, "DOCUMENTS_PER_JOB", 3)
    parted = scores(model, direction, DOCUMENTS)
    assert parted == pytest.approx(whole, rel=1e-4, abs=1e-7)


def test_texts_without_tokens_score_nothing_and_keep_their_place(model: Path, direction: Path) -> None:
    found = scores(model, direction, ["", DOCUMENTS[0], ""])
    assert found[0] == found[2] == 0.0
    assert found[1] != 0.0
    assert scores(model, direction, []) == []


def test_parts_hold_every_token_once(model: Path) -> None:
    _, tokenizer = load_model(str(model), "")
    parts, owners = chunks(tokenizer, DOCUMENTS, 7)
    assert parts.lengths.max() == 7
    for row, tokens in enumerate(encode_texts(tokenizer, DOCUMENTS)):
        own = [
            parts.tokens[parts.offsets[at] : parts.offsets[at + 1]] for at in np.flatnonzero(owners == row)
        ]
        assert np.concatenate(own).tolist() == tokens
    assert len(stream_scores(load_model(str(model), "")[0], Direction({}), from_sequences([], []))) == 0


def test_threads_of_one_worker_do_not_see_each_others_batches(model: Path, direction: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    jobs = [DOCUMENTS[first : first + 5] for first in range(0, 40, 5)]
    alone = [scores(model, direction, job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: scores(model, direction, job), jobs))
    assert together == alone


def test_a_score_is_the_mean_over_the_checkpoints(
    model: Path, direction: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tasks.train.student import learn_tokenizer

    other = save_model(tmp_path_factory.mktemp("other"), learn_tokenizer(TEXTS, 320), seed=1)
    own, tokenizer = load_model(str(other), "")
    its = tmp_path_factory.mktemp("other direction") / "direction.safetensors"
    reference_direction(own, chunks(tokenizer, TEXTS[:6], 32)[0], Curvature(plain=True), None).save(its)
    both = list(
        score_documents(
            DOCUMENTS[:9],
            models=[(str(model), str(direction)), (str(other), str(its))],
            student="tiny",
            mark="",
            score="influence",
            sequence_tokens=32,
            batch_tokens=256,
        )
    )
    by_each = scores(model, direction, DOCUMENTS[:9]), scores(other, its, DOCUMENTS[:9])
    assert both == pytest.approx(np.mean(by_each, axis=0))
    assert by_each[0] != pytest.approx(by_each[1])
