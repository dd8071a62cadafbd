"""An annotation campaign: who is given which item next, when its label is sure, whom to believe, in rounds."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, runtime

from tasks.crowd.annotate import adjudicate, finish, report, rounds, told
from tasks.crowd.annotate.check import FLOW, check_inputs, check_ui, input_fingerprints
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.run import artifacts, terminal
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, run_label, timed
from tasks.storage.tables import write_json

collect_answers = Stage(rounds.collect, "collect answers in round {plan[number]}")
write_tables = Stage(finish.tables, "write tables")
check_tables = Stage(finish.gate, "check tables")


@flow(name=FLOW, flow_run_name=run_label(FLOW))
def annotate(settings: AnnotateSettings) -> Facts:
    """Have items labelled. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: answers are wanted from outside, or a service or a check stopped it; it can be resumed.
    """
    settings = named(FLOW, settings, runtime.flow_run)
    check_inputs(settings)
    if not settings.resume and not settings.dry_run:
        check_ui(settings)
    source = input_fingerprints(settings)
    with open_run(FLOW, settings, source) as run, timed() as seconds:
        expected = rounds.estimate(settings)
        terminal.current().note(told.estimate_line(expected, settings))
        if settings.dry_run:
            return expected

        bar = artifacts.progress("Items that are done", key=f"{FLOW}-progress")
        while plan := rounds.next_round(run, settings):
            this_round = one_round.with_options(flow_run_name=f"round {plan['number']} of {plan['of']}")
            facts = this_round(settings, str(run), plan)
            terminal.current().note(told.round_line(facts))
            artifacts.advance(bar, facts["done"] / facts["items"])
        played = rounds.played(run)
        adjudicated = adjudicate.ask(run, settings)
        tables = write_tables(run, settings, played=played, adjudicated=adjudicated)
        check_tables(run, settings, tables=tables)
        summary = finish.summarise(settings, tables, played, expected)
        summary["seconds"] = {**seconds, "all": round(sum(seconds.values()), 3)}
        write_json(run / "summary.json", summary)
        report.write_report(run, settings, summary)
        artifacts.figures_table(f"{FLOW}-result", shown(summary), "What was labelled")
        return summary


@flow(name="answers")
def one_round(settings: AnnotateSettings, run: str, plan: Facts) -> Facts:
    """One round: hand out, take answers, infer what is right, eliminate."""
    facts: Facts = collect_answers(Path(run), settings, plan=plan)
    artifacts.figures_table(
        f"{FLOW}-rounds",
        told.rounds_table(rounds.played(Path(run))),
        f"The campaign after round {plan['number']}",
    )
    return facts


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return told.shown(summary)
