"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from tasks.corpus.read import fingerprint
from tasks.crowd.annotate import adjudicate, judges, replay
from tasks.crowd.annotate.items import earlier_answers, items_of, read_answers
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.llm.settings import absolute_model, model_fingerprints
from tasks.records import BadInput
from tasks.run.folder import absolute_file, check_runs_dir, check_unused, in_one_line, versions

FLOW = "crowd-annotate"


@in_one_line()
def absolute(settings: AnnotateSettings) -> AnnotateSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    own = {
        name: absolute_file(getattr(settings, name)) for name in ("items", "golden", "truth", "price_table")
    }
    return settings.model_copy(
        update={
            **own,
            **{
                name: [absolute_file(path) for path in getattr(settings, name)]
                for name in ("answers", "earlier")
            },
            "model": absolute_model(settings, settings.model),
            "judges": [absolute_model(settings, name) for name in settings.judges],
        }
    )


def input_fingerprints(settings: AnnotateSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads and that does not grow, by name."""
    given = {name: getattr(settings, name) for name in ("items", "golden", "truth")}
    found = {name: fingerprint([path]) if path else "" for name, path in given.items()}
    recorded = settings.answers if settings.annotators == "replay" else []
    return {
        **found,
        "answers": fingerprint(recorded) if recorded else "",
        "earlier": fingerprint(settings.earlier) if settings.earlier else "",
        **model_fingerprints(model=[settings.model], judges=settings.judges),
        "Sluice's version": versions()["sluice"],
    }


@in_one_line()
def check_inputs(settings: AnnotateSettings) -> None:
    """What is wrong with the items and with who is to answer.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused(FLOW, settings)
    check_runs_dir(FLOW, settings)
    items = items_of(settings)
    earlier_answers(settings, items)
    if settings.annotators == "replay":
        if not settings.answers:
            raise BadInput("--annotators replay needs --answers: the recording (task, worker, label)")
        replay.recording_of(settings)
    elif settings.annotators == "file":
        for _ in read_answers(settings.answers, items, settings.labels):
            pass
    elif settings.answers:
        raise BadInput("--answers is of --annotators file and replay; leave it out")
    if settings.waiting > 1 and settings.annotators in ("people", "file"):
        raise BadInput(
            "--waiting is of --annotators llm and replay: of people whoever comes is served; leave it out"
        )
    if settings.annotators == "llm":
        judges.check(settings)
        return
    for flag, given in (("--judges", settings.judges), ("--instructions", settings.instructions)):
        if given:
            raise BadInput(f"{flag} is of --annotators llm; leave it out")
    if settings.max_cost is not None and not settings.answer_price:
        raise BadInput("--max-cost needs --answer-price: what an answer costs, US dollars")


def check_ui(settings: AnnotateSettings) -> None:
    """Whether there is a UI for the form, if one is wanted.

    Raises:
        BadInput: there is none.
    """
    adjudicate.check(settings)
