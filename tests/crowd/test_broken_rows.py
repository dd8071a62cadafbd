"""Every command that reads tables of rows stops when many of them cannot be used, and lists them when few cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasks.crowd.aggregate import stages as aggregate
from tasks.crowd.aggregate.settings import AggregateSettings
from tasks.crowd.discover import stages as discover
from tasks.crowd.discover.settings import DiscoverSettings
from tasks.crowd.latency import stages as latency
from tasks.crowd.latency.settings import LatencySettings
from tasks.crowd.learn import stages as learn
from tasks.crowd.learn.settings import ClassifySettings, LearnSettings
from tasks.records import BadInput
from tasks.storage.tables import read_rows
from tasks.wrong_event import pair_stages
from tasks.wrong_event import stages as wrong_event
from tasks.wrong_event.settings import WrongEventSettings
from tests.csv_files import written

TABLES: dict[str, tuple[list[str], Callable[[int], list[Any]], list[Any]]] = {
    "answers": (["task", "worker", "label"], lambda row: [row // 2, row % 2, row // 4 % 2], ["1", "w", ""]),
    "truth": (["task", "truth"], lambda row: [row, row // 2 % 2], ["9", ""]),
    "items": (["task", "a"], lambda row: [row, row % 5], ["101", "n/a"]),
    "named": (["worker", "entity"], lambda row: [row % 7, f"thing {row % 9}"], ["w", ""]),
    "mapping": (["name", "entity"], lambda row: [f"a{row}", f"b{row}"], ["", "a"]),
    "times": (["worker", "started", "finished"], lambda row: [row % 5, row, row + 3], ["1", "now", "5"]),
    "data": (["a", "label"], lambda row: [row, "xy"[row % 2]], ["n/a", "x"]),
    "pairs": (["question", "answer"], lambda row: [f"q{row}", f"a{row}"], ["q", ""]),
}
COMMANDS: list[tuple[Any, type, dict[str, str], dict[str, Any]]] = [
    (aggregate.read, AggregateSettings, {"answers": "answers"}, {}),
    (aggregate.read, AggregateSettings, {"golden": "truth"}, {"answers": "answers"}),
    (aggregate.read, AggregateSettings, {"truth": "truth"}, {"answers": "answers"}),
    (learn.read, ClassifySettings, {"items": "items"}, {"answers": "answers"}),
    (learn.read, LearnSettings, {"answers": "answers"}, {"items": "items"}),
    (learn.read, LearnSettings, {"truth": "truth"}, {"items": "items", "answers": "answers"}),
    (discover.read, DiscoverSettings, {"answers": "named"}, {}),
    (discover.read, DiscoverSettings, {"mapping": "mapping"}, {"answers": "named"}),
    (latency.model, LatencySettings, {"times": "times"}, {}),
    (wrong_event.read, WrongEventSettings, {"data": "data"}, {"label": "=label"}),
    (wrong_event.read, WrongEventSettings, {"test": "data"}, {"data": "other", "label": "=label"}),
    (pair_stages.read, WrongEventSettings, {"data": "pairs"}, {"answer": "=answer"}),
]


@pytest.mark.parametrize(("read", "model", "broken", "whole"), COMMANDS)
def test_few_rows_may_be_unusable(tmp_path, read, model, broken, whole):
    given = {}
    for field, table in whole.items():
        head, row, _ = TABLES.get(table, TABLES["data"])
        rows = [row(number if table != "other" else number + 200) for number in range(100)]
        given[field] = table[1:] if table[0] == "=" else written(tmp_path / f"{table}.csv", head, rows)
    ((field, table),) = broken.items()
    head, row, bad = TABLES[table]
    path = tmp_path / "broken.csv"
    for count, limit in ((5, 0.05), (6, 0.06)):
        given[field] = written(path, head, [*map(row, range(100 - count)), *[bad] * count])
        facts = read(tmp_path, model(**given, max_broken=limit), {})
        rejected = [one["id"] for one in read_rows(tmp_path / "rejected.parquet")]
        assert rejected == [f"{path}:{102 - at}" for at in range(count, 0, -1)]
        assert facts["rejected"] == count
    said = rf"--{field}: 6 of 100 records cannot be used, first .*broken\.csv:96 .*--max-broken \(now 0\.05\)"
    with pytest.raises(BadInput, match=said):
        read(tmp_path, model(**given), {})
