"""Inputs on which a reader that takes time quadratic in their length would take minutes."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from upath import UPath

from tasks.corpus.folders import read_text_file
from tasks.corpus.formats import read_records
from tasks.corpus.normalise import normalise
from tasks.corpus.split import split_document
from tasks.records import BadInput, Document

SIZE = 200_000  # characters
PATIENCE = 20  # seconds of this process; all of these take well under one: a guard against hours, no measure of speed


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
    began = time.process_time()
    work(text)
    assert time.process_time() - began < PATIENCE


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("<a " * (SIZE // 3), id="tags never closed"),
        pytest.param("<!--" * (SIZE // 4), id="comments never closed"),
        pytest.param("<p>x" + " " * SIZE + "y", id="spaces"),
        pytest.param("<p>x" + "&#32;" * SIZE + "y", id="spaces as entities"),
        pytest.param("<pre>x" + "\n" * SIZE + "y", id="blank lines of code"),
        pytest.param("<ol>" + "<li>x" * 20_000, id="a long list"),
    ],
)
def test_time_of_a_page_grows_with_its_length_and_not_faster(tmp_path: Path, page: str) -> None:
    path = UPath(tmp_path / "page.html")
    path.write_text(page)
    began = time.process_time()
    read_text_file(path)
    assert time.process_time() - began < PATIENCE


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("text\n" + '"' * SIZE, id="quotes"),
        pytest.param('text\n"' + "x\n" * SIZE, id="a quote never closed"),
        pytest.param("text\n" + "," * SIZE, id="commas"),
        pytest.param('text\n"a"b\n' * (SIZE // 10), id="a stray quote in every row"),
    ],
)
def test_time_of_a_table_grows_with_its_length_and_not_faster(tmp_path: Path, table: str) -> None:
    path = UPath(tmp_path / "table.csv")
    path.write_text(table)
    began = time.process_time()
    with suppress(BadInput):
        list(read_records(path))
    assert time.process_time() - began < PATIENCE
