import pickle

import numpy as np

from tasks.corpus.decontaminate import Decontaminator
from tasks.corpus.words import words
from tasks.records import Example

LONG = Example(
    "1", "If Ann has three apples, and Bob gives her four more (red ones), how many?", "Ann has seven."
)
SHORT = Example("2", "How many legs has a healthy adult spider?", "Eight")
TINY = Example("3", "Two plus two?", "Four")


def test_thirteen_shared_words_are_found_whatever_the_case_and_punctuation() -> None:
    seen = Decontaminator([LONG])
    thirteen = "if ann HAS three apples and bob -- gives her four more red ones"
    assert (
        seen.overlap(f"Once: {thirteen}!") == "if ann has three apples and bob gives her four more red ones"
    )
    assert seen.overlap("if ann has three apples and bob gives her four more red") is None
    assert Decontaminator([LONG], n=4).overlap("we know bob gives her four plums") == "bob gives her four"


def test_short_examples_are_looked_for_whole_and_tiny_ones_cannot_be() -> None:
    seen = Decontaminator([SHORT, TINY])
    assert seen.overlap("Q: how many legs has a healthy adult spider? A: eight.") is not None
    assert seen.overlap("how many legs has a healthy adult ant? six") is None
    assert seen.overlap("two plus two? four") is None
    assert seen.untestable == 1


def test_an_example_that_a_short_run_lies_in_is_tested() -> None:
    seen = Decontaminator([TINY], n=4)
    assert seen.overlap("two plus two, four") is not None
    assert seen.untestable == 0
    assert Decontaminator([TINY], n=5).untestable == 1


def test_without_examples_nothing_overlaps() -> None:
    assert Decontaminator([]).overlaps(["some text", ""]) == [None, None]


def test_it_can_travel_to_a_worker() -> None:
    seen = pickle.loads(pickle.dumps(Decontaminator([LONG])))
    assert seen.overlap(LONG.question)


def test_it_agrees_with_sets_of_ngrams() -> None:
    rng = np.random.default_rng(0)

    def draw(size: int) -> str:
        return " ".join(f"w{number}" for number in rng.integers(0, 3, size))

    def grams(text: str, n: int) -> set[tuple[str, ...]]:
        found = words(text)
        return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}

    examples = [Example(str(k), draw(int(rng.integers(1, 30))), draw(2)) for k in range(20)]
    texts = []
    for _ in range(200):
        known = words(examples[rng.integers(20)].question)
        start = int(rng.integers(0, 12))
        texts.append(" ".join([draw(4), *known[start : start + int(rng.integers(5, 20))], draw(4)]))
    expected = []
    for text in texts:
        hit = False
        for example in examples:
            whole = f"{example.question} {example.answer}"
            for part in (whole, example.question):
                size = min(13, len(words(part)))
                hit |= size >= 8 and bool(grams(text, size) & grams(part, size))
        expected.append(hit)
    seen = Decontaminator(examples)
    assert [found is not None for found in seen.overlaps(texts)] == expected
    assert 10 < sum(expected) < 190
    for text, found in zip(texts, seen.overlaps(texts), strict=True):
        assert found is None or found in " ".join(words(text))
