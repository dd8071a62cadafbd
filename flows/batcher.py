"""BATCHER (arXiv 2312.03987): block, batch the questions, label well-chosen demonstrations, judge, resolve."""

from __future__ import annotations

from prefect import flow, runtime

from tasks.resolve import finish, form, gates, judge, label, prepare, report, told
from tasks.resolve.check import check_inputs, input_fingerprints
from tasks.resolve.settings import BatcherSettings
from tasks.run import artifacts, terminal
from tasks.run.costs import Ledger
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, run_label, timed


def _asks(settings: BatcherSettings) -> bool:
    return settings.judge != "matcher"


find_pairs = Stage(prepare.pairs, "find pairs")
compare_pairs = Stage(prepare.features, "compare pairs")
check_pairs = Stage(gates.pairs, "check pairs")
select_demonstrations = Stage(prepare.select, "select demonstrations")
collect_labels = Stage(label.labels, "collect labels")
match = Stage(judge.match, "match")
ask_model = Stage(judge.judge, "ask the model", works=_asks)
write_tables = Stage(finish.tables, "write tables")
check_predictions = Stage(gates.predictions, "check predictions")


@flow(
    name="batcher",
    flow_run_name=run_label("batcher"),
)
def batcher(settings: BatcherSettings) -> Facts:
    """Decide which pairs of records mean the same. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: labels are wanted from a person, or a budget or a service stopped it; it can be resumed.
    """
    settings = named("batcher", settings, runtime.flow_run)
    check_inputs(settings)
    if not settings.resume and not settings.dry_run:
        form.check(settings)
    source = input_fingerprints(settings)
    with open_run("batcher", settings, source) as run, timed() as seconds:
        pairs = find_pairs(run, settings, source=source)
        if pairs["blocking"]:
            terminal.current().note(told.blocking_line(pairs))
        features = compare_pairs(run, settings, pairs=pairs)
        check_pairs(run, settings, pairs=pairs, features=features)
        selected = select_demonstrations(run, settings, pairs=pairs, features=features)
        terminal.current().note(told.labels_line(selected, settings))
        if _asks(settings):
            terminal.current().note(told.estimate_line(judge.estimate(run, settings, selected), settings))
        if settings.dry_run:
            return selected
        answered = form.ask(run, settings) if form.wanted(settings) else None
        labelled = collect_labels(run, settings, selected=selected, answered=answered)
        matched = match(run, settings, labelled=labelled, pairs=pairs)
        judged = ask_model(run, settings, matched=matched, labelled=labelled)
        tables = write_tables(run, settings, matched=matched, judged=judged, labelled=labelled)
        check_predictions(run, settings, tables=tables)
        summary = finish.summarise(
            settings,
            pairs=pairs,
            selected=selected,
            labelled=labelled,
            matched=matched,
            judged=judged,
            tables=tables,
        )
        summary["seconds"] = dict(seconds)
        finish.save_summary(run, summary)
        report.write_report(run, settings, summary)
        if _asks(settings):
            artifacts.stages_table("batcher-cost", Ledger(run / "costs.jsonl").by_stage())
        artifacts.figures_table("batcher-result", told.shown(summary), "What was decided, by whom")
        return summary


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return told.shown(summary)
