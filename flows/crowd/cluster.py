"""Clusters by asking people or models about few pairs: crowd-pivot with refinement (ACD, SIGMOD 2015), or transitive deduction (SIGMOD 2013)."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, runtime

from tasks.crowd.cluster import finish, report, rounds, stages
from tasks.crowd.cluster.check import FLOW, check_inputs, input_fingerprints
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.run import artifacts, terminal
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, run_label, timed

read_pairs = Stage(stages.read, "read pairs")
ask_crowd = Stage(rounds.collect, "ask the crowd in round {plan[number]}")
write_answers = Stage(stages.answered, "write answers")
write_tables = Stage(finish.tables, "write tables")
check_pairs = Stage(finish.gate, "check pairs")


@flow(
    name=FLOW,
    flow_run_name=run_label(FLOW),
)
def cluster(settings: ClusterSettings) -> Facts:
    """Find the records that mean the same. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: people have to answer first, or a service or the budget stopped it; it can be resumed.
    """
    settings = named(FLOW, settings, runtime.flow_run)
    check_inputs(settings)
    source = input_fingerprints(settings)
    with open_run(FLOW, settings, source) as run, timed() as seconds:
        data = read_pairs(run, settings, source=source)
        terminal.current().note(finish.expected_line(data, settings))
        if settings.dry_run:
            return data
        played: list[Facts] = []
        for plan in rounds.planned(run, settings):
            this_round = one_round.with_options(flow_run_name=f"round {plan['number']}")
            played.append(this_round(settings, str(run), plan))
            terminal.current().note(rounds.round_line(played[-1]))
            artifacts.figures_table(f"{FLOW}-rounds", rounds.rounds_table(played), "What was asked, by round")
        asked = write_answers(run, settings, rounds=played)
        tables = write_tables(run, settings, asked=asked)
        check_pairs(run, settings, tables=tables)
        summary = finish.summarise(settings, data=data, asked=asked, tables=tables)
        summary["seconds"] = dict(seconds)
        finish.save_summary(run, summary)
        report.write_report(run, settings, summary)
        artifacts.figures_table(f"{FLOW}-result", shown(summary), "What was asked, and what it cost")
        return summary


@flow(name="questions")
def one_round(settings: ClusterSettings, run: str, plan: Facts) -> Facts:
    """One round: pairs that can be asked at once, without knowing the others' answers."""
    return ask_crowd(Path(run), settings, plan=plan)


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return finish.shown(summary)
