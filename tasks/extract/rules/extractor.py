"""The embedded extractor: every rule over a document, the most specific first, each character answering once."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

from tasks.extract.extractor import Extraction
from tasks.extract.rules import code, commands, doctests, glossary, labelled, parameters, questions
from tasks.extract.rules.layout import Layout
from tasks.extract.rules.rule import Candidate, Rule
from tasks.records import Document, QAPair, Reject

RULES: tuple[Rule, ...] = (
    *doctests.RULES,
    *parameters.RULES,
    *code.RULES,
    *labelled.RULES,
    *glossary.RULES,
    *commands.RULES,
    *questions.RULES,
)


@dataclass(frozen=True, slots=True)
class RuleExtractor:
    """Pairs from explicit structure; free, deterministic, and silent where a text has none.

    Args:
        min_question_characters: a shorter question is a reject.
        max_question_characters, max_answer_characters: a longer one is a reject.
    """

    min_question_characters: int = 8
    max_question_characters: int = 4000
    max_answer_characters: int = 4000

    @property
    def name(self) -> str:
        return "rules/2"

    @property
    def settings(self) -> dict[str, Any]:
        return {field: getattr(self, field) for field in self.__dataclass_fields__}

    def extract(self, document: Document) -> Extraction:
        """Pairs in the order of their answers, and what was found but is no pair.

        A span belongs to the first rule that claims it; a later candidate that overlaps it is dropped without a
        reject, because its characters are already an answer.
        """
        layout = Layout.of(document.text)
        claimed = _Claims()
        questions: set[str] = set()
        found: list[tuple[Rule, Candidate, str]] = []
        rejects: list[Reject] = []
        for rule in RULES:
            if not any(mark in document.text for mark in rule.marks):
                continue
            for candidate in rule.find(layout):
                answer = document.text[candidate.start : candidate.end]
                if answer and not claimed.free(candidate.start, candidate.end):
                    continue
                reason = candidate.reason or self._fault(rule, candidate.question, answer)
                asked = " ".join(candidate.question.lower().split())
                if not reason and asked in questions:
                    reason = "duplicate question"
                if answer:
                    claimed.add(candidate.start, candidate.end)
                if reason:
                    detail = f"{rule.name} at {candidate.start}: {' '.join(candidate.question.split())[:120]}"
                    rejects.append(Reject("extract", reason, document.id, detail))
                else:
                    questions.add(asked)
                    found.append((rule, candidate, _text(document.text, candidate)))
        found.sort(key=lambda item: item[1].start)
        pairs = [
            QAPair(
                id=f"{document.id}#{number}",
                document_id=document.id,
                start=candidate.start,
                end=candidate.end,
                question=candidate.question.strip(),
                answer=answer,
                extractor=self.name,
                rule=rule.name,
            )
            for number, (rule, candidate, answer) in enumerate(found)
        ]
        return Extraction(pairs, rejects)

    def _fault(self, rule: Rule, question: str, answer: str) -> str:
        if not answer:
            return "no answer"
        if len(question.strip()) < self.min_question_characters:
            return "question too short"
        if len(question) > self.max_question_characters:
            return "question too long"
        if len(answer) < rule.min_answer:
            return "answer too short"
        return "answer too long" if len(answer) > self.max_answer_characters else ""


class _Claims:
    """Disjoint spans, sorted."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []

    def free(self, start: int, end: int) -> bool:
        place = bisect_left(self._spans, (start, end))
        before = self._spans[place - 1][1] if place else 0
        after = self._spans[place][0] if place < len(self._spans) else end
        return before <= start and end <= after

    def add(self, start: int, end: int) -> None:
        insort(self._spans, (start, end))


def _text(text: str, candidate: Candidate) -> str:
    """The answer: its characters; of code, without the indentation its lines share."""
    answer = text[candidate.start : candidate.end]
    if not candidate.dedent or "\n" not in answer:
        return answer
    before = text[text.rfind("\n", 0, candidate.start) + 1 : candidate.start]
    if before.strip():
        # It starts behind something else, as a field's text does: only the lines below share an indentation.
        first, _, below = answer.partition("\n")
        return f"{first}\n{dedent(below)}"
    # What else is blank, as a carriage return, is no indentation: dedent would leave it.
    indentation = before[len(before.rstrip(" \t")) :]
    return dedent(indentation + answer).strip("\n")
