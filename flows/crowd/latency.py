"""How long a crowd will take, what shortens it, and how many workers to keep waiting (CLAMShell, VLDB 2015)."""

from __future__ import annotations

from prefect import flow, runtime

from tasks.corpus.rows import tell_rejected
from tasks.crowd.latency import report, stages
from tasks.crowd.latency.check import FLOW, check_inputs, input_fingerprints
from tasks.crowd.latency.settings import LatencySettings
from tasks.run import artifacts
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, run_label, timed
from tasks.storage.tables import write_json

model_workers = Stage(stages.model, "model workers")
simulate_campaigns = Stage(stages.simulate, "simulate campaigns")


@flow(name=FLOW, flow_run_name=run_label(FLOW))
def latency(settings: LatencySettings) -> Facts:
    """Foretell when a campaign is done. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
    """
    settings = named(FLOW, settings, runtime.flow_run)
    check_inputs(settings)
    source = input_fingerprints(settings)
    with open_run(FLOW, settings, source) as run, timed() as seconds:
        fitted = model_workers(run, settings, source=source)
        expected = simulate_campaigns(run, settings, fitted=fitted)
        summary = stages.summarise(settings, fitted=fitted, expected=expected)
        summary["seconds"] = {**seconds, "all": round(sum(seconds.values()), 3)}
        write_json(run / "summary.json", summary)
        report.write_report(run, settings, summary)
        artifacts.figures_table(f"{FLOW}-result", shown(summary), "When it will be done")
        tell_rejected(run)
        return summary


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return stages.shown(summary)
