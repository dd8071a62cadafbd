"""report.html of a run of BATCHER: what was found, who decided it at what cost, and why, pair by pair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.page.templates import settings_of, templates
from tasks.resolve.finish import EXPLANATIONS
from tasks.resolve.prepare import QUESTIONS, load_pairs
from tasks.resolve.records import records_of
from tasks.resolve.settings import BatcherSettings
from tasks.storage.tables import read_rows, write_text

Facts = dict[str, Any]

_SHOWN = 20  # pairs of a kind
_BARS = 20


def write_report(run: Path, settings: BatcherSettings, summary: Facts) -> Path:
    """Write run/report.html. Records are a stranger's text: everything is escaped."""
    page = templates("tasks.resolve").get_template("report.html.j2").render(_content(run, settings, summary))
    path = run / "report.html"
    write_text(path, page)
    return path


def _content(run: Path, settings: BatcherSettings, summary: Facts) -> Facts:
    rows = read_rows(run / EXPLANATIONS)
    questions, records = load_pairs(run / QUESTIONS), records_of(settings)
    for row, left, right in zip(rows, questions.left.tolist(), questions.right.tolist(), strict=True):
        row["records"] = [
            (name, records.left.columns[name][left], records.other.columns[name][right])
            for name in records.attributes
        ]
        row["similarities"] = json.loads(row["similarities"])
        row["demonstrations"] = json.loads(row["demonstrations"])
    unsure = sorted(rows, key=lambda row: abs(row["matcher_probability"] - 0.5))
    return {
        "name": run.name,
        "summary": summary,
        "kinds": [
            ("Wrongly called a match", [row for row in rows if row["match"] and row["truth"] is False]),
            ("Matches that were missed", [row for row in rows if not row["match"] and row["truth"]]),
            ("Undecided", [row for row in rows if row["decided_by"] == "undecided"]),
            ("Least sure", unsure),
            ("Matches", [row for row in rows if row["match"]]),
        ],
        "shown": _SHOWN,
        "bars": _histogram(rows),
        "settings": settings_of(run),
    }


def _histogram(rows: Sequence[Facts]) -> list[Facts]:
    """Pairs by the matcher's probability: how many, and how many of them were called a match, each bar's height in %."""
    counts = [[0, 0] for _ in range(_BARS)]
    for row in rows:
        place = min(_BARS - 1, int(row["matcher_probability"] * _BARS))
        counts[place][0] += 1
        counts[place][1] += bool(row["match"])
    most = max(1, *(count for count, _ in counts))
    return [
        {
            "from": number / _BARS,
            "count": count,
            "matches": matches,
            "height": 100
            * (count / most) ** 0.5,  # the square root, or the many sure ones leave nothing of the others
            "match_height": 100 * (count / most) ** 0.5 * matches / count if count else 0.0,
        }
        for number, (count, matches) in enumerate(counts)
    ]
