"""Answers of people: recorded ones, and those that they fill into wanted.csv of the run between one start of it and the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tasks.crowd.cluster.crowd import Given
from tasks.crowd.cluster.read import Ids, label_of, pair_of
from tasks.crowd.cost.pages import page_of, pages
from tasks.records import BadInput, Stopped
from tasks.storage.sheets import as_text, from_text, read_sheet, write_csv

WANTED, COLLECTED = "wanted.csv", "stages/collected.csv"
_HEAD = ("page", "left_id", "right_id", "worker", "label", "left", "right")
_ALONE = "you"  # who answers where one answer is enough and no name is given


class People:
    """Looks answers up, and writes down what is missing.

    What was filled in is first put aside in COLLECTED, so that wanted.csv can be written anew and nothing that anybody answered is lost.

    Args:
        run: the run's folder.
        name: of the run, for messages.
        ids: of records and pairs.
        recorded: answers by row of a pair, of files.
        redundancy: answers wanted of a pair of which none are recorded.
        page_records: records on a page.
        texts: of the records of a run, to show them; "" where they are not known.
    """

    def __init__(
        self,
        run: Path,
        name: str,
        ids: Ids,
        recorded: Mapping[int, Mapping[str, int]],
        redundancy: int,
        page_records: int,
        texts: Sequence[str],
    ) -> None:
        self.run, self.name, self.ids, self.recorded = run, name, ids, recorded
        self.redundancy, self.page_records, self.texts = redundancy, page_records, texts
        self.collected: dict[int, dict[str, int]] = {}
        self._rows = ids.rows()
        self._take(run / COLLECTED)
        if self._take(run / WANTED):
            self._save()

    def __call__(self, rows: np.ndarray) -> Given:
        """The answers to pairs.

        Raises:
            Stopped: people have to fill in wanted.csv first.
        """
        missing = [row for row in rows.tolist() if self._lacks(row)]
        if missing:
            self._want(np.array(missing, dtype=np.int64))
        given = [
            (row, worker, label)
            for row in rows.tolist()
            for worker, label in (self.recorded.get(row) or self.collected[row]).items()
        ]
        found_rows, workers, labels = zip(*given, strict=True)
        return np.array(found_rows), list(workers), np.array(labels)

    def _lacks(self, row: int) -> int:
        """Answers that a pair still needs."""
        return 0 if row in self.recorded else max(0, self.redundancy - len(self.collected.get(row, ())))

    def _want(self, rows: np.ndarray) -> None:
        left, right = self.ids.left[rows], self.ids.right[rows]
        page = page_of(left, right, pages(left, right, self.page_records))
        lines = [
            [int(page[at]) + 1, *map(as_text, self.ids.names(row)), "", "", *self._shown(row)]
            for at in np.lexsort((rows, page)).tolist()
            for row in [int(rows[at])]
            for _ in range(self._lacks(row))
        ]
        path = self.run / WANTED
        write_csv(path, _HEAD, lines)
        who = "worker (somebody else in each line of a pair) and " if self.redundancy > 1 else ""
        raise Stopped(
            f"{len(lines):,} answers to {len(rows):,} pairs are wanted: fill in {who}"
            f"label (1 the same, 0 not) in {path}, then continue with --resume {self.name}"
        )

    def _shown(self, row: int) -> tuple[str, str]:
        return as_text(self.texts[self.ids.left[row]]), as_text(self.texts[self.ids.right[row]])

    def _take(self, path: Path) -> bool:
        """Take in what is filled in. Returns whether anything is."""
        if not path.exists():
            return False
        taken = False
        for number, line in read_sheet(
            path, ("left_id", "right_id", "worker", "label"), f"--resume {self.name}"
        ):
            if line["label"]:
                ids = {name: from_text(line[name]) for name in ("left_id", "right_id")}
                self._answer({**line, **ids}, f"{path}:{number}")
                taken = True
        return taken

    def _answer(self, line: Mapping[str, str], at: str) -> None:
        row = self._rows.get(frozenset(pair_of(line, self.ids.within, at)))
        if row is None:
            raise BadInput(f"{at}: no such pair; put the ids back as they were")
        worker = line["worker"] or (_ALONE if self.redundancy == 1 else "")
        if not worker:
            raise BadInput(f"{at}: an answer without a worker; name who gave it")
        label = label_of(line["label"], at)
        before = self.collected.setdefault(row, {}).setdefault(worker, label)
        if before != label:
            raise BadInput(
                f"{at}: {worker} answered this pair otherwise before; somebody else must answer it"
            )

    def _save(self) -> None:
        lines = [
            [*map(as_text, self.ids.names(row)), worker, label]
            for row, answers in self.collected.items()
            for worker, label in answers.items()
        ]
        write_csv(self.run / COLLECTED, ("left_id", "right_id", "worker", "label"), lines)
