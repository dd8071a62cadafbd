"""Quad (arXiv 2409.16986): cluster the corpus, score the documents that promise most by influence, buy what helps, repeat."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, runtime

from tasks.prepare import stages as prepare
from tasks.quad import curvature, finish, report, rounds, students
from tasks.quad.check import check_inputs, input_fingerprints
from tasks.quad.plan import next_round
from tasks.quad.settings import QuadSettings
from tasks.run import artifacts, terminal
from tasks.run.folder import named, open_run
from tasks.run.parallel import workers
from tasks.run.stages import Facts, Stage, run_label, timed

read_target = Stage(prepare.target, "read reference")
read_corpus = Stage(prepare.corpus, "read corpus")
encode = Stage(prepare.encode, "encode")
check_documents = Stage(prepare.gate_documents, "check documents")
cluster = Stage(prepare.clusters, "cluster")
make_model = Stage(curvature.model, "make model")
take_curvature = Stage(curvature.curvature, "take curvature")
visit = Stage(rounds.visit, "score in round {plan[number]}")
select = Stage(finish.select, "select")
train = Stage(students.train, "train", works=lambda settings: settings.train)


@flow(name="quad", flow_run_name=run_label("quad"))
def quad(settings: QuadSettings) -> Facts:
    """Select documents by influence and diversity. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: a check or a service stopped it; it can be resumed.
    """
    settings = named("quad", settings, runtime.flow_run)
    check_inputs(settings)
    source = input_fingerprints(settings)
    with (
        open_run("quad", settings, source) as run,
        workers(settings.workers, settings.scheduler),
        timed() as seconds,
    ):
        target = read_target(run, settings, source=source)
        corpus = read_corpus(run, settings, source=source, target=target)
        so_far = rounds.nothing_yet(run, settings, corpus)
        vectors = encode(run, settings, corpus=corpus, target=target)
        check_documents(run, settings, corpus=corpus, vectors=vectors)
        clusters = cluster(run, settings, vectors=vectors)
        model = make_model(run, settings, corpus=corpus)
        taken = take_curvature(run, settings, corpus=corpus, target=target, model=model)

        while plan := next_round(settings, corpus, so_far):
            this_round = one_round.with_options(flow_run_name=f"round {plan['number']}")
            so_far = this_round(settings, str(run), plan, clusters, taken, so_far)
            terminal.current().note(finish.round_line(so_far, settings, corpus))
        selected = select(run, settings, corpus=corpus, last=so_far)
        if selected["short"]:
            terminal.current().note(f"warning: selected {selected['short']}")
        trained = train(run, settings, selected=selected, model=model, target=target)
        summary = finish.summarise(
            settings,
            target=target,
            corpus=corpus,
            clusters=clusters,
            curvature=taken,
            last=so_far,
            selected=selected,
            trained=trained,
        )
        summary["seconds"] = dict(seconds)
        finish.save_summary(run, summary)
        report.write_report(run, summary)
        artifacts.figures_table("quad-result", finish.shown(summary), "What was scored and selected")
        return summary


@flow(name="quad round")
def one_round(
    settings: QuadSettings, run: str, plan: Facts, clusters: Facts, curvature: Facts, before: Facts
) -> Facts:
    """One round: choose documents or clusters, score, say what is bought, tell the strategy."""
    so_far: Facts = visit(
        Path(run), settings, plan=plan, clusters=clusters, curvature=curvature, before=before
    )
    number = plan["number"]
    artifacts.figures_table(
        "quad-visits", finish.visits_table(Path(run), number, settings), f"Clusters in round {number}"
    )
    return so_far


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return finish.shown(summary)
