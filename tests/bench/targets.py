"""The targets of the comparison: examples that steer, and others that judge, which share nothing."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.words import words
from tasks.extract.extractor import make_extractor
from tasks.records import Document
from tasks.run.seeds import generator
from tests.bench.deceptive import HEALTH

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
MIXED = SHARED / "corpus" / "mixed.jsonl.gz"
REFERENCE, TEST = 200, 300  # examples that steer, and that judge
_FAMILY_WORDS = 8  # consecutive words that make two problems variants of one text

Facts = dict[str, Any]


@lru_cache(maxsize=1)
def mixed() -> tuple[list[Facts], list[Facts]]:
    """The mixture in two parts: 6,000 documents, the corpus of the smaller cells, and all others."""
    with gzip.open(MIXED, "rt", encoding="utf-8") as stream:
        pages = [json.loads(line) for line in stream]
    order = generator(0, "bench", "mixed-6000").permutation(len(pages))
    inside, outside = ([pages[row] for row in sorted(rows)] for rows in (order[:6000], order[6000:]))
    return inside, outside


def gsm8k() -> tuple[list[Facts], list[Facts]]:
    """Reference part out of the training file, test part out of the test file.

    Calculator annotations are removed ("48/2 = <<48/2=24>>24" becomes "48/2 = 24"). They are calls of a tool that this
    data set alone has; no document can teach them, and as a quarter of an answer's tokens they drown what one does teach.
    """
    return problems("train", REFERENCE), problems("test", TEST)


def problems(part: str, count: int) -> list[Facts]:
    """Of GSM8K's "train" or "test", in random order; see `gsm8k`."""
    lines = (SHARED / "targets" / "gsm8k" / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    order = generator(0, "bench", "gsm8k", part).permutation(len(lines))[:count]
    examples = [json.loads(lines[row]) for row in order]
    return [{**one, "answer": re.sub(r"<<[^>]*>>", "", one["answer"])} for one in examples]


def two_tasks() -> tuple[list[Facts], list[Facts]]:
    """A target of two tasks that have nothing in common, half of each part: word problems and questions about health."""
    return tuple(
        [*first[: size // 2], *second[: size // 2]]
        for first, second, size in zip(
            svamp(_svamp_problems()), _from_the_rest(HEALTH, per_page=2), (REFERENCE, TEST), strict=True
        )
    )  # type: ignore[return-value]


def microbiology() -> tuple[list[Facts], list[Facts]]:
    """Questions of a textbook, from its pages that are not among the 6,000."""
    return _from_the_rest("openstax_microbiology", per_page=10)


def _from_the_rest(source: str, per_page: int) -> tuple[list[Facts], list[Facts]]:
    """Questions about a source, at most `per_page` of a page, no page on both sides."""
    pages = list(_pairs_by_page(source))
    order = generator(0, "bench", source).permutation(len(pages))
    parts: tuple[list[Facts], list[Facts]] = ([], [])
    for row in order:
        side = parts[len(parts[0]) >= REFERENCE]
        side += [{"question": question, "answer": answer} for question, answer in pages[row][:per_page]]
    return parts[0][:REFERENCE], parts[1][:TEST]


def questions_about(source: str) -> list[tuple[str, str]]:
    """What the rules find on a source's pages outside of the 6,000."""
    return [pair for page in _pairs_by_page(source) for pair in page]


def _pairs_by_page(source: str) -> Iterator[list[tuple[str, str]]]:
    extractor = make_extractor("rules")
    for page in mixed()[1]:
        if page["source"] == source:
            found = extractor.extract(Document(page["id"], page["text"])).pairs
            if found:
                yield [(pair.question, pair.answer) for pair in found]


def svamp(problems: Sequence[Facts]) -> tuple[list[Facts], list[Facts]]:
    """Parts of SVAMP that share no family of problems; the answer is the equation with its result, as "76 - 25 = 51".

    A bare number is one or two tokens of which a small student can learn nothing but digits.

    Problems are variants of one another, often with other numbers only: the 1,000 have 650 bodies once numbers are masked
    and are 128 families, the largest of 27. (Ids do not tell them, and masking names changes one family.) Whole families go
    to a side, so no test problem shares its first sentence or 8 consecutive words, numbers masked, with a reference
    problem: 0 of 300; 24 share 6. Parted by runs of 13 words with their numbers, 105 shared the first sentence.
    """
    order = generator(0, "bench", "svamp").permutation(len(problems))
    family = families([_question(one) for one in problems])
    judging = np.zeros(len(problems), dtype=bool)
    for (
        row
    ) in order:  # each side in proportion to what is drawn from it, so that it is drawn from many families
        if judging.sum() * (REFERENCE + TEST) >= len(problems) * TEST:
            break
        judging |= family == family[row]
    parts = ((row for row in order if not judging[row]), (row for row in order if judging[row]))
    reference, test = (
        [{"question": _question(problems[row]), "answer": _equation(problems[row])} for row in rows]
        for rows in parts
    )
    return reference[:REFERENCE], test[:TEST]


def families(questions: Sequence[str]) -> np.ndarray:
    """A label for each question: those that share a first sentence or a run of 8 words, numbers masked, have the same.

    So have those that only other questions link.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    texts: dict[str, int] = {}  # what can be shared, numbered
    links = []
    for row, question in enumerate(questions):
        masked = re.sub(r"\d+(?:[.,]\d+)*", "0", question)
        own = words(masked)
        runs = [" ".join(own[at : at + _FAMILY_WORDS]) for at in range(len(own) - _FAMILY_WORDS + 1)]
        first = " ".join(words(re.split(r"(?<=[.?!])\s", masked)[0]))
        links += [(row, len(questions) + texts.setdefault(text, len(texts))) for text in (first, *runs)]
    size = len(questions) + len(texts)
    graph = coo_array((np.ones(len(links)), np.transpose(links)), shape=(size, size))
    labels: np.ndarray = connected_components(graph, directed=False)[1][: len(questions)]
    return labels


def _svamp_problems() -> list[Facts]:
    path = SHARED / "targets" / "svamp" / "SVAMP.json"
    problems: list[Facts] = json.loads(path.read_text(encoding="utf-8"))
    return problems


def _question(problem: Facts) -> str:
    return f"{problem['Body'].rstrip('. ')}. {problem['Question']}"


def _equation(problem: Facts) -> str:
    # In brackets, but for one that is a bare number.
    equation = problem["Equation"].strip().removeprefix("(").removesuffix(")").strip()
    return f"{equation} = {problem['Answer']}".replace(".0 ", " ").removesuffix(".0")


MAKERS: dict[str, Callable[[], tuple[list[Facts], list[Facts]]]] = {
    "gsm8k": gsm8k,
    "svamp": lambda: svamp(_svamp_problems()),
    "two-tasks": two_tasks,
    "microbiology": microbiology,
}
