"""report.html of a run of `wrong_event`: how wrong events are spread, which labels are doubted, and what they should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from tasks.page.charts import LEVELS, Series, level, line_chart
from tasks.page.templates import settings_of, templates
from tasks.storage.arrays import load_array
from tasks.storage.tables import read_json, write_text
from tasks.wrong_event import pair_stages
from tasks.wrong_event.beta_mixture import CLEAN, NOISY, EventModel
from tasks.wrong_event.finish import suspicious_first
from tasks.wrong_event.settings import WrongEventSettings
from tasks.wrong_event.stages import CLASSES, EVENTS, MIXTURES, given_labels

Facts = dict[str, Any]

_BARS, _CLASSES, _ROWS, _PAIRS, _CHARACTERS = 40, 20, 40, 12, 300


def write_report(run: Path, settings: WrongEventSettings, summary: Facts) -> Path:
    """Write run/report.html. Labels and texts are a stranger's: everything is escaped."""
    page = (
        templates("tasks.wrong_event").get_template("report.html.j2").render(_content(run, settings, summary))
    )
    path = run / "report.html"
    write_text(path, page)
    return path


def _content(run: Path, settings: WrongEventSettings, summary: Facts) -> Facts:
    classes, labels = read_json(run / CLASSES), given_labels(run)
    model = EventModel(labels, len(classes), settings.per_class)
    model.restore(read_json(run / MIXTURES))
    events = np.asarray(load_array(run / EVENTS))
    rows = suspicious_first(run)
    flagged = [row for row in rows if row["p_clean"] < settings.threshold]
    return {
        "name": run.name,
        "summary": summary,
        "visits": settings.visits,
        **_histogram(events, labels, model, settings.visits),
        "most": int(events.max()),
        "least": int(events.min()),
        "epochs": _epochs(summary),
        "classes": _per_class(classes, labels, model, flagged),
        "confusion": _confusion(flagged),
        "rows": [{**row, "text": _short(row["text"])} for row in flagged[:_ROWS]],
        "seconds": sorted(summary["seconds"].items(), key=lambda item: -item[1]),
        "settings": settings_of(run),
    }


def write_pairs_report(run: Path, settings: WrongEventSettings, summary: Facts) -> Path:
    """The page of a run on question-answer pairs."""
    from tasks.wrong_event.pairs import PairEvents

    events = np.asarray(load_array(run / pair_stages.EVENTS))
    one_class, visits = np.zeros(len(events), np.int64), pair_stages.epochs_of(settings)
    model = PairEvents(events, one_class, visits).model()
    rows = [row for row in pair_stages.doubtful_first(run) if row["p_clean"] < settings.threshold][:_PAIRS]
    content = {
        "name": run.name,
        "summary": summary,
        **_histogram(events, one_class, model, visits),
        "most": int(events.max()),
        "least": int(events.min()),
        "rows": [
            {**row, "question": _short(row["question"]), "answer": _short(row["answer"])} for row in rows
        ],
        "seconds": sorted(summary["seconds"].items(), key=lambda item: -item[1]),
        "settings": settings_of(run),
    }
    path = run / "report.html"
    write_text(path, templates("tasks.wrong_event").get_template("pairs.html.j2").render(content))
    return path


def _histogram(events: np.ndarray, labels: np.ndarray, model: EventModel, visits: int) -> Facts:
    """Bars of rows by wrong events, and the components' curves over them; heights as square roots, so that few show."""
    low, steps = int(events.min()), int(np.ptp(events)) + 1
    bars = min(_BARS, steps)
    edges = np.linspace(0, 1, bars + 1)
    on_scale = edges * steps / (visits - low + 1)
    counts = np.bincount((events - low) * bars // steps, minlength=bars)
    expected = np.zeros((2, bars))
    for group, size in enumerate(np.bincount(labels, minlength=model.count)):
        mixture = model.mixture_of(group)
        expected += size * mixture.weights[:, None] * np.diff(mixture.cumulative(on_scale), axis=1)
    most = max(1.0, float(counts.max()))
    heights = 100 * np.sqrt(np.minimum(expected / most, 1))
    return {
        "bars": [
            {
                "from": int(np.ceil(low + steps * edge)),
                "count": int(count),
                "height": 100 * float(np.sqrt(count / most)),
            }
            for edge, count in zip(edges, counts, strict=False)
        ],
        "curves": [_curve("clean", heights[CLEAN]), _curve("noisy", heights[NOISY])],
    }


def _curve(name: str, heights: np.ndarray) -> Markup:
    points = " ".join(f"{place + 0.5:.1f},{100 - height:.2f}" for place, height in enumerate(heights))
    return Markup('<polyline class="{}" points="{}"/>').format(name, points)


def _epochs(summary: Facts) -> Markup:
    """The first stage epoch by epoch: what the one that the second went on from was chosen by."""
    shares, changes, at = summary["agreement"], summary["changes"], summary["base_epoch"]
    if shares:
        right, wrong = zip(*shares, strict=True)
        epochs = range(1, len(shares) + 1)
        series = [
            Series("likely right", epochs, right, "main"),
            Series("likely wrong", epochs, wrong, "other"),
            Series(f"epoch {at}", [at, at], [wrong[at - 1], right[at - 1]], "other", "taken"),
        ]
        title = "Given labels that were predicted, of those likely right and of those likely wrong"
        y_label, y_text = "share predicted", "{:.0%}".format
    elif changes:
        series = [Series("changed", range(2, len(changes) + 2), changes, "main")]
        if at > 1:
            series.append(Series(f"epoch {at}", [at], [changes[at - 2]], "other", "taken"))
        title = "Predictions that changed from one epoch to the next"
        y_label, y_text = "predictions changed", "{:,.0f}".format
    else:
        return Markup("")
    return line_chart(
        series,
        title=title,
        x_label="epoch of the first stage",
        y_label=y_label,
        x_text="{:.0f}".format,
        y_text=y_text,
    )


def _per_class(
    classes: Sequence[str], labels: np.ndarray, model: EventModel, flagged: Sequence[Facts]
) -> list[Facts]:
    sizes = np.bincount(labels, minlength=len(classes))
    doubted = Counter(row["given"] for row in flagged)
    instead = {name: Counter(row["predicted"] for row in flagged if row["given"] == name) for name in doubted}
    found = []
    for group, name in enumerate(classes):
        mixture = model.mixture_of(group)
        others = [
            (other, count) for other, count in instead.get(name, Counter()).most_common() if other != name
        ]
        found.append(
            {
                "name": name,
                "rows": int(sizes[group]),
                "flagged": doubted[name],
                "share": doubted[name] / max(1, int(sizes[group])),
                "clean": float(mixture.means[CLEAN]),
                "noisy": None if mixture.single else float(mixture.means[NOISY]),
                "weight": None if mixture.single else float(mixture.weights[NOISY]),
                "own": group in model.own,
                "instead": ", ".join(f"{other} ({count})" for other, count in others[:3]),
            }
        )
    return sorted(found, key=lambda row: (-row["share"], row["name"]))


def _confusion(flagged: Sequence[Facts]) -> Facts:
    """Flagged rows by given and predicted class, the classes with the most of them."""
    cells = Counter((row["given"], row["predicted"]) for row in flagged)
    by_class = Counter(row["given"] for row in flagged) + Counter(row["predicted"] for row in flagged)
    names = sorted(name for name, _ in by_class.most_common(_CLASSES))
    most = max(cells.values(), default=1)
    table = [
        {
            "given": given,
            "cells": [
                {"count": cells[given, other], "level": level(cells[given, other], 0, most)}
                for other in names
            ],
        }
        for given in names
    ]
    return {"names": names, "rows": table, "levels": LEVELS, "more": max(0, len(by_class) - len(names))}


def _short(text: str | None) -> str:
    text = text or ""
    return text[:_CHARACTERS] + ("…" if len(text) > _CHARACTERS else "")
