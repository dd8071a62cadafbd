"""report.html of a run of `sluice crowd latency`: when tasks will be done, what shortens it, and the pool that waits."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tasks.crowd.latency.settings import LatencySettings
from tasks.crowd.latency.stages import COMPLETION, duration
from tasks.page.charts import Series, line_chart
from tasks.page.templates import settings_of, templates
from tasks.storage.tables import write_text

Facts = dict[str, Any]

_UNITS = ((7200.0, 1.0, "seconds"), (3 * 86400.0, 60.0, "minutes"), (float("inf"), 3600.0, "hours"))


def write_report(run: Path, settings: LatencySettings, summary: Facts) -> Path:
    """Write report.html."""
    page = (
        templates("tasks.crowd.latency")
        .get_template("report.html.j2")
        .render(
            name=run.name,
            summary=summary,
            given=settings,
            needed=settings.tasks * settings.redundancy,
            course=_course(run, settings.tasks),
            took=duration,
            settings=settings_of(run),
        )
    )
    path = run / "report.html"
    write_text(path, page)
    return path


def _course(run: Path, tasks: int) -> Markup:
    """Tasks that are done over time: the median campaign between the 5 % that are fastest and the 5 % that are slowest."""
    with (run / COMPLETION).open(encoding="utf-8", newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    unit, said = next((unit, said) for most, unit, said in _UNITS if rows[-1]["high"] <= most)
    done = [0.0, *(row["share"] * tasks for row in rows)]
    lines = {
        "high": ("slower than 95 %", "other"),
        "low": ("faster than 95 %", "other"),
        "middle": ("median", "main"),
    }
    return line_chart(
        [
            Series(name, [0.0, *(row[key] / unit for row in rows)], done, style)
            for key, (name, style) in lines.items()
        ],
        title="Tasks done over time",
        x_label=said,
        y_label="tasks done",
        x_text="{:,.4g}".format,
        y_text="{:,.0f}".format,
    )
