"""The cheap checks before anything starts: one clear line for what cannot work, in well under a second."""

from __future__ import annotations

from tasks.llm.settings import absolute_model, check_model, model_fingerprints
from tasks.loop.settings import EqualSettings
from tasks.prepare.check import absolute_paths, check_corpus, fingerprints
from tasks.records import BadInput
from tasks.run.folder import absolute_file, absolute_path, in_one_line
from tasks.select.bandit import WITH_PRIOR
from tasks.train.checkpoint import check_student


@in_one_line()
def absolute(settings: EqualSettings) -> EqualSettings:
    """Local paths made absolute, so that a run can be continued from another folder.

    Raises:
        BadInput: one line.
    """
    own = {
        "student": absolute_path(settings.student, "tiny"),
        "model": absolute_model(settings, settings.model),
        "judge_models": [absolute_model(settings, name) for name in settings.judge_models],
        "price_table": absolute_file(settings.price_table),
    }
    return settings.model_copy(update={**absolute_paths(settings), **own})


def input_fingerprints(settings: EqualSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    models = model_fingerprints(model=[settings.model], judge_models=settings.judge_models)
    return {**fingerprints(settings, student="student"), **models}


@in_one_line()
def check_inputs(settings: EqualSettings) -> None:
    """What can be known without reading the whole corpus.

    Raises:
        BadInput: one line.
    """
    check_corpus("equal", settings)
    if settings.extractor == "llm":
        check_model(settings, "--extractor llm")
    if settings.encoder == "lsa" and settings.align == "full":
        raise BadInput(
            "--align full needs a transformers encoder; LSA has no weights to train: use --align linear"
        )
    if settings.reward == "influence":
        if settings.train == "never":
            raise BadInput(
                "--reward influence is by a student: give --train rounds, or end for the one before any training"
            )
        for flag, names in (("--strategy", [settings.strategy]), ("--compare", settings.compare)):
            for name in set(names) & set(WITH_PRIOR):
                raise BadInput(
                    f"{flag} {name} knows what to expect of transport or similarity, not of influence: use ucb or linucb"
                )
    if settings.judges:
        for model in settings.judge_models or [settings.model]:
            check_model(settings.model_copy(update={"model": model}), "--judges")
        models = settings.judge_models
        if len(models) > settings.judges:
            raise BadInput(
                f"--judges {settings.judges}: --judge-models names {len(models)}; give --judges {len(models)}"
            )
        if len(set(models)) < len(models):
            raise BadInput("--judge-models: a model stands there twice; name it once, and give more --judges")
        if settings.train == "rounds":
            raise BadInput("--judges: pairs are judged when all are read; give --train end, or never")
    elif settings.judge_models or settings.adjudicate:
        raise BadInput("--judge-models and --adjudicate are of judges: give --judges N")
    if settings.clean != "none" and settings.train != "end":
        raise BadInput(f"--clean {settings.clean}: pairs are cleaned when all are read; give --train end")
    if settings.train != "never":
        check_student(settings.student, lora=settings.lora, sequence_tokens=settings.sequence_tokens)
