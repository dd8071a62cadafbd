"""The extractor on any text: exact spans, one answer per character, the same result each time, bounded work."""

from __future__ import annotations

import gzip
import json
import pickle
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.extract.extractor import make_extractor, work_key
from tasks.extract.rules.extractor import RuleExtractor
from tasks.records import BadInput, Document
from tests.extract.extracted import assert_sound

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
LINES = [
    "# Title of it",
    "## How is it made?",
    "### ",
    "Q: What is it?",
    "A: It is a thing.",
    "**Question:** who?",
    "Answer:",
    "Problem: find x",
    "Solution: Solution",
    "Solution",
    "Example 2",
    "Title: t",
    "Accepted answer: yes",
    "In the following exercises, solve.",
    "Do they have it?",
    "Yes. They have it all.",
    "**Why not?**",
    "- Do a thing:",
    "`cmd --flag`",
    "```python",
    "```",
    "~~~",
    "def f(x):",
    "    '''Doc.",
    '    """Doc."""',
    "    return x",
    ">>> f(1)",
    "... + 2",
    "1",
    "    indented\ttext",
    "Parameters",
    "----------",
    "Returns",
    "x : int",
    ":param x: the number of things",
    "Glossary",
    '"Term" means a word.',
    "",
    "",
    "\u2028\x85 odd \x00 \ud800 é🙂",
]
texts = st.lists(st.sampled_from(LINES) | st.text(max_size=60), max_size=40).map("\n".join) | st.text(
    alphabet="QA:#>*`\"'\n\r\t .-=?~def(", max_size=400
)


@given(texts)
@example(">>> f(1)\n\r0\n# Title of it")
@settings(max_examples=300, deadline=None)
def test_any_text_gives_exact_spans_and_the_same_pairs_each_time(text: str) -> None:
    extractor = make_extractor("rules")
    extraction = extractor.extract(Document("d", text))
    assert_sound(text, extraction)
    assert extractor.extract(Document("d", text)) == extraction


def _real_documents() -> Iterator[tuple[str, str]]:
    path = SHARED / "data" / "corpus" / "mixed_1000.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            yield record["source"], record["text"]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared corpus is not here")
def test_real_documents_give_pairs_where_they_have_structure() -> None:
    documents: dict[str, int] = {}
    pairs: dict[str, int] = {}
    extractor = make_extractor("rules")
    for source, text in _real_documents():
        extraction = extractor.extract(Document("d", text))
        assert_sound(text, extraction)
        documents[source] = documents.get(source, 0) + 1
        pairs[source] = pairs.get(source, 0) + len(extraction.pairs)
    rate = {source: pairs[source] / documents[source] for source in documents}
    assert rate["openstax_prealgebra_algebra"] > 4
    assert rate["tldr_pages"] > 4
    assert rate["medquad_health"] > 1.5
    for source in ("gutenberg_fiction", "us_presidential_speeches", "dnd_srd_rules", "based_cooking_recipes"):
        assert rate[source] < 0.1, source


UNITS = [
    "a ",
    "#",
    "# What is it?\n",
    "## x\n### How is it?\n",
    ">>> >>> ",
    ">>> f()\n1\n",
    "Q: ",
    "Q: Q:\n",
    "Q: What is it?\nA: x\n",
    "**",
    "```\n",
    "```python\n",
    "def f(",
    'def f():\n"""x\n',
    "def f():\n'''x\n",
    "Title: x\nQuestion: y\nAnswer: z\n",
    "x\n---\n",
    "Returns\n---\nx\n  y y y y y y y y y y\n",
    "- a:\n",
    "\n",
    " ",
]


@pytest.mark.parametrize("unit", UNITS)
def test_work_grows_with_the_length_and_not_with_its_square(unit: str) -> None:
    """Counted in executed lines, not in seconds: eight times the text may take nine times the lines."""
    extractor = make_extractor("rules")

    def work(size: int) -> int:
        text = unit * (size // len(unit))
        count = 0

        def trace(frame: object, event: str, argument: object) -> object:
            nonlocal count
            count += event == "line"
            return trace

        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            extractor.extract(Document("d", text))
        finally:
            sys.settrace(None)
        return count

    assert work(24_000) <= 9 * work(3_000) + 2_000


@pytest.mark.parametrize(
    "unit", [*UNITS, ">>> x\n> ", "- a:\n\n`b`\n", ":param x: y\n y\n", "def f(x):\n :param x: y\n"]
)
def test_time_grows_with_the_length_and_not_with_its_square(unit: str) -> None:
    """What a pattern does inside of one line of Python counts here: squared, ten times the text takes 100 times as long."""
    extractor = make_extractor("rules")

    def seconds(size: int) -> float:
        document = Document("d", unit * (size // len(unit)))
        taken = []
        for _ in range(3):
            began = time.process_time()
            extractor.extract(document)
            taken.append(time.process_time() - began)
        return min(taken)

    assert seconds(80_000) <= 35 * seconds(8_000) + 0.05


@pytest.mark.parametrize(
    "unit", ["a a a", "####", ">>> >>>", "Q: Q:", " ", "*", "`", "\t", "(", ".", "|", ": "]
)
def test_one_huge_line_is_prose(unit: str) -> None:
    extraction = make_extractor("rules").extract(Document("d", unit * (200_000 // len(unit))))
    assert extraction.pairs == []


def test_unknown_extractor_is_bad_input() -> None:
    with pytest.raises(BadInput, match="no such extractor"):
        make_extractor("oracle")


def test_key_is_of_extractor_settings_and_text() -> None:
    key = work_key(make_extractor("rules"), "text")
    assert key == work_key(make_extractor("rules"), "text")
    assert key != work_key(make_extractor("rules"), "text ")
    assert key != work_key(RuleExtractor(max_answer_characters=10), "text")


def test_extractor_travels_to_workers() -> None:
    extractor = RuleExtractor(max_answer_characters=10)
    assert pickle.loads(pickle.dumps(extractor)) == extractor
