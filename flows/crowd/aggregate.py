"""Truth inference: what is right, and who is reliable, where several workers answered and differ."""

from __future__ import annotations

from prefect import flow, runtime

from tasks.corpus.rows import tell_rejected
from tasks.crowd.aggregate import judge, report, stages
from tasks.crowd.aggregate.check import FLOW, check_inputs, input_fingerprints
from tasks.crowd.aggregate.settings import AggregateSettings
from tasks.run import artifacts
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, run_label, timed
from tasks.storage.tables import write_json

read_answers = Stage(stages.read, "read answers")
infer_truth = Stage(stages.infer, "infer truth")
check_labels = Stage(judge.gate, "check labels")
compare_with_truth = Stage(judge.judge, "compare with the truth", works=lambda settings: bool(settings.truth))


@flow(name=FLOW, flow_run_name=run_label(FLOW))
def aggregate(settings: AggregateSettings) -> Facts:
    """Infer one label for each task. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: a check stopped it; it can be resumed.
    """
    settings = named(FLOW, settings, runtime.flow_run)
    check_inputs(settings)
    source = input_fingerprints(settings)
    with open_run(FLOW, settings, source) as run, timed() as seconds:
        data = read_answers(run, settings, source=source)
        inferred = infer_truth(run, settings, data=data)
        check_labels(run, settings, inferred=inferred)
        judged = compare_with_truth(run, settings, inferred=inferred)
        summary = judge.summarise(settings, data=data, inferred=inferred, judged=judged)
        summary["seconds"] = {**seconds, "all": round(sum(seconds.values()), 3)}
        write_json(run / "summary.json", summary)
        report.write_report(run, settings, summary)
        judge.publish(run, settings)
        artifacts.figures_table(f"{FLOW}-result", shown(summary), "What was inferred")
        tell_rejected(run)
        return summary


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return judge.shown(summary)
