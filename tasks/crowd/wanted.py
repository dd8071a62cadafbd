"""Questions for people: a file to fill in, round after round, that a run waits for.

rounds/NNN/ of a run holds wanted.csv, which people fill in, asked.json, which says what its rows ask, and answers.csv once it was read; a
round that was read is never read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.records import BadInput, Stopped
from tasks.storage.sheets import as_text, read_sheet, write_csv
from tasks.storage.tables import read_json, write_json

Row = dict[str, str]

QUESTION = "question"


def rounds_done(run: Path) -> list[tuple[Any, list[Row]]]:
    """What was asked in each round that was read, and the answers."""
    folders = sorted((run / "rounds").glob("[0-9]*"))
    done = [folder for folder in folders if (folder / "answers.csv").exists()]
    return [(read_json(folder / "asked.json"), rows_of(folder / "answers.csv")) for folder in done]


def round_of(
    run: Path,
    head: Sequence[str],
    make: Callable[[], tuple[Any, Iterable[Sequence[Any]]]],
    check: Callable[[Row, str], bool],
    how: str,
) -> tuple[Any, list[Row]]:
    """The next round: its questions are written, or their answers read.

    Args:
        head: columns of wanted.csv.
        make: what is asked (JSON), and the rows of wanted.csv.
        check: whether a row is answered; raises BadInput for an answer that is none. Called with the row and its place, for messages.
        how: what to write where, for the message.

    Raises:
        Stopped: people have to answer first. Rows that nobody can answer may be removed.
        BadInput: a column is gone, or all rows, or an answer is none.
    """
    number = len(rounds_done(run)) + 1
    folder = run / "rounds" / f"{number:03d}"
    path = folder / "wanted.csv"
    if not path.exists():
        asked, rows = make()
        write_json(folder / "asked.json", asked)
        write_csv(path, head, [[as_text(str(cell)) for cell in row] for row in rows])
    lines = read_sheet(path, head, f"--resume {run.name}")
    if not lines:
        raise BadInput(
            f"{path}: no question is left in it, and one at least has to be answered; remove the file and continue with "
            f"--resume {run.name}, which writes the same questions anew"
        )
    answered = [check(row, f"{path}:{line}") for line, row in lines]
    rows_given = [row for _, row in lines]
    if not any(answered) or not all(answered):
        raise Stopped(
            f"{answered.count(False):,} of {len(rows_given):,} questions are not answered: {how} in {path} (remove rows that nobody "
            f"can answer), then continue with --resume {run.name}"
        )
    write_csv(folder / "answers.csv", head, [[row[column] for column in head] for row in rows_given])
    return read_json(folder / "asked.json"), rows_given


def rows_of(path: Path) -> list[Row]:
    """Rows of a CSV file of the run, cells without spaces around them."""
    return [row for _, row in read_sheet(path, (), "start a new run")]


def share_of(text: str, place: str) -> float:
    """A number between 0 and 1, or a percentage.

    Raises:
        BadInput: it is neither.
    """
    number = text.removesuffix("%").strip().replace(",", ".")
    try:
        value = float(number) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise BadInput(f"{place}: {text[:40]!r} is no share; write a number from 0 to 1, or from 0% to 100%")
    return value


def numbered(asked: Sequence[Any], row: Mapping[str, str], place: str) -> Any:
    """What a row asks, by its number.

    Raises:
        BadInput: there is no such question.
    """
    text = row[QUESTION]
    if not text.isdecimal() or not 1 <= int(text) <= len(asked):
        raise BadInput(f"{place}: there is no question {text[:20]!r}; leave the column {QUESTION} as it was")
    return asked[int(text) - 1]
