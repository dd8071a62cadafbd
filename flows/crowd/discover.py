"""Entity collection: what people name, how much of it is known, and when more answers are not worth it."""

from __future__ import annotations

from prefect import flow, runtime

from tasks.corpus.rows import tell_rejected
from tasks.crowd.discover import report, stages
from tasks.crowd.discover.check import FLOW, check_inputs, input_fingerprints
from tasks.crowd.discover.settings import DiscoverSettings
from tasks.run import artifacts
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, run_label, timed
from tasks.storage.tables import write_json

collect_answers = Stage(stages.read, "collect answers")
estimate_number = Stage(stages.estimate, "estimate")
check_entities = Stage(stages.gate, "check entities")


@flow(name=FLOW, flow_run_name=run_label(FLOW))
def discover(settings: DiscoverSettings) -> Facts:
    """Collect entities. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: people have to answer first, or a check stopped it; it can be resumed.
    """
    settings = named(FLOW, settings, runtime.flow_run)
    check_inputs(settings)
    source = input_fingerprints(settings)
    with open_run(FLOW, settings, source) as run, timed() as seconds:
        data = collect_answers(run, settings, source=source)
        estimated = estimate_number(run, settings, data=data)
        check_entities(run, settings, estimated=estimated)
        summary = stages.summarise(settings, data=data, estimated=estimated)
        summary["seconds"] = {**seconds, "all": round(sum(seconds.values()), 3)}
        write_json(run / "summary.json", summary)
        report.write_report(run, settings, summary)
        artifacts.figures_table(f"{FLOW}-result", shown(summary), "What was collected")
        tell_rejected(run)
        return summary


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return stages.shown(summary)
