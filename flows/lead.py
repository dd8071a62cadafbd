"""LEAD (arXiv 2505.07437): look once at every example, draw clusters, train on examples of theirs, repeat."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, runtime

from tasks.lead import checkpoint, difficulty, finish, pool, report, rounds
from tasks.lead.check import check_inputs, input_fingerprints
from tasks.lead.settings import LeadSettings
from tasks.prepare import stages as prepare
from tasks.run import artifacts, terminal
from tasks.run.folder import named, open_run
from tasks.run.stages import Facts, Stage, run_label, timed

read_data = Stage(pool.pool, "read data")
encode = Stage(pool.encode, "encode")
check_examples = Stage(prepare.gate_documents, "check examples")
make_model = Stage(pool.model, "make model")
measure_difficulty = Stage(difficulty.difficulty, "measure difficulty")
cluster = Stage(difficulty.clusters, "cluster")
train = Stage(rounds.train, "train in round {plan[number]}")
select = Stage(finish.select, "select")
judge = Stage(finish.judge, "judge model")


@flow(name="lead", flow_run_name=run_label("lead"))
def lead(settings: LeadSettings) -> Facts:
    """Select instruction data inside the training loop. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: a check stopped it; it can be resumed.
    """
    settings = named("lead", settings, runtime.flow_run)
    check_inputs(settings)
    source = input_fingerprints(settings)
    with open_run("lead", settings, source) as run, timed() as seconds:
        examples = read_data(run, settings, source=source)
        vectors = encode(run, settings, pool=examples)
        check_examples(run, settings, corpus=examples, vectors=vectors)
        model = make_model(run, settings, pool=examples)
        measured = measure_difficulty(run, settings, pool=examples, model=model)
        clusters = cluster(run, settings, vectors=vectors, difficulty=measured)

        so_far = rounds.nothing_yet(examples, measured)
        bar = artifacts.progress("Share of the budget that is trained on", key="lead-progress")
        while plan := rounds.next_round(settings, examples, so_far):
            this_round = one_round.with_options(flow_run_name=f"round {plan['number']} of {plan['of']}")
            so_far = this_round(settings, str(run), plan, clusters, model, so_far)
            artifacts.advance(bar, so_far["selected"] / examples["budget"])
            terminal.current().round(plan["number"], plan["of"], finish.told(run, so_far, examples))
        selected = select(run, settings, pool=examples, last=so_far)
        judged = judge(run, settings, pool=examples, last=so_far)
        summary = finish.summarise(
            settings,
            pool=examples,
            difficulty=measured,
            clusters=clusters,
            last=so_far,
            selected=selected,
            judged=judged,
        )
        summary["seconds"] = {**seconds, "all": round(sum(seconds.values()), 3)}
        finish.save_summary(run, summary)
        report.write_report(run, summary)
        artifacts.figures_table("lead-result", finish.shown(summary), "What was selected, and what it taught")
        checkpoint.discard_all(run)
        return summary


@flow(name="lead round")
def one_round(
    settings: LeadSettings, run: str, plan: Facts, clusters: Facts, model: Facts, before: Facts
) -> Facts:
    """One round: draw clusters, train on examples of theirs, tell the bandit what they brought."""
    folder = Path(run)
    so_far: Facts = train(folder, settings, plan=plan, clusters=clusters, model=model, before=before)
    artifacts.figures_table(
        "lead-clusters", finish.arms_table(folder, so_far), f"Clusters in round {plan['number']}"
    )
    return so_far


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return finish.shown(summary)
