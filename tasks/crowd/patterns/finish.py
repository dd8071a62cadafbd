"""How right the rules are, where the truth is known; the checks; and what a run says at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.crowd.patterns.given import sides_of, transactions_given
from tasks.crowd.patterns.rules import items_of, rule_of
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.crowd.patterns.stages import RULES
from tasks.crowd.patterns.transactions import significant_rules
from tasks.crowd.wanted import rows_of
from tasks.run.expectations import frame_of, pair_id, validate
from tasks.run.folder import versions
from tasks.storage.sheets import from_text
from tasks.storage.tables import write_json

Facts = dict[str, Any]

TRUTH = "stages/truth.json"
PAGES = "expectations"


def judge(run: Path, settings: PatternsSettings, mined: Facts) -> Facts:
    """Precision and recall among all rules of one consequence, which the transactions of simulated workers show."""
    if not settings.simulate:
        return {"files": []}
    truth = significant_rules(
        transactions_given(settings), settings.support, settings.confidence, settings.most_items
    )
    said = {row["rule"] for row in read_rules(run, settings) if row["decision"] == "significant"}
    right = len(said & set(truth))
    write_json(run / TRUTH, [[*sides_of(rule), *figures] for rule, figures in sorted(truth.items())])
    return {
        "files": [TRUTH],
        "true_rules": len(truth),
        "right": right,
        "precision": right / len(said) if said else None,
        "recall": right / len(truth) if truth else None,
        "f1": 2 * right / (len(said) + len(truth)) if said or truth else None,
    }


def read_rules(run: Path, settings: PatternsSettings) -> list[Facts]:
    """The rows of rules.csv, with the rule itself."""
    found = []
    for row in rows_of(run / RULES):
        sides = (items_of(from_text(row[side]), settings.separator) for side in ("antecedent", "consequent"))
        found.append({**row, "rule": rule_of(*sides)})
    return found


def gate(run: Path, settings: PatternsSettings, mined: Facts) -> Facts:
    """Great Expectations over rules.csv: each rule once, shares between 0 and 1, a known decision.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    shares = ("support", "confidence", "p_significant")
    rows = [
        {
            "id": pair_id(row["antecedent"], row["consequent"]),
            "decision": row["decision"],
            **{name: float(row[name]) for name in shares},
        }
        for row in read_rules(run, settings)
    ]
    validate(
        "rules",
        frame_of(rows, ["id", "decision", *shares]),
        [
            gxe.ExpectTableRowCountToEqual(value=mined["rules"]),
            gxe.ExpectColumnValuesToBeUnique(column="id"),
            gxe.ExpectColumnValuesToBeInSet(column="decision", value_set=["significant", "insignificant"]),
            *(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, max_value=1) for name in shares),
        ],
        run / PAGES,
    )
    return {"files": [f"{PAGES}/docs/index.html"]}


def summarise(settings: PatternsSettings, *, data: Facts, mined: Facts, judged: Facts) -> Facts:
    """The figures of a run, machine-readable."""
    parts = (data, mined)
    return {
        "seed": settings.seed,
        **{name: value for part in parts for name, value in part.items() if name not in ("files", "seconds")},
        "judged": {name: value for name, value in judged.items() if name not in ("files", "seconds")} or None,
        "versions": versions(),
    }


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    columns = [
        ("rules", f"{summary['rules']:,}"),
        ("significant", f"{summary['significant']:,}"),
        ("wrong, expected", f"{summary['error']:.1f}"),
        ("questions asked", f"{summary['asked']:,}"),
        ("of them open", f"{summary['asked_open']:,}"),
        ("workers", f"{summary['workers']:,}"),
    ]
    judged = summary["judged"] or {}
    columns += [
        (name, f"{judged[name]:.3f}") for name in ("precision", "recall") if judged.get(name) is not None
    ]
    return [[name for name, _ in columns], [value for _, value in columns]]
