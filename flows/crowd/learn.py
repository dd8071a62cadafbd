"""A classifier for items that nobody labelled, from answers of workers who differ."""

from __future__ import annotations

from prefect import flow, runtime

from tasks.crowd.learn import finish, report, stages
from tasks.crowd.learn.check import check_inputs, input_fingerprints
from tasks.crowd.learn.settings import LearnSettings
from tasks.run import artifacts
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, timed
from tasks.run.tables import write_json

FLOW = LearnSettings.flow

read_items = Stage(stages.read, "read items and answers")
train_model = Stage(stages.learn, "infer labels and train")
train_baselines = Stage(stages.baselines, "train on baselines")
write_tables = Stage(finish.tables, "write tables")
check_labels = Stage(finish.gate, "check labels")
judge_model = Stage(finish.judge, "compare methods")


@flow(name=FLOW, flow_run_name=lambda: f"{FLOW} {named(FLOW, _settings_of_run(), runtime.flow_run).run}")
def learn(settings: LearnSettings) -> Facts:
    """Train a model, and predict the items that nobody answered. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: a check stopped it; it can be resumed.
    """
    settings = named(FLOW, settings, runtime.flow_run)
    check_inputs(settings)
    source = input_fingerprints(settings)
    with open_run(FLOW, settings, source) as run, timed() as seconds:
        data = read_items(run, settings, source=source)
        trained = train_model(run, settings, data=data)
        compared = train_baselines(run, settings, data=data)
        written = write_tables(run, settings, learned=trained)
        check_labels(run, settings, written=written)
        judged = judge_model(run, settings, learned=trained, compared=compared)
        summary = finish.summarise(settings, data=data, learned=trained, written=written, judged=judged)
        summary["seconds"] = {**seconds, "all": round(sum(seconds.values()), 3)}
        write_json(run / "summary.json", summary)
        report.write_report(run, settings, summary)
        artifacts.figures_table(f"{FLOW}-result", shown(summary), "What was learnt")
        return summary


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return finish.shown(summary)


def _settings_of_run() -> LearnSettings:
    settings: LearnSettings = runtime.flow_run.parameters["settings"]
    return settings
