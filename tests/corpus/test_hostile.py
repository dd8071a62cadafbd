"""Inputs on which a reader that takes time quadratic in their length would take minutes."""

import time
from collections.abc import Callable

import pytest

from tasks.corpus.normalise import normalise
from tasks.corpus.split import split_document
from tasks.records import Document

SIZE = 200_000  # characters
PATIENCE = 10  # seconds; all of these take well under one


def split(text: str) -> object:
    return split_document(Document("d", text), 4096)


@pytest.mark.parametrize(
    ("work", "text"),
    [
        pytest.param(normalise, "a" + " " * SIZE + "b \n", id="spaces within a line"),
        pytest.param(split, "`" * SIZE, id="backticks"),
        pytest.param(split, "~" * SIZE, id="tildes"),
        pytest.param(split, "\n".join("`" * (3 + n) for n in range(600, 0, -1)), id="fences never closed"),
        pytest.param(split, "```\nx\n```\n\n" * (SIZE // 11), id="many small fences"),
        pytest.param(split, "é " * (SIZE // 2), id="one line of words"),
    ],
)
def test_time_grows_with_the_length_and_not_faster(work: Callable[[str], object], text: str) -> None:
    start = time.perf_counter()
    work(text)
    assert time.perf_counter() - start < PATIENCE
