"""Association rules out of what people say of their habits: which to ask of next, and which are significant."""

from __future__ import annotations

from prefect import flow, runtime

from tasks.corpus.rows import tell_rejected
from tasks.crowd.patterns import finish, report, stages
from tasks.crowd.patterns.check import FLOW, check_inputs, input_fingerprints
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.run import artifacts
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, run_label, timed
from tasks.storage.tables import write_json

read_answers = Stage(stages.read, "read answers")
mine_rules = Stage(stages.mine, "ask and decide")
check_rules = Stage(finish.gate, "check rules")
compare_with_truth = Stage(
    finish.judge, "compare with the truth", works=lambda settings: bool(settings.simulate)
)


@flow(name=FLOW, flow_run_name=run_label(FLOW))
def patterns(settings: PatternsSettings) -> Facts:
    """Mine association rules from the crowd. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: people have to answer first, or a check stopped it; it can be resumed.
    """
    settings = named(FLOW, settings, runtime.flow_run)
    check_inputs(settings)
    source = input_fingerprints(settings)
    with open_run(FLOW, settings, source) as run, timed() as seconds:
        data = read_answers(run, settings, source=source)
        mined = mine_rules(run, settings, data=data)
        check_rules(run, settings, mined=mined)
        judged = compare_with_truth(run, settings, mined=mined)
        summary = finish.summarise(settings, data=data, mined=mined, judged=judged)
        summary["seconds"] = {**seconds, "all": round(sum(seconds.values()), 3)}
        write_json(run / "summary.json", summary)
        report.write_report(run, settings, summary)
        artifacts.figures_table(f"{FLOW}-result", shown(summary), "What goes with what")
        tell_rejected(run)
        return summary


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return finish.shown(summary)
