"""Read, mine, judge; and the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.crowd.patterns.crowd import Answer, Crowd, Recorded, Simulated, ask
from tasks.crowd.patterns.miner import Miner
from tasks.crowd.patterns.people import answers_of, ask_people, shares_of
from tasks.crowd.patterns.rules import Rule, items_of, rule_of
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.crowd.patterns.transactions import Transactions, significant_rules, transactions_of
from tasks.crowd.read import read_table
from tasks.crowd.wanted import rounds_done, rows_of
from tasks.records import BadInput, Reject, Stopped
from tasks.run import terminal
from tasks.run.expectations import frame_of, validate
from tasks.run.folder import versions
from tasks.run.seeds import generator
from tasks.run.tables import REJECTED, as_text, read_json, write_csv, write_json, write_table

Facts = dict[str, Any]

GIVEN, COURSE, TRUTH = "stages/given.json", "stages/course.json", "stages/truth.json"
RULES, QUESTIONS, REJECTS = "rules.csv", "questions.csv", "rejected.parquet"
PAGES = "expectations"

_COURSE = 100  # points of the course that is drawn
_QUESTIONS_HEAD = (
    "question",
    "kind",
    "worker",
    "antecedent",
    "consequent",
    "support",
    "confidence",
    "expected_gain",
)
_RULES_HEAD = (
    "antecedent",
    "consequent",
    "n",
    "support",
    "confidence",
    "p_significant",
    "decision",
    "because",
)


def read(run: Path, settings: PatternsSettings, source: Facts) -> Facts:
    """Answers and rules that are given."""
    answers, rejected = _answers(settings) if settings.answers else ([], [])
    rules = _rules(settings) if settings.rules else []
    opened = [one for one, is_open in answers if is_open]
    write_json(
        run / GIVEN,
        {
            "answers": [
                [one.worker, *_sides(one.rule), one.support, one.confidence, is_open]
                for one, is_open in answers
            ],
            "rules": [_sides(rule) for rule in rules],
        },
    )
    write_table(run / REJECTS, (reject.row for reject in rejected), REJECTED)
    return {
        "files": [GIVEN, REJECTS],
        "given": len(answers),
        "given_open": len(opened),
        "rules_given": len(rules),
        "rejected": len(rejected),
    }


def mine(run: Path, settings: PatternsSettings, data: Facts) -> Facts:
    """Ask as long as it is worth it, and decide which rules are significant.

    Raises:
        Stopped: people have to answer first.
    """
    given = read_json(run / GIVEN)
    miner = Miner(settings.policy, [Rule(*map(tuple, sides)) for sides in given["rules"]])
    log = _Log(miner)
    recorded = [
        (Answer(one[0], Rule(tuple(one[1]), tuple(one[2])), one[3], one[4]), one[5])
        for one in given["answers"]
    ]
    if settings.replay and not any(is_open for _, is_open in recorded):
        miner.add(answer.rule for answer, _ in recorded)  # nobody is going to tell of them
    if not settings.replay:
        for answer, is_open in recorded:
            log.count(answer, is_open, None)
    why = _ask(run, settings, miner, log, recorded)
    miner.refit()
    log.mark()
    write_csv(run / QUESTIONS, _QUESTIONS_HEAD, log.rows(settings))
    write_csv(run / RULES, _RULES_HEAD, _rule_rows(miner, settings))
    write_json(run / COURSE, log.course())
    return {
        "files": [QUESTIONS, RULES, COURSE],
        "stopped_because": why,
        "asked": log.asked,
        "asked_open": log.asked_open,
        "workers": len(log.workers),
        "rules": len(miner),
        "significant": int(miner.significant.sum()),
        "pruned": int(miner.pruned.sum()),
        "error": miner.error,
    }


def judge(run: Path, settings: PatternsSettings, mined: Facts) -> Facts:
    """Precision and recall among all rules of one consequence, which the transactions of simulated workers show."""
    if not settings.simulate:
        return {"files": []}
    truth = significant_rules(
        _transactions(settings), settings.support, settings.confidence, settings.most_items
    )
    said = {row["rule"] for row in read_rules(run, settings) if row["decision"] == "significant"}
    right = len(said & set(truth))
    write_json(run / TRUTH, [[*_sides(rule), *figures] for rule, figures in sorted(truth.items())])
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
        sides = (items_of(row[side].lstrip("'"), settings.separator) for side in ("antecedent", "consequent"))
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
        {"id": str(row["rule"]), "decision": row["decision"], **{name: float(row[name]) for name in shares}}
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


class _Log:
    """Every answer in its order, and how the decisions went."""

    def __init__(self, miner: Miner) -> None:
        self._miner = miner
        self._rows: list[tuple[Answer, bool, float | None]] = []
        self._points: list[list[float]] = []
        self._said: set[tuple[str, Rule]] = set()
        self.workers: set[str] = set()
        self.asked = self.asked_open = self.repeated = 0

    def count(self, answer: Answer, is_open: bool, gain: float | None) -> None:
        """An answer that the miner has to be told; a worker's second one to the same closed question does not count."""
        if is_open:
            self._miner.tell(answer.rule)
        elif (answer.worker, answer.rule) not in self._said:
            self._said.add((answer.worker, answer.rule))
            self._miner.answer(answer.rule, answer.support, answer.confidence, asked=gain is not None)
        else:
            self.repeated += 1
            return
        self.note(answer, is_open, gain)

    def note(self, answer: Answer, is_open: bool, gain: float | None) -> None:
        """An answer that the miner knows."""
        self._rows.append((answer, is_open, gain))
        self.workers.add(answer.worker)
        if gain is not None:
            self.asked += 1
            self.asked_open += is_open
            self.mark()

    def mark(self) -> None:
        miner = self._miner
        self._points.append([self.asked, len(miner), int(miner.significant.sum()), round(miner.error, 4)])

    def course(self) -> Facts:
        kept = np.unique(np.linspace(0, len(self._points) - 1, _COURSE).astype(int))
        columns = zip(*(self._points[at] for at in kept), strict=True)
        return dict(zip(("asked", "rules", "significant", "error"), map(list, columns), strict=True))

    def rows(self, settings: PatternsSettings) -> Iterator[list[Any]]:
        for number, (answer, is_open, gain) in enumerate(self._rows, start=1):
            kind = ("open" if is_open else "closed") if gain is not None else "given"
            values = [
                f"{answer.support:.6g}",
                f"{answer.confidence:.6g}",
                "" if gain is None else f"{gain:.6g}",
            ]
            yield [number, kind, as_text(answer.worker), *_texts(answer.rule, settings), *values]


def _ask(
    run: Path,
    settings: PatternsSettings,
    miner: Miner,
    log: _Log,
    recorded: list[tuple[Answer, bool]],
) -> str:
    """Ask. Returns why no more is asked."""
    left, random = settings.budget, generator(settings.seed, "questions")
    if not left:
        return "nothing was to be asked"
    if not settings.simulate and not settings.replay:
        return _ask_people(run, settings, miner, log, random)
    crowd = _crowd(settings, recorded)
    tell = max(1, left // 20)
    while log.asked < left:
        if _is_done(miner, settings):
            return "no question is worth asking"
        said = ask(miner, crowd, random)
        if said is None:
            return "nobody has more to say"
        log.note(*said)
        if log.asked % tell == 0:
            terminal.current().progress("questions", log.asked)
    return "the questions were used up"


def _ask_people(
    run: Path, settings: PatternsSettings, miner: Miner, log: _Log, random: np.random.Generator
) -> str:
    for asked, rows in rounds_done(run):
        for answer in answers_of(asked, rows, settings):
            log.count(*answer)
    while (left := settings.budget - log.asked) > 0:
        if _is_done(miner, settings):
            return "no question is worth asking"
        try:
            asked, rows = ask_people(run, settings, miner, min(settings.batch, left), random)
        except Stopped as waits:
            terminal.current().note(
                f"{log.asked:,} answers, {len(miner):,} rules, {int(miner.significant.sum()):,} significant so far"
            )
            raise Stopped(str(waits)) from None
        for answer in answers_of(asked, rows, settings):
            log.count(*answer)
    return "the questions were used up"


def _is_done(miner: Miner, settings: PatternsSettings) -> bool:
    """Whether neither kind of question is worth asking."""
    if settings.choice != "error" or not len(miner):
        return False
    closed = miner.gain[~(miner.pruned | miner.exhausted)].max(initial=0.0)
    return bool(closed < settings.least_gain and miner.open_gain < settings.least_gain)


def _crowd(settings: PatternsSettings, recorded: list[tuple[Answer, bool]]) -> Crowd:
    if not settings.simulate:
        return Recorded(
            [one for one, is_open in recorded if not is_open], [one for one, is_open in recorded if is_open]
        )
    return Simulated(
        _transactions(settings),
        settings.support,
        settings.confidence,
        settings.most_items,
        settings.scale,
        generator(settings.seed, "workers"),
    )


def _transactions(settings: PatternsSettings) -> Transactions:
    columns = read_table(settings.simulate, ["worker", "items"], "--simulate").columns
    return transactions_of(
        (worker, items_of(text, settings.separator)) for worker, text in zip(*columns, strict=True)
    )


def _answers(settings: PatternsSettings) -> tuple[list[tuple[Answer, bool]], list[Reject]]:
    names = ["worker", "antecedent", "consequent", "support"]
    table = read_table(settings.answers, names, "--answers", optional=["confidence", "kind"])
    found, rejected = [], list(table.rejected)
    for number, cells in enumerate(zip(*table.columns, strict=True), start=1):
        worker, left, right, support, confidence, kind = cells
        place = f"{settings.answers}: answer {number}"
        try:
            rule = rule_of(items_of(left, settings.separator), items_of(right, settings.separator))
            answer = Answer(worker, rule, *shares_of(support, confidence, place))
        except BadInput as error:
            rejected.append(Reject("read answers", "no answer", place, str(error)))
            continue
        found.append((answer, kind.casefold() == "open"))
    if not found:
        raise BadInput(
            f"--answers {settings.answers}: no row can be used: {rejected[0].detail or rejected[0].reason}"
        )
    return found, rejected


def _rules(settings: PatternsSettings) -> list[Rule]:
    columns = read_table(settings.rules, ["antecedent", "consequent"], "--rules").columns
    return [
        rule_of(items_of(left, settings.separator), items_of(right, settings.separator))
        for left, right in zip(*columns, strict=True)
    ]


def _rule_rows(miner: Miner, settings: PatternsSettings) -> Iterable[list[Any]]:
    """Rules, the significant ones first, by how sure they are."""
    mean, significant = np.clip(miner.belief.mean, 0, 1), miner.significant
    answered = miner.count > 0
    mean[answered] = miner.total[answered] / miner.count[answered, None]
    for at in np.lexsort((-miner.p, ~significant)).tolist():
        because = "answers" if answered[at] else "what rules are like"
        if miner.pruned[at]:
            because = "its items are too rare together"
        yield [
            *_texts(miner.rules[at], settings),
            int(miner.count[at]),
            *(f"{value:.6f}" for value in (*mean[at].tolist(), float(miner.p[at]))),
            "significant" if significant[at] else "insignificant",
            because,
        ]


def _texts(rule: Rule, settings: PatternsSettings) -> list[str]:
    return [as_text(f"{settings.separator} ".join(side)) for side in (rule.antecedent, rule.consequent)]


def _sides(rule: Rule) -> list[list[str]]:
    return [list(rule.antecedent), list(rule.consequent)]
