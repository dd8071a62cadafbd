"""The page of the bench of learning from crowds, of the cells that are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tasks.storage.tables import write_text
from tests.bench.markdown import table

Row = dict[str, Any]

_HEAD = """# Learning from answers that differ

Made by `python -m tests.bench.crowd_learning`. Mean ± standard deviation over seeds, in brackets how many where not all have the same; accuracies in percent.

Items and right labels are real: scikit-learn's digits (10 classes, 1,198 items to be answered, 599 that judge the model), 1,500 documents of the
shared mixture by their source (corpus: 17 classes, LSA; halves: two classes of sources; 1,000 and 500). Answers are simulated by recorded crowds: of
each worker of `dog` (of `rte` for halves) the confusion matrix, fitted on right labels, and his share of all answers; a class takes after a label of the
recording, for all workers the same. That all share the classes they take for each other, and that a worker of few answers has some of everybody's
matrix, favours methods that pool workers. Given the class, answers depend neither on the item nor on each other, as D&S and joint take it; people err together on
hard items, so that gains over D&S will be smaller on a campaign than here. On `dog` itself, with ten answers to each task, pooled D&S labels .835 right and D&S .843.

What was chosen (width, steps, strength of pooling, starts, rounds) was chosen on digits with other crowds (seeds from 100 on) and, after the corpus of
seed 0 had shown that a crowd layer can go wrong with many classes, on 1,500 other documents; seed 0 is left out here.
"""


def write_tables(page: Path, rows: Sequence[Row]) -> None:
    by_part: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_part[row["part"]].append(row)
    seeds = {part: sorted({row["seed"] for row in found}) for part, found in by_part.items()}
    measured = "; ".join(f"{part}: {', '.join(map(str, found))}" for part, found in seeds.items())
    parts = [_HEAD, f"Seeds that are measured so far: {measured}. A single seed has no ±."]
    for part, write in (("methods", _methods), ("transfer", _transfer), ("semi", _semi), ("asking", _asking)):
        if by_part[part]:
            parts.append(write(by_part[part]))
    write_text(page, "\n\n".join(parts) + "\n")
    print("\n\n".join(parts[1:]))


def _methods(rows: Sequence[Row]) -> str:
    cells = _grouped(rows)
    names = ("mv", "ds-hard", "ds", "ds-pooled", "joint", "crowd-layer", "crowdlab", "truth")
    most = max(map(len, cells.values()))
    parts = ["## Methods\n\nEvery item has as many answers. crowdlab cannot be asked with one."]
    for measure, what in (
        ("labels", "Accuracy of the items' labels"),
        ("test", "Accuracy of the model on test items"),
    ):
        body = []
        for data in _datas(rows):
            found = sorted({setting[1] for setting in cells if setting[0] == data and setting[2] != "truth"})
            for each in found:
                texts = [
                    _spread(
                        [row[measure] for row in cells.get((data, 1 if name == "truth" else each, name), ())],
                        most,
                    )
                    for name in names
                ]
                body.append([data, str(each), *texts])
        shown = names if measure == "test" else names[:-1]
        body = [row[: 2 + len(shown)] for row in body]
        parts.append(f"{what}:\n\n" + table(["data", "answers", *shown], body))
    seconds = [[name, "", *_seconds(rows, name)] for name in names]
    parts.append("CPU seconds, median over all cells:\n\n" + table(["method", "", "seconds"], seconds))
    return "\n\n".join(parts)


def _seconds(rows: Sequence[Row], name: str) -> list[str]:
    found = sorted(row["cpu"] for row in rows if row["setting"][2] == name)
    return [f"{found[len(found) // 2]:.1f}" if found else ""]


def _transfer(rows: Sequence[Row]) -> str:
    body = []
    cells = _grouped(rows)
    most = max(map(len, cells.values()))
    for (data, each, name), found in sorted(cells.items()):
        gains = [row["with"] - row["without"] for row in found]
        columns = ("without", "with", "without, test", "with, test")
        texts = [_spread([row[column] for row in found], most) for column in columns]
        body.append([data, f"{each}, {name}", *texts[:2], _gain(gains), *texts[2:]])
    head = ["data", "answers, method", "labels without", "with", "gain", "model without", "with"]
    return (
        "## Transfer\n\nHalf of the items, answered by workers who had answered the other half before (three answers each, no right labels "
        "given): with and without what that showed of them (`--worker-prior`). The gain is paired by seed.\n\n"
        + table(head, body)
    )


def _semi(rows: Sequence[Row]) -> str:
    cells = _grouped(rows)
    most = max(map(len, cells.values()))
    body = [
        [
            data,
            name,
            *(_spread([row["test"] for row in cells.get((data, way, name), ())], most) for way in ways),
        ]
        for ways in (("none", "pseudo", "spread"),)
        for data in _datas(rows)
        for name in ("ds", "joint")
    ]
    return (
        "## Items that nobody answered\n\n200 items have three answers, all others none: accuracy of the model on test items, by what becomes "
        "of the others (`--unlabelled`).\n\n" + table(["data", "method", "none", "pseudo", "spread"], body)
    )


def _asking(rows: Sequence[Row]) -> str:
    cells = _grouped(rows)
    most = max(map(len, cells.values()))
    body = []
    for (data, strategy), found in sorted(cells.items()):
        for measure in ("labels", "test"):
            rounds = [
                _spread([row["rounds"][number][measure] for row in found], most)
                for number in range(len(found[0]["rounds"]))
            ]
            body.append([data, f"{strategy}, {measure}", *rounds])
    answers = [f"{row['answers']:,} answers" for row in rows[0]["rounds"]]
    return (
        "## What to ask about next\n\nAnswers are asked for in batches, one of an item at a time: of items at random, of those whose labels "
        "D&S is least sure of by the answers alone (none is the least sure of all), and of those that model and answers together are (next.csv). "
        "Judged after each batch by joint: labels of all items, answered or not, and the model on test items.\n\n"
        + table(["data", "strategy", *answers], body)
    )


def _grouped(rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row["setting"])].append(row)
    return dict(found)


def _datas(rows: Sequence[Row]) -> list[str]:
    order = ("digits", "corpus", "halves")
    there = {row["setting"][0] for row in rows}
    return [name for name in order if name in there]


def _spread(values: Sequence[float | None], most: int) -> str:
    known = [100 * value for value in values if value is not None]
    if not known:
        return ""
    text = f"{mean(known):.1f}" + (f" ± {stdev(known):.1f}" if len(known) > 1 else "")
    return text if len(known) == most else f"{text} ({len(known)})"


def _gain(values: Sequence[float]) -> str:
    text = f"{100 * mean(values):+.1f}"
    return text + (f" ± {100 * stdev(values):.1f}" if len(values) > 1 else "")
