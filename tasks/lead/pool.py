"""The examples to choose from: read, kept apart from those that judge, encoded; and the model to train."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.corpus.rows import REJECTS
from tasks.corpus.target import Target, read_guides, read_target
from tasks.corpus.tokens import count_tokens
from tasks.lead.settings import LeadSettings
from tasks.prepare.documents import CORPUS, read_documents
from tasks.prepare.stages import encode_documents
from tasks.prepare.student import make_model
from tasks.prepare.vectors import pair_text
from tasks.records import Example, Reject
from tasks.storage.tables import REJECTED, write_table

Facts = dict[str, Any]

POOL = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),  # both together: what is encoded, and what the tiny model is made on
        ("tokens", pa.int32()),  # of the text, as tasks.corpus.tokens counts
        ("question", pa.string()),
        ("answer", pa.string()),
    ]
)


def pool(run: Path, settings: LeadSettings, source: Facts) -> Facts:
    """Read the data and the reference, without what repeats itself or overlaps the examples that judge."""
    found = read_target(
        settings.data,
        settings.test,
        test_share=settings.test_share,
        question_field=settings.question_field,
        answer_field=settings.answer_field,
        seed=settings.seed,
        ngram=settings.decontamination_ngram,
        flag="--data",
    )
    rows = (
        {
            "id": example.id,
            "text": (text := pair_text(example.question, example.answer)),
            "tokens": count_tokens(text),
            "question": example.question,
            "answer": example.answer,
        }
        for example in found.reference
    )
    count = write_table(run / CORPUS, rows, POOL)
    guides, dropped = _guides_of(settings, found.test)
    Target(guides, found.test).save(run / "target")
    rejects = (reject.row for reject in [*found.rejects, *dropped])
    return {
        "files": [CORPUS, "target/reference.jsonl", "target/test.jsonl", REJECTS],
        "examples": count,
        "reference": len(guides),
        "test": len(found.test),
        "rejected": write_table(run / REJECTS, rejects, REJECTED),
        "budget": max(1, round(settings.budget * count)),
    }


def _guides_of(settings: LeadSettings, judging: Sequence[Example]) -> tuple[list[Example], list[Reject]]:
    """The reference's examples that do not overlap those that judge, and the others."""
    if not settings.reference:
        return [], []
    return read_guides(
        settings.reference,
        judging,
        question_field=settings.question_field,
        answer_field=settings.answer_field,
        ngram=settings.decontamination_ngram,
        flag="--reference",
    )


def encode(run: Path, settings: LeadSettings, pool: Facts) -> Facts:
    """Vectors of the examples."""
    return encode_documents(run, settings)


def model(run: Path, settings: LeadSettings, pool: Facts) -> Facts:
    """The tiny model, made on the examples' raw text; one that is given stays where it is."""
    return make_model(run, settings, settings.model)


def pairs_of(run: Path, rows: Sequence[int]) -> list[tuple[str, str]]:
    """(question, answer) of rows of the pool."""
    return [(row["question"], row["answer"]) for row in read_documents(run, rows, ["question", "answer"])]


def examples_of_a_round(settings: LeadSettings, pool: Facts) -> int:
    """How many a round trains on."""
    return max(1, math.ceil(settings.round_share * int(pool["budget"])))
