import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.corpus.doctests import read_doctests
from tasks.corpus.target import Target, check_guides, check_target, read_guides, read_target
from tasks.records import BadInput, Reject

ITEMS = [
    {"question": f"What is {n} plus {n}, said in a word of its own?", "answer": f"it is {2 * n}"}
    for n in range(20)
]


def write(path: Path, items: list[Any]) -> str:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return str(path)


def test_every_format_gives_the_same_target(tmp_path: Path) -> None:
    paths = [write(tmp_path / "t.jsonl", ITEMS)]
    (tmp_path / "t.json").write_text(json.dumps(ITEMS))
    pq.write_table(pa.Table.from_pylist(ITEMS), tmp_path / "t.parquet")
    with (tmp_path / "t.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["question", "answer"])
        table.writeheader()
        table.writerows(ITEMS)
    paths += [str(tmp_path / f"t.{kind}") for kind in ("json", "parquet", "csv")]
    targets = [read_target(path) for path in paths]
    questions = [[one.question for one in target.reference] for target in targets]
    assert questions.count(questions[0]) == 4
    assert len(targets[0].reference) == len(targets[0].test) == 10


def test_the_two_parts_are_disjoint_and_the_seed_decides(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", ITEMS)
    one, same, other = read_target(path, seed=1), read_target(path, seed=1), read_target(path, seed=2)
    assert one == same
    assert one.test != other.test
    assert not {e.question for e in one.reference} & {e.question for e in one.test}
    assert len(read_target(path, test_share=0.2).test) == 4


def test_groups_stay_on_one_side(tmp_path: Path) -> None:
    items = [{**item, "group": f"g{n // 4}"} for n, item in enumerate(ITEMS)]
    target = read_target(write(tmp_path / "t.jsonl", items))
    assert not {e.group for e in target.reference} & {e.group for e in target.test}
    assert set(Counter(e.group for e in [*target.reference, *target.test]).values()) == {4}


def test_reference_items_that_overlap_the_test_part_are_dropped(tmp_path: Path) -> None:
    shared = "one two three four five six seven eight nine ten eleven twelve thirteen"
    test = [{"question": f"Q: {shared} {n}?", "answer": "x"} for n in range(2)]
    again = {"question": test[0]["question"].upper(), "answer": "another"}
    near = {"question": f"Something else, {shared}", "answer": "y"}
    target = read_target(
        write(tmp_path / "t.jsonl", [*ITEMS, again, near]), write(tmp_path / "x.jsonl", test)
    )
    assert [e.answer for e in target.reference] == [item["answer"] for item in ITEMS]
    assert [(r.reason, r.id, r.detail) for r in target.rejects] == [
        ("overlaps the test part", "t.jsonl:21", "the same question"),
        ("overlaps the test part", "t.jsonl:22", shared),
    ]


def test_items_without_an_answer_are_rejected_and_numbers_are_text(tmp_path: Path) -> None:
    odd = [
        {"question": "Nothing?", "answer": " "},
        {"question": "", "answer": "x"},
        {"question": "?", "answer": None},
    ]
    number = {"question": "A number of its own?", "answer": 51.0}
    path = write(tmp_path / "t.jsonl", [*ITEMS, *odd, number, number, [1]])
    target = read_target(
        path, write(tmp_path / "x.jsonl", [{"question": f"z{n}", "answer": "y"} for n in range(2)])
    )
    assert target.reference[-1].answer == "51"
    reasons = Counter(reject.reason for reject in target.rejects)
    assert reasons == {"no answer": 2, "no question": 1, "duplicate": 1, "not an object": 1}


def test_the_answer_of_a_later_item_is_enough(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [*[{"question": f"q{n}"} for n in range(30)], *ITEMS])
    check_target(path)
    assert len(read_target(path).test) == 10


def test_a_question_may_be_joined_of_several_fields(tmp_path: Path) -> None:
    items = [{"Body": f"Ann has {n} pens.", "Question": "How many?", "Answer": n} for n in range(9)]
    path = write(tmp_path / "t.jsonl", items)
    target = read_target(path, question_field="Body+Question", answer_field="Answer")
    assert target.reference[0].question.endswith("pens. How many?")
    check_target(path, question_field="Body+Question", answer_field="Answer")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    items = [{**item, "group": f"\ud800{number}"} for number, item in enumerate(ITEMS)]  # UTF-8 has none
    target = read_target(write(tmp_path / "t.jsonl", items))
    target.save(tmp_path / "folder")
    assert Target.load(tmp_path / "folder") == Target(target.reference, target.test)


def test_one_clear_line_for_a_target_that_cannot_be_used(tmp_path: Path) -> None:
    good = write(tmp_path / "t.jsonl", ITEMS)
    bare = write(tmp_path / "bare.jsonl", [{"question": "a"}, {"question": "b"}])
    blank = write(
        tmp_path / "blank.jsonl", [{"question": "a", "answer": ""}, {"question": "b", "answer": ""}]
    )
    few = write(tmp_path / "few.jsonl", [ITEMS[0], ITEMS[0], {"question": "What?", "answer": None}])
    empty = write(tmp_path / "empty.jsonl", [])
    copy = write(tmp_path / "copy.jsonl", ITEMS)
    more = write(tmp_path / "more.jsonl", [*ITEMS, {"question": "one more", "answer": "z"}])
    (tmp_path / "t.docx").write_text("x")
    for arguments, message in {
        (str(tmp_path / "none.jsonl"), ""): "--target .*no such file",
        (good, str(tmp_path / "none.jsonl")): "--test .*no such file",
        (str(tmp_path), ""): "give a file",
        (str(tmp_path / "t.docx"), ""): "give a file",
        (bare, ""): "no item has the field answer; it has: question; set --answer-field",
        (blank, ""): "none of its 2 items has a question and an answer",
        (good, good): "the same examples",
        (good, copy): "the same examples",
        (
            good,
            more,
        ): "^--target .*t.jsonl: 0 of 20 examples left to guide the selection, 2 at least are needed "
        "\\(20 overlapping the test part\\); give more$",
        (good, few): "^--test .*few.jsonl: 1 example to judge by, 2 at least are needed; give more$",
        (
            few,
            "",
        ): "0 of 3 examples left .* \\(1 duplicate, 1 no answer, 1 kept to judge by\\); give more, or a separate",
        (empty, ""): "no examples in this file",
        ("doctest:", ""): "^--target doctest:: name the modules",
        ("doctest:no_such.mod", ""): "^--target doctest:no_such.mod: the package no_such is not installed",
        ("doctest:no such", ""): "^--target doctest:no such: not the name .*; write doctest:sympy,",
        (good, "doctest:no_such.mod"): "^--test doctest:no_such.mod: the package no_such is not installed",
        ("doctest:json.decoder", ""): "no doctests with an output",
    }.items():
        with pytest.raises(BadInput, match=message) as caught:
            read_target(*arguments)
        assert "\n" not in str(caught.value)
    for arguments, flag in {
        (str(tmp_path / "none.jsonl"), ""): "--target",
        (good, bare): "--test",
        ("doctest:no_such.mod", ""): "--target doctest:",
        (good, "doctest:no_such.mod"): "--test doctest:",
    }.items():
        with pytest.raises(BadInput, match=f"^{flag}"):
            check_target(*arguments)
    for arguments in ((few, ""), (good, few), (good, copy), (good, more)):
        with pytest.raises(BadInput) as looked:
            check_target(*arguments)
        with pytest.raises(BadInput) as read:
            read_target(*arguments)
        assert str(looked.value) == str(read.value)


def test_a_large_target_is_read_when_the_run_begins(tmp_path: Path, monkeypatch: Any) -> None:
    few = write(tmp_path / "few.jsonl", ITEMS[:1])
    monkeypatch.setattr("tasks.corpus.formats._SMALL", 8)
    check_target(few)


def test_doctests_become_questions_about_what_a_statement_prints(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "doctested_module.py").write_text(
        '''
def twice(n, unit="cm"):
    """Twice the number.

    More about it.

    >>> from doctested_module import twice
    >>> twice(2)
    4
    >>> for n in (1, 2):
    ...     print(twice(n))
    2
    4
    >>> twice()
    Traceback (most recent call last):
    TypeError: no number
    >>> list(range(100))
    LONG
    """
'''.replace("LONG", str(list(range(100))))
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    rejects: list[Reject] = []
    first, second = read_doctests("doctested_module", rejects.append)
    assert (first.answer, second.answer) == ("4", "2\n4")
    assert first.group == second.group == "doctested_module.twice"
    assert second.question == (
        "doctested_module.twice\n\ntwice(n, unit='cm')\n\nTwice the number.\n\n"
        ">>> from doctested_module import twice\n>>> twice(2)\n>>> for n in (1, 2):\n...     print(twice(n))"
    )
    assert [reject.reason for reject in rejects] == ["long answer"]


def test_doctests_of_an_installed_package_make_a_target() -> None:
    check_target("doctest:sympy.ntheory, ,")
    target = read_target("doctest:sympy.ntheory")
    assert min(len(target.reference), len(target.test)) > 50
    assert not {e.group for e in target.reference} & {e.group for e in target.test}


TEXTS = [{"text": f"The story of the number {n} is told in so many words of its own."} for n in range(12)]


def test_examples_may_be_texts_where_a_field_of_texts_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [*TEXTS, {"text": " "}])
    check_target(path, text_fields=["text"])
    target = read_target(path, text_fields=["text"])
    assert len(target.reference) == len(target.test) == 6  # no question is the same as another's
    assert all(example.question == "" for example in target.reference)
    assert {example.answer for example in target.reference + target.test} == {item["text"] for item in TEXTS}
    assert [reject.reason for reject in target.rejects] == ["no text"]
    for read in (check_target, read_target):
        with pytest.raises(BadInput, match="no item has the field question; it has: text; set --question"):
            read(path)


def test_items_with_a_question_are_asked_though_they_have_a_text(tmp_path: Path) -> None:
    items = [{**item, "text": "a page"} for item in ITEMS]
    target = read_target(write(tmp_path / "t.jsonl", items), text_fields=["text"])
    assert all(example.question for example in target.reference)


def test_a_wrong_name_of_a_field_makes_no_texts_of_questions(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [{**item, "text": "a page"} for item in ITEMS])
    with pytest.raises(BadInput, match=r"field qestion; .*set --question-field, or --text-field"):
        read_target(path, question_field="qestion", text_fields=["text"])
    (tmp_path / "t.csv").write_text(",prompt,answer\n1,What?,That.\n2,Who?,She.\n")  # an index without a name
    with pytest.raises(BadInput, match="no item has the field question"):
        read_target(str(tmp_path / "t.csv"))


def test_a_text_of_the_test_part_keeps_its_like_out_of_the_reference(tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", TEXTS[:4])
    longer = [{"text": f"{item['text']} And more of it."} for item in TEXTS[2:]]
    target = read_target(write(tmp_path / "t.jsonl", longer), test, text_fields=["text"])
    assert len(target.reference) == 8
    assert [reject.reason for reject in target.rejects] == ["overlaps the test part"] * 2


def test_what_guides_from_a_file_of_its_own_shares_nothing_with_what_judges(tmp_path: Path) -> None:
    judging = read_target(write(tmp_path / "t.jsonl", ITEMS)).test
    again = [{"question": one.question.upper(), "answer": "x"} for one in judging[:3]]
    others = [{"question": f"another {n}?", "answer": str(n)} for n in range(3)]
    kept, rejects = read_guides(write(tmp_path / "g.jsonl", [*again, *others]), judging)
    assert [one.question for one in kept] == ["another 0?", "another 1?", "another 2?"]
    assert [reject.reason for reject in rejects] == ["overlaps the test part"] * 3
    path = write(tmp_path / "h.jsonl", [*again, others[0]])
    check_guides(path)
    with pytest.raises(
        BadInput,
        match=r"1 example left to guide the selection, 2 .* \(3 overlapping the test part\); give more",
    ):
        read_guides(path, judging)
    with pytest.raises(BadInput, match=r"--reference .*: no item has the field prompt"):
        check_guides(path, question_field="prompt")
