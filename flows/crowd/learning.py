"""What `classify` and `learn` do alike: infer labels by answers and features, beside the baselines."""

from __future__ import annotations

from prefect import runtime

from tasks.corpus.rows import tell_rejected
from tasks.crowd.learn import finish, report, stages
from tasks.crowd.learn.check import check_inputs, input_fingerprints
from tasks.crowd.learn.settings import CrowdLearningSettings
from tasks.run import artifacts
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, timed
from tasks.storage.tables import write_json

read_items = Stage(stages.read, "read items and answers")
infer_labels = Stage(stages.learn, "infer labels")
train_baselines = Stage(stages.baselines, "train on baselines")
write_tables = Stage(finish.tables, "write tables")
check_labels = Stage(finish.gate, "check labels")
compare_methods = Stage(finish.judge, "compare methods")


def from_answers(settings: CrowdLearningSettings, described: str) -> Facts:
    """Run the stages in the run's folder. Returns the figures that are written to summary.json.

    Args:
        described: what the figures are of, for the UI.
    """
    flow = settings.flow
    settings = named(flow, settings, runtime.flow_run)
    check_inputs(settings)
    source = input_fingerprints(settings)
    with open_run(flow, settings, source) as run, timed() as seconds:
        data = read_items(run, settings, source=source)
        learned = infer_labels(run, settings, data=data)
        compared = train_baselines(run, settings, data=data)
        written = write_tables(run, settings, learned=learned)
        check_labels(run, settings, written=written)
        judged = compare_methods(run, settings, learned=learned, compared=compared)
        summary = finish.summarise(settings, data=data, learned=learned, written=written, judged=judged)
        summary["seconds"] = {**seconds, "all": round(sum(seconds.values()), 3)}
        write_json(run / "summary.json", summary)
        report.write_report(run, settings, summary)
        artifacts.figures_table(f"{flow}-result", finish.shown(summary), described)
        tell_rejected(run)
        return summary
