"""report.html of a run of `crowd cluster`: what was asked and what was not, which answers are doubted, and the clusters."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.crowd.cluster.finish import pair_rows
from tasks.crowd.cluster.plan import ASKED, AUDITED
from tasks.crowd.cluster.records import candidates_of
from tasks.crowd.cluster.rounds import load_decided
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.crowd.cluster.stages import WORKERS
from tasks.page.templates import settings_of, templates
from tasks.storage.tables import write_text

Facts = dict[str, Any]

_SHOWN, _CLUSTERS, _MEMBERS, _BARS, _CHARACTERS = 12, 12, 8, 20, 300


def write_report(run: Path, settings: ClusterSettings, summary: Facts) -> Path:
    """Write run/report.html. Records and workers are a stranger's text: everything is escaped."""
    template = templates("tasks.crowd.cluster").get_template("report.html.j2")
    path = run / "report.html"
    write_text(path, template.render(_content(run, settings, summary)))
    return path


def _content(run: Path, settings: ClusterSettings, summary: Facts) -> Facts:
    found, rows = candidates_of(settings), list(pair_rows(run, settings))
    for at, row in enumerate(rows):
        row["records"] = [
            (found.ids.records[end][1], _short(found.texts[end]))
            for end in (int(found.pairs.left[at]), int(found.pairs.right[at]))
        ]
    asked = [row for row in rows if row["crowd"]]
    return {
        "name": run.name,
        "summary": summary,
        "rounds": _rounds(summary["rounds"]),
        "bars": _histogram(rows),
        "kinds": [
            ("Overruled answers", [row for row in asked if row["overruled"]]),
            ("Least sure answers", sorted(asked, key=lambda row: abs(float(row["crowd"]) - 0.5))),
            ("Not asked", [row for row in rows if row["how"] not in (ASKED, AUDITED) and row["same"]]),
        ],
        "shown": _SHOWN,
        "clusters": _largest(run, settings),
        "workers": _workers(run),
        "settings": settings_of(run),
    }


def _rounds(rounds: Sequence[Sequence[int]]) -> list[Facts]:
    """Questions of each round, bars in % of the largest."""
    most = max((questions for questions, _ in rounds), default=1)
    return [
        {"number": number, "questions": questions, "answers": answers, "height": 100 * questions / most}
        for number, (questions, answers) in enumerate(rounds, 1)
    ]


def _histogram(rows: Sequence[Facts]) -> list[Facts]:
    """Pairs by machine score, and how many of them were asked, each bar's height in %, as square roots."""
    counts = [[0, 0] for _ in range(_BARS)]
    for row in rows:
        place = min(_BARS - 1, int(float(row["score"]) * _BARS))
        counts[place][0] += 1
        counts[place][1] += bool(row["crowd"])
    most = max(1, *(count for count, _ in counts))
    return [
        {
            "from": number / _BARS,
            "count": count,
            "asked": asked,
            "height": 100 * (count / most) ** 0.5,
            "asked_height": 100 * (count / most) ** 0.5 * asked / count if count else 0.0,
        }
        for number, (count, asked) in enumerate(counts)
    ]


def _largest(run: Path, settings: ClusterSettings) -> list[Facts]:
    """The largest clusters, with some of their records."""
    found = candidates_of(settings)
    members: dict[int, list[int]] = defaultdict(list)
    for record, cluster in enumerate(load_decided(run)["cluster"]):
        members[cluster].append(record)
    largest = sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))[:_CLUSTERS]
    return [
        {
            "number": number,
            "size": len(records),
            "records": [(found.ids.records[one][1], _short(found.texts[one])) for one in records[:_MEMBERS]],
        }
        for number, records in largest
        if len(records) > 1
    ]


def _workers(run: Path) -> list[dict[str, str]]:
    """Workers, who answered most first."""
    with (run / WORKERS).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return sorted(rows, key=lambda row: -int(row["answers"]))[:_SHOWN]


def _short(text: str) -> str:
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
