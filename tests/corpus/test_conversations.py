"""Instruction data in the forms of trainers, read as any other examples."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.corpus.target import check_target, read_target
from tasks.loop.outcome.export import FORMATS
from tasks.records import BadInput

PAIRS = [
    {"id": f"p{n}", "question": f"What is {n} and {n}, in a word?", "answer": f"It is {2 * n}."}
    for n in range(12)
]


def written(path: Path, records: list[dict[str, Any]]) -> str:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(records[0]))
            table.writeheader()
            for record in records:
                table.writerow(
                    {
                        key: value if isinstance(value, str) else json.dumps(value)
                        for key, value in record.items()
                    }
                )
    elif path.suffix == ".json":
        path.write_text(json.dumps(records))
    else:
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
@pytest.mark.parametrize("form", list(FORMATS))
def test_what_is_exported_is_read_again(form: str, kind: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"pool.{kind}", [FORMATS[form](pair) for pair in PAIRS])
    check_target(path, flag="--data")
    found = read_target(path, flag="--data")
    read = {one.id: (one.question, one.answer) for one in [*found.reference, *found.test]}
    assert read == {pair["id"]: (pair["question"], pair["answer"]) for pair in PAIRS}


def read_one(tmp_path: Path, record: dict[str, Any]) -> tuple[str, str]:
    others = [{**record, "id": f"o{n}", **FORMATS["messages"](PAIRS[n])} for n in range(4)]
    path = written(tmp_path / "one.jsonl", [{**record, "id": "one"}, *others])
    found = read_target(path)
    rejected = {one.id: one.reason for one in found.rejects}
    examples = {one.id: (one.question, one.answer) for one in [*found.reference, *found.test]}
    return examples.get("one", ("", rejected.get("one", "")))


def test_a_conversation_ends_with_its_last_answer_and_asks_with_all_before_it(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "And now?"}, {"type": "image_url"}]},
        {"role": "assistant", "content": "Now."},
        {"role": "user", "content": "Later?"},
        {"role": "assistant", "content": "Later."},
        {"role": "user", "content": "Thanks"},
    ]
    assert read_one(tmp_path, {"messages": turns}) == ("Be brief.\n\nAnd now?\n\nNow.\n\nLater?", "Later.")


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([], "no question"),
        (None, "no question"),
        ("[broken", "no question"),
        ([3, {"role": "user", "content": "Hello?"}], "no answer"),
        ([{"role": "assistant", "content": "I speak first."}], "no question"),
        ([{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": None}], "no answer"),
    ],
)
def test_what_is_no_conversation_is_rejected_with_a_reason(turns: Any, reason: str, tmp_path: Path) -> None:
    assert read_one(tmp_path, {"messages": turns}) == ("", reason)


def test_an_instruction_has_its_input_and_fields_that_are_named_win(tmp_path: Path) -> None:
    records = [
        {"instruction": f"Add {n}.", "input": "To one.", "output": str(n + 1), "q": f"q{n}", "a": f"a{n}"}
        for n in range(4)
    ]
    path = written(tmp_path / "alpaca.jsonl", records)
    found = read_target(path, test_share=0.5)
    assert "Add 2.\n\nTo one." in [one.question for one in [*found.reference, *found.test]]
    named = read_target(path, question_field="q", answer_field="a")
    assert {one.question for one in [*named.reference, *named.test]} == {"q0", "q1", "q2", "q3"}


def test_an_id_is_used_once_and_a_line_without_one_has_its_number(tmp_path: Path) -> None:
    records = [{**pair, "id": "same" if number < 3 else None} for number, pair in enumerate(PAIRS)]
    found = read_target(written(tmp_path / "pool.jsonl", records))
    ids = [one.id for one in [*found.reference, *found.test]]
    assert len(set(ids)) == 12
    assert {"same", "pool.jsonl:2", "pool.jsonl:3", "pool.jsonl:4"} <= set(ids)


def test_a_file_of_no_known_form_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "what.jsonl", [{"prompt": "a", "completion": "b"}] * 3)
    with pytest.raises(
        BadInput, match=r"--data .*no item has the field question; it has: prompt, completion"
    ):
        check_target(path, flag="--data")
