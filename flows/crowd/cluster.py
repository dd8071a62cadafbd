"""Clusters by asking people about few pairs: crowd-pivot with refinement (ACD, SIGMOD 2015), or transitive deduction (SIGMOD 2013)."""

from __future__ import annotations

from prefect import flow, runtime

from tasks.crowd.cluster import finish, report, stages
from tasks.crowd.cluster.check import FLOW, check_inputs, input_fingerprints
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.run import artifacts, terminal
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, run_label, timed

read_pairs = Stage(stages.read, "read pairs")
ask_crowd = Stage(stages.ask, "ask the crowd")
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
        Stopped: people have to answer first; it can be resumed.
    """
    settings = named(FLOW, settings, runtime.flow_run)
    check_inputs(settings)
    source = input_fingerprints(settings)
    with open_run(FLOW, settings, source) as run, timed() as seconds:
        data = read_pairs(run, settings, source=source)
        terminal.current().note(finish.expected_line(data, settings))
        if settings.dry_run:
            return data
        asked = ask_crowd(run, settings, data=data)
        tables = write_tables(run, settings, asked=asked)
        check_pairs(run, settings, tables=tables)
        summary = finish.summarise(settings, data=data, asked=asked, tables=tables)
        summary["seconds"] = dict(seconds)
        finish.save_summary(run, summary)
        report.write_report(run, settings, summary)
        artifacts.figures_table(f"{FLOW}-result", shown(summary), "What was asked, and what it cost")
        return summary


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return finish.shown(summary)
