"""Read what is given, ask, decide, and write the tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.corpus.rows import REJECTS
from tasks.crowd.patterns.crowd import Answer, Crowd, Recorded, Simulated, ask
from tasks.crowd.patterns.given import answers_given, rules_given, sides_of, transactions_given
from tasks.crowd.patterns.log import QUESTIONS_HEAD, RULES_HEAD, Log, rule_rows
from tasks.crowd.patterns.miner import Miner
from tasks.crowd.patterns.people import answers_of, ask_people, drop_unanswered
from tasks.crowd.patterns.rules import Rule
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.crowd.wanted import Row, rounds_done
from tasks.records import Stopped
from tasks.run import terminal
from tasks.run.seeds import generator
from tasks.storage.sheets import write_csv
from tasks.storage.tables import REJECTED, read_json, write_json, write_table

Facts = dict[str, Any]

GIVEN, COURSE = "stages/given.json", "stages/course.json"
RULES, QUESTIONS = "rules.csv", "questions.csv"


def read(run: Path, settings: PatternsSettings, source: Facts) -> Facts:
    """Answers and rules that are given."""
    answers, rejected = answers_given(settings) if settings.answers else ([], [])
    rules = rules_given(settings) if settings.rules else []
    opened = [one for one, is_open in answers if is_open]
    write_json(
        run / GIVEN,
        {
            "answers": [
                [one.worker, *sides_of(one.rule), one.support, one.confidence, is_open]
                for one, is_open in answers
            ],
            "rules": [sides_of(rule) for rule in rules],
            "rejected": [reject.row for reject in rejected],
        },
    )
    return {
        "files": [GIVEN],
        "given": len(answers),
        "given_open": len(opened),
        "rules_given": len(rules),
    }


def mine(run: Path, settings: PatternsSettings, data: Facts) -> Facts:
    """Ask as long as it is worth it, and decide which rules are significant.

    Raises:
        Stopped: people have to answer first.
    """
    given = read_json(run / GIVEN)
    miner = Miner(settings.policy, [Rule(*map(tuple, sides)) for sides in given["rules"]])
    log = Log(miner)
    recorded = [
        (Answer(one[0], Rule(tuple(one[1]), tuple(one[2])), one[3], one[4]), one[5])
        for one in given["answers"]
    ]
    if settings.replay and not any(is_open for _, is_open in recorded):
        miner.add(answer.rule for answer, _ in recorded)  # nobody is going to tell of them
    if not settings.replay:
        for answer, is_open in recorded:
            log.count(answer, is_open, None)
    try:
        why = _ask(run, settings, miner, log, recorded)
    finally:
        rejected = given["rejected"] + [reject.row for reject in log.rejected]
        write_table(run / REJECTS, rejected, REJECTED)
    miner.refit()
    log.mark()
    write_csv(run / QUESTIONS, QUESTIONS_HEAD, log.rows(settings))
    write_csv(run / RULES, RULES_HEAD, rule_rows(miner, settings))
    write_json(run / COURSE, log.course())
    return {
        "files": [QUESTIONS, RULES, COURSE, REJECTS],
        "rejected": len(rejected),
        "stopped_because": why,
        "asked": log.asked,
        "asked_open": log.asked_open,
        "workers": len(log.workers),
        "rules": len(miner),
        "significant": int(miner.significant.sum()),
        "pruned": int(miner.pruned.sum()),
        "error": miner.error,
    }


def _ask(
    run: Path,
    settings: PatternsSettings,
    miner: Miner,
    log: Log,
    recorded: list[tuple[Answer, bool]],
) -> str:
    """Ask. Returns why no more is asked."""
    left = settings.budget
    if not left:
        return "nothing was to be asked"
    if not settings.simulate and not settings.replay:
        return _ask_people(run, settings, miner, log)
    crowd, random = _crowd(settings, recorded), generator(settings.seed, "questions")
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


def _ask_people(run: Path, settings: PatternsSettings, miner: Miner, log: Log) -> str:
    done = rounds_done(run)
    for number, (asked, rows) in enumerate(done, start=1):
        _take(number, asked, rows, settings, miner, log)
    number = len(done)
    while (left := settings.budget - log.asked) > 0:
        if _is_done(miner, settings):
            return "no question is worth asking"
        if not miner.has_questions:
            return "nobody has more to say"
        number += 1
        # A stream for each round: a run that goes on has drawn nothing for those before.
        random = generator(settings.seed, "questions", number)
        try:
            asked, rows = ask_people(run, settings, miner, min(settings.batch, left), random)
        except Stopped as waits:
            terminal.current().note(
                f"{log.asked:,} answers, {len(miner):,} rules, {int(miner.significant.sum()):,} significant so far"
            )
            raise Stopped(str(waits)) from None
        _take(number, asked, rows, settings, miner, log)
    return "the questions were used up"


def _take(
    number: int, asked: Sequence[Any], rows: Sequence[Row], settings: PatternsSettings, miner: Miner, log: Log
) -> None:
    """A round that people have filled in: what they answered, and what nobody could."""
    for row, answer in enumerate(answers_of(asked, rows, settings), start=1):
        log.count(*answer, place=f"rounds/{number:03d}/answers.csv: answer {row}")
    drop_unanswered(asked, rows, miner)


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
        transactions_given(settings),
        settings.support,
        settings.confidence,
        settings.most_items,
        settings.scale,
        generator(settings.seed, "workers"),
    )
