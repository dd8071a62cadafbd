"""EQUAL (arXiv 2505.12250): cluster the corpus, pull the promising clusters, extract pairs, train a student, repeat."""

from __future__ import annotations

import time
from pathlib import Path

from prefect import flow, runtime

from tasks.loop import (
    adjudicate,
    alignment,
    asking,
    clean,
    compare,
    estimate,
    influence,
    judging,
    rounds,
    students,
)
from tasks.loop.check import check_inputs, input_fingerprints
from tasks.loop.keep import NOT_GOOD, told
from tasks.loop.outcome import finish
from tasks.loop.settings import EqualSettings
from tasks.prepare import stages as prepare
from tasks.run import artifacts, terminal
from tasks.run.folder import named, open_run
from tasks.run.parallel import workers
from tasks.run.stages import Facts, Stage, run_label, timed
from tasks.select.bandit import BANDITS


def _trains(settings: EqualSettings) -> bool:
    return settings.train != "never"


def _warms_up(settings: EqualSettings) -> bool:
    return settings.strategy in BANDITS


def _is_paid(settings: EqualSettings) -> bool:
    return settings.dry_run or settings.extractor == "llm" or settings.judges > 0


read_target = Stage(prepare.target, "read target")
read_corpus = Stage(prepare.corpus, "read corpus")
estimate_cost = Stage(estimate.estimate, "estimate cost", works=_is_paid)
encode = Stage(prepare.encode, "encode")
check_documents = Stage(prepare.gate_documents, "check documents")
warm_up = Stage(alignment.warm_up, "warm up", works=_warms_up)
align = Stage(alignment.align, "align", works=_warms_up)
cluster = Stage(alignment.cluster, "cluster")
make_student = Stage(students.base, "make student", works=_trains)
learn_reference = Stage(asking.taught, "learn the reference", works=asking.asks_student)
start_arms = Stage(rounds.start, "start arms")

choose = Stage(rounds.choose, "choose in round {number}")
extract = Stage(rounds.extract, "extract in round {number}")
reward = Stage(rounds.reward, "reward in round {number}")
train = Stage(students.train_round, "train in round {number}")

judge_pairs = Stage(judging.judge, "judge pairs")
decide_pairs = Stage(adjudicate.decide, "decide on pairs")
clean_pairs = Stage(clean.clean, "clean pairs")
train_at_end = Stage(students.train_at_end, "train at the end")
judge = Stage(students.judge, "judge students", works=_trains)
compare_with_others = Stage(compare.others, "compare with others")
write_tables = Stage(finish.tables, "write tables")
check_pairs = Stage(finish.gate_pairs, "check pairs")
write_export = Stage(finish.export, "export")


@flow(name="equal", flow_run_name=run_label("equal"))
def equal(settings: EqualSettings) -> Facts:
    """Run the loop of EQUAL in the run's folder. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: a gate, a budget or a service stopped it; it can be resumed.
    """
    settings = named("equal", settings, runtime.flow_run)
    check_inputs(settings)
    began = time.monotonic()
    source = input_fingerprints(settings)
    with (
        open_run("equal", settings, source) as run,
        workers(settings.workers, settings.scheduler),
        timed() as seconds,
    ):
        target = read_target(run, settings, source=source)
        corpus = read_corpus(run, settings, source=source, target=target)
        expected = estimate_cost(run, settings, corpus=corpus)
        if _is_paid(settings):
            terminal.current().note(estimate.told(expected, settings))
        if settings.dry_run:
            return expected
        students.expect_students(settings)
        vectors = encode(run, settings, corpus=corpus, target=target)
        check_documents(run, settings, corpus=corpus, vectors=vectors)
        # A student that cannot be loaded shows before anything is paid.
        base = make_student(run, settings, corpus=corpus, target=target)
        taught = learn_reference(run, settings, student=base)
        warm = warm_up(run, settings, corpus=corpus, vectors=vectors)
        space = align(run, settings, vectors=vectors, warm=warm)
        clusters = cluster(run, settings, corpus=corpus, warm=warm, space=space)
        arms = start_arms(
            run,
            settings,
            warm=warm,
            clusters=clusters,
            strategy=settings.strategy,
            taught=taught,
            judge=influence.judge_of(settings, base),
        )

        history: list[dict[str, Facts]] = []
        count = len(clusters["plan"]["documents"])
        bar = artifacts.progress("Share of the rounds done")
        for number in range(1, count + 1):
            before = history[-1] if history else {"reward": arms, "train": base}
            this_round = one_round.with_options(flow_run_name=f"round {number} of {count}")
            history.append(this_round(settings, str(run), number, count, clusters["plan"], taught, before))
            artifacts.advance(bar, number / count)
            _show(run, settings, number, expected, corpus, clusters, base, warm, history)

        last, trained = history[-1]["reward"], history[-1]["train"]
        judged = None
        if settings.judges:
            said = judge_pairs(run, settings, rounds=count, rewarded=last)
            decided = adjudicate.adjudicated(run, settings, count, said)
            judged = decide_pairs(run, settings, rounds=count, judged=said, decided=decided)
            last = {**last, "judged": judged}
            terminal.current().note(
                f"{judged['left_out']:,} of {said['judged']:,} pairs are left out: {NOT_GOOD}"
            )
            judged = {**said, **judged}
        if settings.clean != "none":
            cleaned = clean_pairs(run, settings, rounds=count, student=base, rewarded=last)
            last = {**last, "cleaned": cleaned}
            terminal.current().note(clean.said(cleaned))
        if settings.train == "end":
            trained = train_at_end(run, settings, rounds=count, student=base, rewarded=last)
        tokens = finish.trained_tokens(history, trained, settings)
        others = compare_with_others(
            run,
            settings,
            corpus=corpus,
            clusters=clusters,
            student=base,
            taught=taught,
            rounds=count,
            rewarded=last,
            tokens=tokens,
        )
        if others["reference"]:
            terminal.current().note(
                "student NLL: reference alone {nll_reference:.3f}, reference and selection "
                "{nll_reference_selection:.3f}".format_map(others["reference"])
            )
        tables = write_tables(run, settings, rounds=count, target=target, rewarded=last)
        check_pairs(run, settings, tables=tables)
        if not tables["pairs"]:
            terminal.current().note(
                "no pairs: the model gave none that could be kept; rejected.parquet says why"
                if settings.extractor == "llm"
                else "no pairs: the documents that were read hold no structure the extractor knows"
            )
        scores = judge(run, settings, students=[base, trained])["scores"]
        summary = finish.summarise(
            run,
            settings,
            expected=expected,
            target=target,
            corpus=corpus,
            clusters=clusters,
            student=base,
            warm=warm,
            history=history,
            trained=trained,
            scores=scores,
            comparison=others["comparison"],
            reference=others["reference"],
            tables=tables,
            judged=judging.told(judged),
        )
        write_export(run, settings, tables=tables, summary=summary)
        finish.keep_last_student(run, trained["student"], tokens)
        # Of a continued run this clock saw the end alone; its stages, found in the cache, took their time before.
        whole = max(time.monotonic() - began, sum(seconds.values()), finish.whole_seconds(run))
        summary["seconds"] = {**seconds, "all": round(whole, 3)}
        finish.report(run, summary)
        return summary


@flow(name="round")
def one_round(
    settings: EqualSettings,
    run: str,
    number: int,
    count: int,
    plan: Facts,
    taught: Facts,
    before: dict[str, Facts],
) -> dict[str, Facts]:
    """One round: choose arms, extract their documents, reward the arms, train the student a stretch further."""
    folder = Path(run)
    chosen = choose(
        folder, settings, number=number, plan=plan, before=before["reward"], strategy=settings.strategy
    )
    extracted = extract(folder, settings, number=number, chosen=chosen)
    rewarded = reward(
        folder,
        settings,
        number=number,
        before=before["reward"],
        extracted=extracted,
        strategy=settings.strategy,
        taught=taught,
        judge=influence.judge_of(settings, before["train"]),
        weigh=rounds.weighs(number, count),
    )
    trained = before["train"]
    if settings.train == "rounds":
        trained = train(folder, settings, number=number, rounds=count, student=trained, rewarded=rewarded)
    artifacts.arms_table(number, finish.arms_of_round(folder, number))
    return {"choose": chosen, "extract": extracted, "reward": rewarded, "train": trained}


def _show(
    run: Path,
    settings: EqualSettings,
    number: int,
    expected: Facts,
    corpus: Facts,
    clusters: Facts,
    base: Facts,
    warm: Facts,
    history: list[dict[str, Facts]],
) -> None:
    """A round's figures on the terminal, and the cost so far in the UI."""
    read, free = finish.cumulative(warm, history, expected["cost"] is not None), settings.extractor == "rules"
    artifacts.cost_table(read, finish.document_price(read[-1], settings), corpus["tokens"], free)
    best = sorted(finish.latest_arms(run, number), key=lambda arm: -arm["reward"])
    terminal.current().round(
        number,
        len(clusters["plan"]["documents"]),
        {
            **read[-1],
            "free": free,
            "pairs": history[-1]["reward"]["pairs_total"],  # those that are kept
            "budget_documents": clusters["plan"]["budget"],
            "nll_before": base["nll"],
            "nll": history[-1]["train"]["nll"] if settings.train == "rounds" else None,
            "transport_heldout": history[-1]["reward"]["transport_heldout"],
            "clusters": [{**arm, "cluster": arm["arm"], "pairs": arm["arm_pairs"]} for arm in best[:5]],
        },
    )
    amounts = history[-1]["reward"]["amounts"]
    if amounts and amounts[-1]["round"] == number:
        terminal.current().note(told(amounts[-1]))


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal: it beside what it was compared with."""
    return terminal.comparison(summary)
