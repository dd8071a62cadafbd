"""report.html of a run of `sluice crowd patterns`: the rules, how sure they are, and what the questions were worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from tasks.crowd.patterns.finish import TRUTH, read_rules
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.crowd.patterns.stages import COURSE, QUESTIONS
from tasks.crowd.wanted import rows_of
from tasks.page.charts import Series, line_chart
from tasks.page.templates import settings_of, templates
from tasks.storage.tables import read_json, write_text

Facts = dict[str, Any]

_ROWS, _UNSURE, _DOTS = 40, 15, 1500
_LABEL = 120  # characters


def write_report(run: Path, settings: PatternsSettings, summary: Facts) -> Path:
    """Write report.html. Items and workers are a stranger's text: everything is escaped."""
    rules = read_rules(run, settings)
    truth = _truth(run, settings)
    significant = [row for row in rules if row["decision"] == "significant"]
    unsure = sorted(
        (row for row in rules if row["because"] == "answers"),
        key=lambda row: abs(float(row["p_significant"]) - 0.5),
    )
    page = (
        templates("tasks.crowd.patterns")
        .get_template("report.html.j2")
        .render(
            name=run.name,
            summary=summary,
            title=settings.title,
            theta_s=settings.support,
            theta_c=settings.confidence,
            rules=[_shown(row, truth) for row in significant[:_ROWS]],
            more_rules=max(0, len(significant) - _ROWS),
            unsure=[_shown(row, truth) for row in unsure[:_UNSURE]],
            dots=_dots(rules),
            course=_course(read_json(run / COURSE)) if summary["asked"] else "",
            judged=bool(truth),
            missed=_missed(rules, truth),
            last=[_question(row) for row in rows_of(run / QUESTIONS)[-_UNSURE:]],
            seconds=sorted(summary["seconds"].items(), key=lambda item: -item[1]),
            settings=settings_of(run),
        )
    )
    path = run / "report.html"
    write_text(path, page)
    return path


def _truth(run: Path, settings: PatternsSettings) -> dict[tuple[Any, Any], Any]:
    if not settings.simulate:
        return {}
    return {(tuple(row[0]), tuple(row[1])): row[2:] for row in read_json(run / TRUTH)}


def _shown(row: Facts, truth: dict[tuple[Any, Any], Any]) -> Facts:
    rule = row["rule"]
    right = ((rule.antecedent, rule.consequent) in truth) == (row["decision"] == "significant")
    numbers = {name: float(row[name]) for name in ("support", "confidence", "p_significant")}
    return {**_sides(rule), **numbers, "n": int(row["n"]), "right": right, "decision": row["decision"]}


def _missed(rules: list[Facts], truth: dict[tuple[Any, Any], Any]) -> list[Facts]:
    """True rules that were not found, the most frequent first."""
    said = {(row["rule"].antecedent, row["rule"].consequent): row["decision"] for row in rules}
    missed = [(rule, figures) for rule, figures in truth.items() if said.get(rule) != "significant"]
    return [
        {
            "antecedent": _short(", ".join(left)),
            "consequent": _short(", ".join(right)),
            "support": figures[0],
            "confidence": figures[1],
            "known": (left, right) in said,
        }
        for (left, right), figures in sorted(missed, key=lambda one: (-one[1][0], one[0]))[:_UNSURE]
    ]


def _question(row: Facts) -> Facts:
    cells = {name: _short(row[name]) for name in ("worker", "antecedent", "consequent")}
    numbers = {name: float(row[name]) for name in ("support", "confidence")}
    gain = float(row["expected_gain"]) if row["expected_gain"] else None
    return {**cells, **numbers, "number": row["question"], "kind": row["kind"], "gain": gain}


def _dots(rules: list[Facts]) -> Markup:
    """Rules that were answered by support and confidence."""
    answered = [row for row in rules if row["n"] != "0"][:_DOTS]
    return line_chart(
        [
            Series(
                "rule",
                [float(row["support"]) for row in answered],
                [float(row["confidence"]) for row in answered],
                "points main",
            ),
        ],
        title="Rules by mean support and mean confidence",
        x_label="mean support",
        y_label="mean confidence",
        x_text="{:.2g}".format,
        y_text="{:.2g}".format,
    )


def _course(course: Facts) -> Markup:
    return line_chart(
        [
            Series("significant", course["asked"], course["significant"], "main"),
            Series("wrong, expected", course["asked"], course["error"]),
        ],
        title="Significant rules and expected wrong decisions by questions asked",
        x_label="questions asked",
        y_label="rules",
        x_text="{:,.0f}".format,
        y_text="{:,.0f}".format,
    )


def _sides(rule: Any) -> Facts:
    return {
        "antecedent": _short(", ".join(rule.antecedent)),
        "consequent": _short(", ".join(rule.consequent)),
    }


def _short(text: str) -> str:
    return text[:_LABEL] + ("…" if len(text) > _LABEL else "")
