"""The stages of `wrong_event` on question-answer pairs: read, make the student, count, write."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.classify.table import read_labelled
from tasks.corpus.rows import REJECTS
from tasks.prepare.student import BASE, make_base
from tasks.records import BadInput
from tasks.run.expectations import frame_of, unique_ids, validate
from tasks.run.folder import versions
from tasks.run.seeds import integer
from tasks.storage.arrays import load_array, save_array
from tasks.storage.sheets import write_csv
from tasks.storage.tables import REJECTED, read_rows, write_table, write_text
from tasks.train.threads import threads_for
from tasks.train.training import Training
from tasks.wrong_event.check import data_columns
from tasks.wrong_event.finish import PAGES
from tasks.wrong_event.settings import FEWEST_PAIRS, PAIR_EPOCHS, WrongEventSettings
from tasks.wrong_event.stages import CHECKPOINTS, told

Facts = dict[str, Any]

PAIRS, EVENTS, CLEAN = "stages/pairs.parquet", "stages/events.npy", "stages/clean.npy"
SCORES, CLEANED = "pairs.csv", "clean.jsonl"
_HEAD = ["row", "p_clean", "wrong_events"]
_SCHEMA = pa.schema([("row", pa.int64()), ("question", pa.string()), ("answer", pa.string())])


def read(run: Path, settings: WrongEventSettings, source: Facts) -> Facts:
    """The pairs; what has no question or no answer is rejected."""
    data = read_labelled(settings.data, data_columns(settings), "--data", max_broken=settings.max_broken)
    if len(data) < FEWEST_PAIRS:
        raise BadInput(
            f"--data {settings.data}: {len(data)} pairs; give {FEWEST_PAIRS} at least, or there are no peers"
        )
    rows = zip(data.rows.tolist(), data.texts, data.labels, strict=True)
    write_table(
        run / PAIRS, ({"row": row, "question": asked, "answer": said} for row, asked, said in rows), _SCHEMA
    )
    write_table(run / REJECTS, (reject.row for reject in data.rejected), REJECTED)
    return {"files": [PAIRS, REJECTS], "rows": len(data), "rejected": len(data.rejected)}


def student(run: Path, settings: WrongEventSettings, data: Facts) -> Facts:
    """The student before any training on pairs: the tiny one, made on their texts, or one that is given."""
    if settings.student != "tiny":
        return {"files": [], "student": settings.student}
    with threads_for(settings.student):
        make_base(
            run, settings, (row[part] for row in read_rows(run / PAIRS) for part in ("question", "answer"))
        )
    return {"files": [BASE], "student": BASE}


def count(run: Path, settings: WrongEventSettings, data: Facts, student: Facts) -> Facts:
    """Train the student on the pairs and count their wrong events."""
    from tasks.train.checkpoint import load_student
    from tasks.wrong_event.pairs import count_events

    pairs = [(row["question"], row["answer"]) for row in read_rows(run / PAIRS)]
    training = Training(
        learning_rate=settings.learning_rate,
        sequence_tokens=settings.sequence_tokens,
        seed=integer(settings.seed, "train"),
    )
    with threads_for(settings.student):
        model, tokenizer = load_student(run / BASE if settings.student == "tiny" else settings.student)
        found = count_events(
            model,
            tokenizer,
            pairs,
            training,
            epochs=epochs_of(settings),
            peers=settings.peers,
            kept=run / CHECKPOINTS / "count",
            told=told("count wrong events, epoch"),
        )
    save_array(run / EVENTS, found.counts)
    save_array(run / CLEAN, found.model().clean(found.counts))
    return {"files": [EVENTS, CLEAN], "losses": found.losses}


def epochs_of(settings: WrongEventSettings) -> int:
    """Of the student's training: visits to each pair."""
    return settings.warm_epochs or PAIR_EPOCHS


def tables(run: Path, settings: WrongEventSettings, counted: Facts) -> Facts:
    """Write pairs.csv with the suspicious pairs first, and clean.jsonl with the others, in order."""
    rows = doubtful_first(run)
    cells = ({**row, "p_clean": f"{row['p_clean']:.6f}"} for row in rows)
    write_csv(run / SCORES, _HEAD, [[row[name] for name in _HEAD] for row in cells])
    kept = sorted(
        (row for row in rows if row["p_clean"] >= settings.threshold), key=lambda row: int(row["row"])
    )
    fields = {settings.question: "question", settings.answer: "answer"}
    lines = (
        json.dumps({field: row[part] for field, part in fields.items()}, ensure_ascii=False) for row in kept
    )
    write_text(run / CLEANED, "".join(line + "\n" for line in lines))
    return {"files": [SCORES, CLEANED], "flagged": len(rows) - len(kept)}


def gate(run: Path, settings: WrongEventSettings, tables: Facts) -> Facts:
    """Great Expectations over pairs.csv and clean.jsonl: every pair once, probabilities; those that are not doubted, whole.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    with (run / SCORES).open(encoding="utf-8", newline="") as file:
        rows = [
            {"id": row["row"], "p_clean": float(row["p_clean"]), "wrong_events": int(row["wrong_events"])}
            for row in csv.DictReader(file)
        ]
    validate(
        "pairs",
        frame_of(rows, ["id", "p_clean", "wrong_events"]),
        [
            gxe.ExpectTableRowCountToEqual(value=len(read_rows(run / PAIRS, ["row"]))),
            *unique_ids(gxe),
            gxe.ExpectColumnValuesToBeBetween(column="p_clean", min_value=0, max_value=1),
            gxe.ExpectColumnValuesToBeBetween(
                column="wrong_events", min_value=0, max_value=epochs_of(settings)
            ),
        ],
        run / PAGES,
    )
    with (run / CLEANED).open(encoding="utf-8") as lines:
        kept = [json.loads(line) for line in lines]
    fields = {"question_characters": settings.question, "answer_characters": settings.answer}
    validate(
        "clean pairs",
        frame_of(
            (
                {
                    "id": f"line {number}",
                    **{name: len(pair[field].strip()) for name, field in fields.items()},
                }
                for number, pair in enumerate(kept, start=1)
            ),
            ["id", *fields],
        ),
        [
            gxe.ExpectTableRowCountToEqual(value=len(rows) - tables["flagged"]),
            *(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=1) for name in fields),
        ],
        run / PAGES,
    )
    return {"files": [f"{PAGES}/docs/index.html"]}


def doubtful_first(run: Path) -> list[Facts]:
    """Every pair with P(clean) and wrong events; the least clean first."""
    clean, events = np.asarray(load_array(run / CLEAN)), np.asarray(load_array(run / EVENTS))
    rows = read_rows(run / PAIRS)
    return [
        {**rows[place], "p_clean": float(clean[place]), "wrong_events": int(events[place])}
        for place in np.lexsort((np.arange(len(rows)), -events, clean)).tolist()
    ]


def summarise(settings: WrongEventSettings, *, data: Facts, counted: Facts, tables: Facts) -> Facts:
    """The figures of a run, machine-readable."""
    return {
        "seed": settings.seed,
        "rows": data["rows"],
        "rejected": data["rejected"],
        "accuracy": None,
        "flagged": tables["flagged"],
        "threshold": settings.threshold,
        "peers": settings.peers,
        "losses": counted["losses"],
        "versions": versions(),
    }


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal: a heading and the figures."""
    first, last = (f"{summary['losses'][at]:.3f}" for at in (0, -1))
    return [
        ["pairs", "flagged", "loss of the answers, first epoch", "last"],
        [f"{summary['rows']:,}", f"{summary['flagged']:,}", first, last],
    ]
