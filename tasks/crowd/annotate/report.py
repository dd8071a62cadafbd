"""report.html of a campaign: what was asked, how sure the labels became for what was spent, who is reliable, what is in dispute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tasks.crowd.annotate.adjudicate import disputed
from tasks.crowd.annotate.campaign import LAST, Campaign, opened
from tasks.crowd.annotate.finish import GOLDEN, LABELS, read_table, workers
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.page.charts import Series, line_chart
from tasks.page.templates import settings_of, templates
from tasks.storage.tables import write_text

Facts = dict[str, Any]

_WORKERS, _DISPUTED, _CHARACTERS = 20, 24, 600


def write_report(run: Path, settings: AnnotateSettings, summary: Facts) -> Path:
    """Write run/report.html. Items, labels and annotators are a stranger's text: everything is escaped."""
    with opened(run, settings, round=LAST) as campaign:
        people = workers(campaign)
        content = {
            "name": run.name,
            "summary": summary,
            "progress": _progress(summary["rounds"]),
            "spread": _spread(campaign),
            "labels": _labels(run, settings),
            "workers": [{**row, "worker": _short(row["worker"], 60)} for row in people[:_WORKERS]],
            "more_workers": max(0, len(people) - _WORKERS),
            "disputed": [_item(campaign, task) for task in disputed(campaign)[:_DISPUTED]],
            "in_dispute": len(disputed(campaign)),
            "seconds": sorted(summary["seconds"].items(), key=lambda item: -item[1]),
            "settings": settings_of(run),
        }
    path = run / "report.html"
    write_text(path, templates("tasks.crowd.annotate").get_template("report.html.j2").render(content))
    return path


def _progress(rounds: Sequence[Facts]) -> Markup:
    """How sure the labels became over the answers."""
    if not rounds:
        return Markup("")
    answers = [one["answers"] for one in rounds]
    series = [
        Series("mean confidence", answers, [one["confidence"] for one in rounds], "main"),
        Series("items done", answers, [one["done"] / one["items"] for one in rounds]),
    ]
    if rounds[-1]["accuracy"] is not None:
        series.append(Series("right", answers, [one["accuracy"] for one in rounds]))
    return line_chart(
        series,
        title="Confidence over answers",
        x_label="answers",
        y_label="share",
        x_text="{:,.0f}".format,
        y_text="{:.2f}".format,
    )


def _spread(campaign: Campaign) -> list[Facts]:
    """How many items got how many answers."""
    labelled = campaign.items.golden < 0
    counts = Counter(campaign.counts[labelled].tolist())
    most = max(counts.values(), default=1)
    return [
        {"answers": number, "count": counts[number], "height": 100 * counts[number] / most}
        for number in range(max(counts, default=0) + 1)
    ]


def _labels(run: Path, settings: AnnotateSettings) -> list[Facts]:
    """How many items have which label; golden ones had theirs before."""
    counts = Counter(row["label"] for row in read_table(run / LABELS) if row["stopped_by"] != GOLDEN)
    most = max(counts.values(), default=1)
    return [
        {"label": _short(label, 60), "count": counts[label], "width": 100 * counts[label] / most}
        for label in settings.labels
    ]


def _item(campaign: Campaign, task: int) -> Facts:
    """An item in dispute: what is said of it, by whom."""
    id, posterior = campaign.items.ids[task], campaign.belief.posterior[task]
    said = [one for one in campaign.answers if one.task == id]
    return {
        "id": _short(id, 80),
        "fields": [(name, _short(text, _CHARACTERS)) for name, text in campaign.items.shown(task)],
        "choices": [
            {
                "label": _short(label, 60),
                "p": float(posterior[code]),
                "by": ", ".join(_short(one.worker, 40) for one in said if one.label == label),
            }
            for code, label in enumerate(campaign.settings.labels)
            if posterior[code] >= 0.01 or any(one.label == label for one in said)
        ],
    }


def _short(text: str, characters: int) -> str:
    return text[:characters] + ("…" if len(text) > characters else "")
