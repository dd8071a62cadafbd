"""Training under wrong labels (arXiv 2505.00812): train plainly and count contradictions, then trust each label accordingly."""

from __future__ import annotations

import shutil
from pathlib import Path

from prefect import flow, runtime

from tasks.corpus.rows import tell_rejected
from tasks.run import artifacts, terminal
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, run_label, timed
from tasks.wrong_event import finish, pair_stages, report, stages
from tasks.wrong_event.check import check_inputs, input_fingerprints
from tasks.wrong_event.settings import WrongEventSettings

read_data = Stage(stages.read, "read data")
warm_up = Stage(stages.warm_up, "warm up")
train_robustly = Stage(stages.train_robustly, "train robustly")
write_tables = Stage(finish.tables, "write tables")
check_labels = Stage(finish.gate, "check labels")

read_pairs = Stage(pair_stages.read, "read pairs")
make_student = Stage(pair_stages.student, "make student")
count_events = Stage(pair_stages.count, "count wrong events")
write_pairs = Stage(pair_stages.tables, "write tables of pairs")
check_pairs = Stage(pair_stages.gate, "check pairs")


@flow(
    name="wrong-event",
    flow_run_name=run_label("wrong_event", "wrong-event"),
)
def wrong_event(settings: WrongEventSettings) -> Facts:
    """Train on labels that are partly wrong. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: a check stopped it; it can be resumed.
    """
    settings = named("wrong_event", settings, runtime.flow_run)
    check_inputs(settings)
    source = input_fingerprints(settings)
    work = of_pairs if settings.answer else of_labels
    with open_run("wrong_event", settings, source) as run, timed() as seconds:
        summary = work(run, settings, source)
        summary["seconds"] = {**seconds, "all": round(sum(seconds.values()), 3)}
        finish.save_summary(run, summary)
        write_report = report.write_pairs_report if settings.answer else report.write_report
        write_report(run, settings, summary)
        artifacts.figures_table("wrong-event-result", shown(summary), "What is doubted")
        shutil.rmtree(run / stages.CHECKPOINTS, ignore_errors=True)
        tell_rejected(run)
        return summary


def of_labels(run: Path, settings: WrongEventSettings, source: Facts) -> Facts:
    """Rows with labels: count wrong events in a plain training, then train by what they say."""
    data = read_data(run, settings, source=source)
    warm = warm_up(run, settings, data=data)
    terminal.current().note(f"trained on from epoch {warm['base_epoch']} of the warm-up")
    trained = train_robustly(run, settings, data=data, warm=warm)
    tables = write_tables(run, settings, trained=trained)
    check_labels(run, settings, tables=tables)
    artifacts.figures_table("wrong-event-epochs", finish.epochs_table(warm, trained), "Epochs of both stages")
    return finish.summarise(settings, data=data, warm=warm, trained=trained, tables=tables)


def of_pairs(run: Path, settings: WrongEventSettings, source: Facts) -> Facts:
    """Question-answer pairs: count wrong events in the training of a student."""
    data = read_pairs(run, settings, source=source)
    student = make_student(run, settings, data=data)
    counted = count_events(run, settings, data=data, student=student)
    tables = write_pairs(run, settings, counted=counted)
    check_pairs(run, settings, tables=tables)
    return pair_stages.summarise(settings, data=data, counted=counted, tables=tables)


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return pair_stages.shown(summary) if "peers" in summary else finish.shown(summary)
