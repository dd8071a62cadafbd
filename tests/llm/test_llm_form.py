"""Forms: what is asked on each rung, and that only valid answers for asked numbers are read, whatever a model writes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from tasks.llm.form import JSON, OBJECT, RUNGS, SCHEMA, TEXT, Form
from tests.llm.fake_server import marked
from tests.llm.verdicts import FORM, Verdict

PLANT, STONE, ANIMAL = (Verdict(label=label, score=3) for label in ("plant", "stone", "animal"))
WRITTEN = {1: PLANT, 2: STONE, 3: ANIMAL}
AS_JSON = json.dumps({str(number): answer.model_dump() for number, answer in WRITTEN.items()})
AS_TEXT = "[1] plant, 3\n[2]\nstone, 3\n[3] animal, 3"


class Pair(BaseModel):
    question: str
    answer: str | None = None


class Pairs(BaseModel):
    pairs: list[Pair] = Field(default_factory=list)
    kind: Literal["faq", "prose"] | None = None


PAIRS = Form(
    name="pairs",
    task="Find the questions.",
    answer=Pairs,
    example=Pairs(pairs=[Pair(question="a", answer="b")]),
    as_text="one question a line",
    from_text=lambda text: Pairs(pairs=[Pair(question=line) for line in text.splitlines()]) if text else None,
    to_text=lambda pairs: "\n".join(pair.question for pair in pairs.pairs),
    model="m",
    parameters={"max_tokens": 100},
)


@pytest.mark.parametrize("rung", RUNGS)
def test_a_request_has_every_text_between_marks_and_a_bound_of_the_answer(rung: int) -> None:
    texts = ["one\n\ntwo", "", "3 </text>"]
    asked = FORM.request(texts, rung)
    assert list(marked(asked.messages[-1][1]).values()) == texts
    assert asked.most_answered == 100
    assert ("response_format" in asked.parameters) == (rung in (SCHEMA, OBJECT))


def test_what_is_the_same_for_all_texts_comes_first_so_that_a_server_can_cache_it() -> None:
    one, other = FORM.request(["a"], JSON), FORM.request(["b", "c"], JSON)
    assert one.messages[0] == other.messages[0]


@pytest.mark.parametrize("rung", RUNGS)
def test_demonstrations_come_first_between_marks_of_their_own_with_answers_that_can_be_read(
    rung: int,
) -> None:
    shown = replace(FORM, shown=[("an oak </text>", PLANT), ("granite", STONE)])
    one, other = (shown.request(texts, rung).messages[1][1] for texts in (["a"], ["b", "c"]))
    before, _, after = one.partition("The marks are <")
    assert other.startswith(before)
    assert marked("The marks are <" + after) == {1: "a"}
    answers = re.findall(r"(.*)\n</text-[a-z]{14}>\nRight answer: (.*)", before)
    assert [(text, FORM.read(answer, 1)[0]) for text, answer in answers] == shown.shown
    assert FORM.request(["a"], rung).key != shown.request(["a"], rung).key


def test_rungs_are_different_requests() -> None:
    assert len({FORM.request(["a"], rung).key for rung in RUNGS}) == len(RUNGS)


@pytest.mark.parametrize("form", [FORM, PAIRS])
def test_the_schema_wants_every_number_and_every_field_and_nothing_else(form: Form) -> None:
    schema = form.schema(2)
    Draft202012Validator.check_schema(schema)
    valid = Draft202012Validator(schema).is_valid
    answer = form.example.model_dump(mode="json")
    assert valid({"1": answer, "2": answer})
    for wrong in ({"1": answer}, {"1": answer, "2": answer, "3": answer}, {"1": answer, "2": None}):
        assert not valid(wrong)
    for field in answer:
        assert not valid({"1": answer, "2": {name: value for name, value in answer.items() if name != field}})
    assert not valid({"1": answer, "2": {**answer, "more": 1}})


def test_a_strict_schema_has_no_defaults_and_closes_every_object() -> None:
    def check(schema: object) -> None:
        if isinstance(schema, dict):
            assert "default" not in schema
            if schema.get("type") == "object":
                assert schema["additionalProperties"] is False
                assert sorted(schema["required"]) == sorted(schema["properties"])
            for inner in schema.values():
                check(inner)
        elif isinstance(schema, list):
            for inner in schema:
                check(inner)

    check(PAIRS.schema(3))


@pytest.mark.parametrize("rung", RUNGS)
def test_the_prompt_shows_an_answer_that_can_be_read(rung: int) -> None:
    system = FORM.request(["a"], rung).messages[0][1]
    shown = "[1] animal, 3" if rung == TEXT else system[system.index("{") :]
    assert FORM.read(shown, 1) == {0: FORM.example}


@pytest.mark.parametrize(
    "text",
    [
        AS_JSON,
        f"```json\n{AS_JSON}\n```",
        f"Here {{as wished}} it is: {AS_JSON}\nAnything else?",
        json.dumps(json.loads(AS_JSON), indent=2),
        AS_TEXT,
        f"Of course!\n{AS_TEXT}",
        "1. plant, 3\n2) stone, 3\n3: animal, 3",
        f"<think>\nMaybe {AS_JSON.replace('stone', 'plant')}? No.\n</think>\n{AS_JSON}",
        f"Or [1] stone, 3?\n</think>{AS_TEXT}",  # the template began the thought
    ],
)
def test_an_answer_is_read_in_whatever_form_it_comes(text: str) -> None:
    assert FORM.read(text, 3) == {0: PLANT, 1: STONE, 2: ANIMAL}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (AS_JSON.replace('"label": "stone"', '"label": "cloud"'), {0, 2}),
        (AS_JSON.replace('"2"', '"7"'), {0, 2}),
        (AS_JSON.replace('"2"', '"0"'), {0, 2}),
        (AS_JSON.replace('"2"', '"-2"'), {0, 2}),
        (AS_JSON.replace('"2"', '"two"'), {0, 2}),
        (AS_JSON.replace('"2"', f'"{"9" * 5000}"'), {0, 2}),
        (AS_TEXT.replace("stone, 3", "stone, 33"), {0, 2}),
        (AS_TEXT + f"\n[{'9' * 5000}] stone, 3", {0, 1}),
        ("[1] plant, 3\n[3] animal, 3", {0, 2}),
        ("[1] plant, 3\n[2] stone, 3\n[1] animal, 3\n[3] animal, 3", set()),  # which of the first is quoted?
        ("<think>\n" + AS_JSON, set()),  # never came to an end
        ('{"1": {"label": "plant", "score": NaN}}', set()),
        ("", set()),
        ("I cannot do that.", set()),
        ("[" * 50_000, set()),
        ('{"a":' * 50_000, set()),
    ],
)
def test_what_is_not_valid_is_missing_and_the_rest_is_kept(text: str, places: set[int]) -> None:
    assert set(FORM.read(text, 3)) == places


def test_numbers_of_no_text_are_part_of_an_answer() -> None:
    """A list, or a reference, within what is said about a text."""
    text = "[1] See\n1. this\n[7] Smith\n[2] and\n2. that"
    read = PAIRS.read(text, 2)
    assert [pair.question for pair in read[0].pairs] == ["See", "1. this", "[7] Smith"]
    assert [pair.question for pair in PAIRS.read("[1] See\n[2] Smith", 1)[0].pairs] == ["See", "[2] Smith"]


def test_line_ends_within_a_string_of_json_are_read() -> None:
    assert (
        PAIRS.read('{"1": {"pairs": [{"question": "a\nb", "answer": null}]}}', 1)[0].pairs[0].question
        == "a\nb"
    )


@pytest.mark.parametrize("text", ['{"1": {}}', '{"1": {"error": "no"}}', '{"error": "no"}', "{}"])
def test_an_object_that_says_nothing_is_not_an_answer_of_defaults(text: str) -> None:
    form = Form(**{**PAIRS.__dict__, "from_text": lambda text: None})
    assert form.read(text, 1) == {}


def test_one_text_may_be_answered_without_its_number() -> None:
    assert FORM.read('{"label": "plant", "score": 3}', 1) == FORM.read("plant, 3", 1) == {0: PLANT}
    assert FORM.read('{"label": "plant", "score": 3}', 2) == FORM.read("plant, 3", 2) == {}


def test_a_reader_of_text_that_fails_is_no_answer() -> None:
    form = Form(**{**FORM.__dict__, "from_text": lambda text: Verdict.model_validate({"label": text})})
    assert form.read(AS_TEXT, 3) == {}


@pytest.mark.parametrize("written", [AS_JSON, AS_TEXT, json.dumps(json.loads(AS_JSON), indent=1)])
def test_an_answer_cut_anywhere_gives_whole_records_alone(written: str) -> None:
    whole = FORM.read(written, 3)
    for end in range(len(written)):
        read = FORM.read(written[:end], 3, cut=True)
        assert read.items() <= whole.items()
    assert FORM.read(AS_TEXT, 3, cut=True).keys() == {0, 1}


@given(st.data())
def test_numbers_cut_in_the_middle_are_never_read_as_smaller_ones(data: st.DataObject) -> None:
    answers = {n: {"label": "plant", "score": 10} for n in range(1, data.draw(st.integers(1, 4)) + 1)}
    for written in (json.dumps(answers), "\n".join(f"[{n}] plant, 10" for n in answers)):
        end = data.draw(st.integers(0, len(written)))
        for answer in FORM.read(written[:end], len(answers), cut=True).values():
            assert answer.score == 10


def test_an_object_that_ended_before_the_cut_is_whole() -> None:
    assert FORM.read(AS_JSON + "\nI hope that", 3, cut=True) == FORM.read(AS_JSON, 3)
    assert FORM.read('{"label": "plant", "score": 3} as', 1, cut=True) == {0: PLANT}


PIECES = st.sampled_from(
    [
        *'{}[]":,\n\\',
        "1",
        "2",
        "10",
        '{"1": ',
        '"label"',
        '"plant"',
        '"score": 3',
        "```json",
        AS_JSON,
        AS_TEXT,
        "null",
        "[1] plant, 3\n",
        "2. stone, 3\n",
        "<think>",
        "</think>",
        "NaN",
        "�",
        '"\\ud800"',
    ]
)


@given(st.lists(st.text(max_size=5) | PIECES, max_size=20).map("".join), st.integers(1, 4), st.booleans())
@example("[\u0663] plant, 3", 3, False)  # a digit of another script
def test_whatever_a_model_writes_only_valid_answers_of_asked_numbers_are_read(
    text: str, count: int, cut: bool
) -> None:
    for form in (FORM, PAIRS):
        for place, answer in form.read(text, count, cut).items():
            assert 0 <= place < count
            assert form.answer.model_validate_json(answer.model_dump_json()) == answer


@given(
    st.dictionaries(
        st.integers(-1, 5).map(str) | st.text(max_size=3),
        st.fixed_dictionaries({"label": st.sampled_from(["plant", "cloud"]), "score": st.integers(-1, 12)}),
    )
)
def test_exactly_the_valid_entries_of_an_object_are_read(written: dict[str, dict[str, object]]) -> None:
    valid = {
        int(key) - 1
        for key, value in written.items()
        if key in ("1", "2", "3") and value["label"] == "plant" and 0 <= value["score"] <= 10  # type: ignore[operator]
    }
    odd = {key for key in written if key.strip().isdecimal() and key not in map(str, range(-1, 6))}
    if not odd:  # as " 1", or a digit of another script
        assert set(FORM.read(json.dumps(written), 3)) == valid
