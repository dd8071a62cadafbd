"""Questions and answers behind labels: Q and A, problem and solution, worked examples, posts with answers."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from tasks.extract.rules.layout import MAX_LINE, Layout, plain
from tasks.extract.rules.rule import Candidate, Rule

_LABEL = re.compile(
    r"""[ ]{0,3}[#>*_\ \t]{0,10}
    (?P<name>[QA](?=[\d:*_.]) | (?i:(?:accepted|best)[ ]answer|(?:worked[ ])?example|question|answer|problem|exercise
      |solution|try[ ]it|title))
    (?P<number>[ ]{0,2}\#?\d{1,3}(?:[.]\d{1,3})?)?
    (?P<closed>[*_]{0,3})
    (?:(?P<separator>[:.)])[*_]{0,3} | [ \t]{0,8}$)""",
    re.VERBOSE,
)
_FIRST = frozenset("QAaqBbPpEeSsWwTt")
_KINDS = {
    "Q": "question",
    "A": "answer",
    "accepted answer": "accepted",
    "best answer": "accepted",
    "exercise": "problem",
    "worked example": "example",
    "try it": "example",
}
_NEEDS = {"example": ("solution", "answer"), "title": ("question",)}
_INSTRUCTION = re.compile(
    r"the following (?:exercises?|problems?|questions?)[^,\n]{0,60},[ ]{0,2}(\S[^\n]{4,299})"
)
_OPEN_ANSWER = re.compile(
    r"(?:Sample answers?|Answers?|Solutions?|Responses?) (?:will|may|might|can) vary", re.IGNORECASE
)
_WORD = re.compile(r"\b(?!sqrt|root|arc|sin|cos|tan|sec|csc|cot|log)[^\W\d_]{3}")


@dataclass(frozen=True, slots=True)
class _Section:
    """What stands behind one label: from its first character to the next label, heading or the end."""

    kind: str
    line: int
    start: int
    end: int
    inline: bool


def question_answer(layout: Layout) -> Iterator[Candidate]:
    """Q: and A: lines, or Question: and Answer:, in any marks; an answer may follow its question without a label."""
    sections = _sections(layout)
    for i, section in enumerate(sections):
        if section.kind != "question" or (i and sections[i - 1].kind == "title"):
            continue
        answer = _answer_after(sections, i, ("answer", "solution"))
        question = layout.text[section.start : section.end].strip()
        if answer:
            yield Candidate(layout.in_context(plain(question)), answer.start, answer.end)
            continue
        # "**Q: How?**" and the answer's paragraphs below it, unlabelled.
        first, _, _ = question.partition("\n")
        start, end = layout.trim(section.start + len(first), section.end)
        first = plain(first)
        if section.inline and first.endswith("?") and start < end:
            yield Candidate(layout.in_context(first), start, end)
        else:
            yield Candidate(first, section.start, section.start, "no answer")


def problem_solution(layout: Layout, opener: str = "problem") -> Iterator[Candidate]:
    """Problem and Solution blocks; the instruction above a series of exercises belongs to each of them."""
    sections = _sections(layout)
    instructions = _instructions(layout) if opener == "problem" else {}
    for i, section in enumerate(sections):
        if section.kind != opener:
            continue
        question = plain(layout.text[section.start : section.end])
        solution = _answer_after(sections, i, ("solution", "answer"))
        if solution:
            start, end = _first_block(layout, solution) if solution.inline else (solution.start, solution.end)
            reason = "no fixed answer" if _OPEN_ANSWER.match(layout.text[start : start + 60]) else ""
            yield Candidate(
                _with_task(layout, question, instructions.get(section.line, "")), start, end, reason
            )
        elif opener == "problem":
            yield Candidate(question.partition("\n")[0], section.start, section.start, "no answer")


def post_answer(layout: Layout) -> Iterator[Candidate]:
    """A post: title, question, and its accepted answer, or the first where none is accepted."""
    sections = _sections(layout)
    for i, section in enumerate(sections):
        if section.kind != "title" or i + 1 >= len(sections) or sections[i + 1].kind != "question":
            continue
        title, body = (plain(layout.text[part.start : part.end]) for part in sections[i : i + 2])
        after = i + 2
        while after < len(sections) and sections[after].kind in ("answer", "accepted"):
            after += 1
        answers = sections[i + 2 : after]
        best = next((part for part in answers if part.kind == "accepted"), answers[0] if answers else None)
        if best is None:
            yield Candidate(title, section.start, section.start, "no answer")
        else:
            yield Candidate(f"{title}\n\n{body}", best.start, best.end)


def _sections(layout: Layout) -> list[_Section]:
    labels: list[tuple[int, str, int]] = []
    for i, line in enumerate(layout.lines):
        head = line.lstrip(" \t#>*_")[:1]
        if (
            head in _FIRST
            and not layout.fenced[i]
            and (match := _LABEL.match(line[:MAX_LINE]))
            and _is_label(match)
        ):
            name = match["name"]
            labels.append((i, _KINDS.get(name) or _KINDS.get(name.lower(), name.lower()), match.end()))
    # A lone "Example:" or "Title:" is prose, it ends nothing.
    following = [kind for _, kind, _ in [*labels[1:], (0, "", 0)]]
    labels = [
        label
        for label, after in zip(labels, following, strict=False)
        if label[1] not in _NEEDS or after in _NEEDS[label[1]]
    ]
    ends = sorted({line for line, _, _ in labels} | {i for i, level in enumerate(layout.level) if level})
    ends.append(len(layout.lines))
    sections = []
    for number, kind, column in labels:
        inline = bool(layout.lines[number][column:].strip(" \t*_"))
        end_line = ends[bisect_right(ends, number)]
        start, end = layout.trim(layout.starts[number] + column, layout.starts[end_line])
        # "Solution: Solution" and the text on the next line.
        first, newline, _ = layout.text[start : min(end, start + 40)].partition("\n")
        if newline and first.strip().lower() == kind:
            start, end = layout.trim(start + len(first), end)
        sections.append(_Section(kind, number, start, end, inline))
    return sections


def _is_label(match: re.Match[str]) -> bool:
    """A label ends in a colon, or in "." or ")" after a number, or it is all that its line says."""
    if match["separator"]:
        return match["separator"] == ":" or bool(match["number"])
    return match["name"] not in ("Q", "A") or bool(match["closed"])


def _answer_after(sections: list[_Section], i: int, kinds: tuple[str, ...]) -> _Section | None:
    """The next section, if it is an answer with text."""
    if i + 1 < len(sections):
        follower = sections[i + 1]
        if follower.kind in kinds or (follower.kind == "accepted" and "answer" in kinds):
            return follower if follower.start < follower.end else None
    return None


def _first_block(layout: Layout, section: _Section) -> tuple[int, int]:
    """Up to the first blank line: after "Solution: x = 2" the text goes on with something else."""
    blank = layout.text.find("\n\n", section.start, section.end)
    return layout.trim(section.start, section.end if blank < 0 else blank)


def _with_task(layout: Layout, question: str, instruction: str) -> str:
    """The problem after its series' instruction; a bare formula without one, after the document's title."""
    if instruction:
        return f"{instruction}\n{question}"
    bare = not _WORD.search(question[:500])
    return f"{layout.title}: {question}" if bare and layout.title else question


def _instructions(layout: Layout) -> dict[int, str]:
    """The instruction in force at each line that starts with Problem or Exercise."""
    current, found = "", {}
    for i, line in enumerate(layout.lines):
        if line.startswith(("Problem", "Exercise")):
            found[i] = current
        elif layout.level[i]:
            current = ""
        elif "the following" in line[:MAX_LINE]:
            match = _INSTRUCTION.search(line[:MAX_LINE])
            current = match[1][:1].upper() + match[1][1:].strip() if match else ""
    return found


RULES = (
    Rule("post-answer", post_answer, ("Title", "title", "TITLE")),
    Rule("problem-solution", problem_solution, ("Problem", "Exercise", "PROBLEM", "EXERCISE")),
    Rule("worked-example", partial(problem_solution, opener="example"), ("Solution", "SOLUTION", "Answer")),
    Rule("question-answer", question_answer, ("Q", "Question", "QUESTION")),
)
