"""report.html of a run of `sluice crowd discover`: what was named, how much of it is known, who named it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from tasks.crowd.discover.estimate import rounded_down
from tasks.crowd.discover.settings import DiscoverSettings
from tasks.crowd.discover.stages import ENTITIES, SIMILAR, load_named, read_curve
from tasks.crowd.wanted import rows_of
from tasks.page.charts import Series, line_chart
from tasks.page.templates import settings_of, templates
from tasks.storage.tables import write_text

Facts = dict[str, Any]

_ROWS, _WORKERS, _BARS = 20, 12, 12
_LABEL = 80  # characters


def write_report(run: Path, settings: DiscoverSettings, summary: Facts) -> Path:
    """Write report.html. Entities and workers are a stranger's text: everything is escaped."""
    entities = rows_of(run / ENTITIES)
    points = read_curve(run)
    similar = rows_of(run / SIMILAR)
    page = (
        templates("tasks.crowd.discover")
        .get_template("report.html.j2")
        .render(
            name=run.name,
            summary=summary,
            title=settings.title,
            of=settings.of,
            target=settings.coverage,
            sure=settings.sure,
            percent=lambda share: f"{100 * rounded_down(share, 3):.1f}",
            coverage=_coverage(points, settings),
            number=_number(points),
            entities=[{**row, "entity": _short(row["entity"])} for row in entities[:_ROWS]],
            rare=[{**row, "entity": _short(row["entity"])} for row in entities[::-1][:_ROWS]],
            more_entities=max(0, len(entities) - _ROWS),
            bars=_bars(entities),
            workers=_workers(run),
            similar=[
                {**row, "name": _short(row["name"]), "entity": _short(row["entity"])}
                for row in similar[:_ROWS]
            ],
            more_similar=max(0, len(similar) - _ROWS),
            seconds=sorted(summary["seconds"].items(), key=lambda item: -item[1]),
            settings=settings_of(run),
        )
    )
    path = run / "report.html"
    write_text(path, page)
    return path


def _coverage(points: list[dict[str, float]], settings: DiscoverSettings) -> Markup:
    answers = [point["answers"] for point in points]
    series = [
        Series("coverage", answers, [point["coverage"] for point in points], "main"),
        Series("low", answers, [point["coverage_low"] for point in points]),
        Series("high", answers, [point["coverage_high"] for point in points]),
    ]
    if settings.of == "answers":
        series.append(Series("target", [], [settings.coverage], "guide"))
    return line_chart(
        series,
        title="Coverage by answers",
        x_label="answers that count",
        y_label="share of future answers that name a known entity",
        x_text="{:,.0f}".format,
        y_text="{:.2g}".format,
    )


def _number(points: list[dict[str, float]]) -> Markup:
    """Entities known and estimated; what is not finite yet, or far beyond, is left out."""
    top = 5 * points[-1]["entities"]
    sane = [point for point in points if point["number"] <= top]
    bounded = [point for point in sane if point["number_high"] <= top]
    return line_chart(
        [
            Series(
                "named",
                [point["answers"] for point in points],
                [point["entities"] for point in points],
                "main",
            ),
            Series("there are", [point["answers"] for point in sane], [point["number"] for point in sane]),
            Series(
                "low", [point["answers"] for point in bounded], [point["number_low"] for point in bounded]
            ),
            Series(
                "high", [point["answers"] for point in bounded], [point["number_high"] for point in bounded]
            ),
        ],
        title="Entities named, and estimated, by answers",
        x_label="answers that count",
        y_label="entities",
        x_text="{:,.0f}".format,
        y_text="{:,.0f}".format,
    )


def _bars(entities: list[Facts]) -> list[Facts]:
    """Entities by how many people named them; the last bar holds all above."""
    counts = Counter(min(int(row["workers"]), _BARS) for row in entities)
    highest = max(counts.values())
    return [
        {
            "times": f"{times}{' or more' if times == _BARS else ''}",
            "count": counts[times],
            "height": 100 * float(np.sqrt(counts[times] / highest)),
        }
        for times in range(1, _BARS + 1)
    ]


def _workers(run: Path) -> list[Facts]:
    """Who named most, and how much of it nobody else named."""
    workers, keys, _ = load_named(run)
    named = {(worker, key) for worker, key in zip(workers, keys, strict=True)}
    people = Counter(key for _, key in named)
    count, alone = (
        Counter(worker for worker, _ in named),
        Counter(worker for worker, key in named if people[key] == 1),
    )
    return [
        {"worker": _short(worker), "entities": total, "alone": alone[worker]}
        for worker, total in count.most_common(_WORKERS)
    ]


def _short(text: str) -> str:
    return text[:_LABEL] + ("…" if len(text) > _LABEL else "")
