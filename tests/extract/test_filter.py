"""The filter of pairs: duplicates of the whole run, contamination, length and the limit of a document."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.extract.filter import PairFilter
from tasks.records import QAPair, Reject


def pair(question: str, answer: str, document: str = "d", number: int = 0) -> QAPair:
    return QAPair(f"{document}#{number}", document, 0, len(answer), question, answer, "rules/2")


def clean(texts: Sequence[str]) -> list[str | None]:
    return [None] * len(texts)


def test_same_pair_of_another_document_is_dropped_with_its_own_id() -> None:
    chosen = PairFilter(clean)
    kept, rejected = chosen.split([pair("What is it?", "A lamp."), pair("what  is it?", "A LAMP.", "e")])
    assert [one.id for one in kept] == ["d#0"]
    assert rejected == [Reject("filter", "duplicate pair", "e#0", "same as d#0")]


def test_same_question_with_another_answer_is_kept() -> None:
    kept, _ = PairFilter(clean).split([pair("What is it?", "A lamp."), pair("What is it?", "A chair.", "e")])
    assert len(kept) == 2


def test_question_and_answer_do_not_run_together() -> None:
    kept, _ = PairFilter(clean).split([pair("a b", "c"), pair("a", "b c", "e")])
    assert len(kept) == 2


def test_duplicates_are_found_across_rounds() -> None:
    chosen = PairFilter(clean)
    chosen.split([pair("What is it?", "A lamp.")])
    assert chosen.split([pair("What is it?", "A lamp.", "e")])[0] == []


def test_contaminated_pair_names_what_it_shares() -> None:
    chosen = PairFilter(lambda texts: ["a b c" if "a b c" in text else None for text in texts])
    kept, rejected = chosen.split([pair("What is a b c?", "Letters."), pair("And?", "See a b c", number=1)])
    assert kept == []
    assert [(one.reason, one.id, one.detail) for one in rejected] == [
        ("contaminated", "d#0", "a b c"),
        ("contaminated", "d#1", "a b c"),
    ]


def test_contamination_cannot_hide_between_question_and_answer() -> None:
    chosen = PairFilter(
        lambda texts: ["found" if " ".join(text.split()) == "one two" else None for text in texts]
    )
    assert chosen.split([pair("one", "two")])[0] == []


def test_short_answers_and_the_limit_of_a_document() -> None:
    chosen = PairFilter(clean, min_answer_characters=2, max_pairs_per_document=1)
    pairs = [pair("q0", " 7 "), pair("q1", "42", number=1), pair("q2", "43", number=2), pair("q3", "44", "e")]
    kept, rejected = chosen.split(pairs)
    assert [one.id for one in kept] == ["d#1", "e#0"]
    assert [(one.id, one.reason) for one in rejected] == [
        ("d#0", "answer too short"),
        ("d#2", "over the limit of the document"),
    ]


def test_resumed_filter_decides_as_the_uninterrupted_one() -> None:
    rounds = [
        [pair(f"q{n % 5}", f"a{n % 7}", f"d{n % 3}", n) for n in range(start, start + 20)]
        for start in (0, 20, 40)
    ]
    whole = PairFilter(clean, max_pairs_per_document=9)
    expected = [whole.split(pairs) for pairs in rounds]
    kept: list[QAPair] = []
    for pairs, outcome in zip(rounds, expected, strict=True):
        resumed = PairFilter(clean, max_pairs_per_document=9, seen=kept)
        assert resumed.split(pairs) == outcome
        kept += outcome[0]
