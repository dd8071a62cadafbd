"""Association rules from a simulated crowd: which questions find the true rules with the fewest answers.

    python -m tests.bench.patterns [--seeds 10] [--policies random] [--out runs/bench-patterns.jsonl] [--page tests/bench/patterns.md]

F1 of the rules taken for significant against those that are, exactly, by the transactions of all workers (all rules of two or three items
with one consequence, mean support of at least .15, mean confidence of at least .5). Every row has the same crowd, estimator, prior and
thresholds; workers round their answers to never, a quarter, half, three quarters, always. Nobody is told a rule in advance. Settings were
tried on other seeds (100 to 103) than those reported.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from tasks.crowd.patterns.crowd import Simulated, ask
from tasks.crowd.patterns.miner import Miner, Policy
from tasks.crowd.patterns.rules import Rule
from tasks.crowd.patterns.transactions import Transactions, significant_rules
from tasks.storage.tables import write_text
from tests.bench.markdown import table
from tests.bench.planted import planted

Facts = dict[str, Any]

THETA_S, THETA_C, MOST, SCALE = 0.15, 0.5, 3, 5
QUESTIONS = (125, 250, 500, 1000, 2000)
_BEST = Policy(THETA_S, THETA_C, MOST, open_share=0.1)
_PLAIN = replace(_BEST, prune=False)
POLICIES = {
    "expected error": _BEST,
    "round-robin": replace(_PLAIN, choice="fewest"),
    "random": replace(_PLAIN, choice="random"),
    "round-robin, pruned": replace(_BEST, choice="fewest"),
    "random, pruned": replace(_BEST, choice="random"),
    "not pruned": _PLAIN,
    "no neighbours": replace(_BEST, expand=False),
    "one answer ahead": replace(_BEST, ahead=(1,)),
    "2 % open": replace(_BEST, open_share=0.02),
    "30 % open": replace(_BEST, open_share=0.3),
    "open by expected gain": replace(_BEST, open_share=None),
}
EXACT = "not rounded"  # the first policy with answers as they are


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--policies", nargs="*", default=[*POLICIES, EXACT])
    parser.add_argument("--out", type=Path, default=Path("runs/bench-patterns.jsonl"))
    parser.add_argument("--page", type=Path)
    options = parser.parse_args(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    found = (
        [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    )
    done = {(row["policy"], row["seed"]) for row in found}
    for seed in range(options.seeds):
        missing = [name for name in options.policies if (name, seed) not in done]
        if not missing:
            continue
        data = planted(seed)
        truth = significant_rules(data, THETA_S, THETA_C, MOST)
        highest = ceiling(data, set(truth))
        for name in missing:
            row = measure(name, seed, data, set(truth))
            row["ceiling"] = highest
            found.append(row)
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(name, seed, [round(point["f1"], 3) for point in row["points"]], flush=True)
    text = page(found)
    print(text)
    if options.page:
        write_text(options.page, text)


def measure(name: str, seed: int, data: Transactions, truth: set[Rule]) -> Facts:
    """One policy with one crowd."""
    scale = 0 if name == EXACT else SCALE
    miner = Miner(POLICIES.get(name, _BEST))
    crowd = Simulated(data, THETA_S, THETA_C, MOST, scale, np.random.default_rng([seed, 1]))
    draw, points, seconds = np.random.default_rng([seed, 2]), [], 0.0
    for asked in range(1, QUESTIONS[-1] + 1):
        began = time.process_time()
        said = ask(miner, crowd, draw)
        seconds += time.process_time() - began
        if asked in QUESTIONS or said is None:
            points.append({"asked": asked, **judged(miner, truth)})
        if said is None:
            break
    return {"policy": name, "seed": seed, "true": len(truth), "points": points, "seconds": seconds}


def judged(miner: Miner, truth: set[Rule]) -> Facts:
    """How right the decisions are."""
    said = {miner.rules[at] for at in np.flatnonzero(miner.significant)}
    right = len(said & truth)
    return {
        "f1": 2 * right / max(1, len(said) + len(truth)),
        "precision": right / len(said) if said else 1.0,
        "recall": right / len(truth),
        "known": len(truth & set(miner.rules)) / len(truth),
        "rules": len(miner),
        "pruned": int(miner.pruned.sum()),
        "open": miner.open_asked,
    }


def ceiling(data: Transactions, truth: set[Rule]) -> float:
    """F1 if every worker were asked, in rounded answers, of every rule that is half as frequent and half as sure."""
    said, steps = set(), SCALE - 1
    for rule in significant_rules(data, THETA_S / 2, THETA_C / 2, MOST):
        left = [data.place[item] for item in rule.antecedent]
        both, had = data.shares([*left, data.place[rule.consequent[0]]]), data.shares(left)
        confidence = np.divide(both, had, out=np.zeros_like(both), where=had > 0)
        means = (np.round(values * steps).mean() / steps for values in (both, confidence))
        if (np.array([*means]) >= (THETA_S, THETA_C)).all():
            said.add(rule)
    return 2 * len(said & truth) / max(1, len(said) + len(truth))


def page(found: list[Facts]) -> str:
    """All tables."""
    seeds = sorted({row["seed"] for row in found})
    one = [row for row in found if row["policy"] == "expected error"]
    head = __doc__.split("\n\n", 2)[2].strip()
    true = [row["true"] for row in one]
    about = (
        f"{len(seeds)} seeds, mean ± standard deviation. There are {min(true)} to {max(true)} true rules. With every worker asked of every "
        f"rule in question F1 would be {_spread([row['ceiling'] for row in one])}: what rounding leaves."
    )
    crowd = " ".join(planted.__doc__.partition("Args:")[0].split())  # type: ignore[union-attr]
    parts = [head, about]
    for title, value in (("F1", "f1"), ("Precision", "precision"), ("Recall", "recall")):
        parts += [f"## {title} by questions", _by_questions(found, value)]
    parts += [
        "## F1 against random, paired by seed",
        _difference_table(found, "random"),
        "## F1 against round-robin, paired by seed",
        _difference_table(found, "round-robin"),
        f"## After {QUESTIONS[-2]:,} questions",
        _detail_table(found),
        f"## The crowd\n\n{crowd}",
    ]
    return "# Patterns from the crowd\n\n" + "\n\n".join(parts) + "\n"


def _by_questions(found: list[Facts], value: str) -> str:
    rows = [
        [name, *(_spread(_values(found, name, asked, value)) for asked in QUESTIONS)]
        for name in _names(found)
    ]
    return table(["policy", *(f"{asked:,}" for asked in QUESTIONS)], rows)


def _difference_table(found: list[Facts], against: str) -> str:
    """Differences of F1 ± standard error; bold beyond two."""
    rows = []
    for name in _names(found):
        cells = []
        for asked in QUESTIONS:
            ours, other = (_by_seed(found, one, asked, "f1") for one in (name, against))
            away = [ours[seed] - other[seed] for seed in ours.keys() & other.keys()]
            if len(away) < 2 or name == against:
                cells.append("")
                continue
            error = stdev(away) / len(away) ** 0.5
            said = f"{mean(away):+.3f} ± {error:.3f}"
            cells.append(f"**{said}**" if abs(mean(away)) > 2 * error else said)
        rows.append([name, *cells])
    return table(["policy", *(f"{asked:,}" for asked in QUESTIONS)], rows)


def _detail_table(found: list[Facts]) -> str:
    columns = ("known", "rules", "pruned", "open")
    rows = []
    for name in _names(found):
        cells = [
            _spread(_values(found, name, QUESTIONS[-2], column), 0 if at else 2)
            for at, column in enumerate(columns)
        ]
        seconds = mean(row["seconds"] for row in found if row["policy"] == name)
        rows.append([name, *cells, f"{1000 * seconds / QUESTIONS[-1]:.1f}"])
    head = [
        "policy",
        "true rules known",
        "rules",
        "pruned",
        "open answers",
        "CPU ms a question",
    ]
    return table(head, rows)


def _names(found: list[Facts]) -> list[str]:
    present = {row["policy"] for row in found}
    return [name for name in (*POLICIES, EXACT) if name in present]


def _by_seed(found: list[Facts], name: str, asked: int, value: str) -> dict[int, float]:
    """A figure after so many questions by seed; of one that had nothing more to ask the last."""
    return {
        row["seed"]: next((point for point in row["points"] if point["asked"] == asked), row["points"][-1])[
            value
        ]
        for row in found
        if row["policy"] == name
    }


def _values(found: list[Facts], name: str, asked: int, value: str) -> list[float]:
    return list(_by_seed(found, name, asked, value).values())


def _spread(values: Sequence[float], digits: int = 3) -> str:
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
