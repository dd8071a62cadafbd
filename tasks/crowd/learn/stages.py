"""The stages up to the network: read items and answers, infer what is right, train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.classify.classifier import Classifier, embedded_classifier
from tasks.classify.inputs import WEAK
from tasks.classify.training import Training
from tasks.corpus.rows import REJECTS
from tasks.crowd.answers import Answers
from tasks.crowd.learn.given import read_given
from tasks.crowd.learn.joint import expected_counts, prior_of, shrunk
from tasks.crowd.learn.methods import METHODS, probabilities, train
from tasks.crowd.learn.network import training_for
from tasks.crowd.learn.prior import read_prior
from tasks.crowd.learn.problem import Learned, Problem
from tasks.crowd.learn.settings import CrowdLearningSettings, LearnSettings
from tasks.crowd.tables import CONFUSION, CONFUSION_ROWS
from tasks.run import terminal
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import REJECTED, read_json, read_rows, write_json, write_table
from tasks.train.threads import one_thread

Facts = dict[str, Any]

ITEMS, VALUES = "stages/items.parquet", "stages/values.npy"
CODES, NAMES = "stages/answers.npy", "stages/names.json"
POSTERIOR, PROBABILITIES, MODEL = "stages/posterior.npy", "stages/probabilities.npy", "model"
BASELINES = ("mv", "ds-hard", "ds")

_ITEMS = pa.schema([("task", pa.string()), ("text", pa.string())])


def read(run: Path, settings: CrowdLearningSettings, source: Facts) -> Facts:
    """Items and the answers to them, as codes; what cannot be used is rejected."""
    given = read_given(settings)
    items, answers = given.items, given.answers
    texts: list[str] | list[None] = items.texts or [None] * len(items)
    rows = zip(items.labels, texts, strict=True)
    write_table(run / ITEMS, ({"task": task, "text": text} for task, text in rows), _ITEMS)
    save_array(run / VALUES, items.values)
    save_array(run / CODES, np.stack([answers.task, answers.worker, answers.label]))
    names = {"tasks": list(answers.tasks), "workers": list(answers.workers), "labels": list(answers.labels)}
    write_json(run / NAMES, {**names, "place": given.place.tolist(), "repeated": answers.repeated})
    write_table(run / REJECTS, (reject.row for reject in given.rejected), REJECTED)
    return {
        "files": [ITEMS, VALUES, CODES, NAMES, REJECTS],
        "items": len(items),
        "tasks": len(answers.tasks),
        "answers": len(answers),
        "workers": len(answers.workers),
        "labels": list(answers.labels),
        "features": given.features,
        "repeated": answers.repeated,
        "rejected": len(given.rejected),
    }


def learn(run: Path, settings: CrowdLearningSettings, data: Facts) -> Facts:
    """What is right of the items answered, and a network for the others."""
    unlabelled = settings.unlabelled if isinstance(settings, LearnSettings) else "none"
    with one_thread():
        problem, classifier = load_problem(run, settings, data)
        terminal.current().note(f"{data['tasks']:,} of {data['items']:,} items are answered")
        if settings.method.startswith("ds") and problem.answers.per_task.max() < 2:
            terminal.current().note("one answer to each item does not show D&S who errs: take --method joint")
        learned = METHODS[settings.method](problem)
        network = train(problem, learned, unlabelled)
        everything = probabilities(problem, learned, network)
    save_array(run / POSTERIOR, learned.posterior)
    save_array(run / PROBABILITIES, everything)
    files = [POSTERIOR, PROBABILITIES, CONFUSION]
    if settings.leaves_model:
        replace(classifier, network=network).save(run / MODEL)
        files.append(MODEL)
    confusion = learned.confusion
    if confusion is None:
        confusion = shrunk(problem.answers, learned.posterior)
    write_table(
        run / CONFUSION, _confusion_rows(problem.answers, learned.posterior, confusion), CONFUSION_ROWS
    )
    return {"files": files, "temperature": learned.temperature}


def baselines(run: Path, settings: CrowdLearningSettings, data: Facts) -> Facts:
    """What majority vote and D&S say, and networks that are trained on that: what any method is to be held against."""
    found = {}
    with one_thread():
        problem, _ = load_problem(run, settings, data)
        for number, name in enumerate(BASELINES):
            terminal.current().progress("train on baselines", number)
            learned: Learned = METHODS[name](problem)
            found[name] = probabilities(problem, learned, train(problem, learned))
    files = {name: f"stages/baseline-{name}.npy" for name in found}
    for name, file in files.items():
        save_array(run / file, found[name].argmax(axis=1))
    return {"files": list(files.values()), "of": files}


def load_problem(run: Path, settings: CrowdLearningSettings, data: Facts) -> tuple[Problem, Classifier]:
    """What there is to learn from, and the classifier whose network is to be trained."""
    answers = load_answers(run)
    rows: Any = np.asarray(load_array(run / VALUES))
    if settings.text:
        rows = [row["text"] for row in read_rows(run / ITEMS, ["text"])]
    classifier = embedded_classifier(
        data["labels"],
        rows,
        data["features"],
        dimensions=settings.encoder_dimensions,
        width=settings.width,
        seed=settings.seed,
        network_seed=settings.seed,
    )
    values = np.ascontiguousarray(
        classifier.inputs(rows).view(np.arange(data["items"]), WEAK, np.random.default_rng(0)).cpu().numpy()
    )
    prior = None
    if settings.worker_prior:
        prior = prior_of(read_prior(settings.worker_prior, answers, settings.prior_share, "--worker-prior"))
    place = np.array(read_json(run / NAMES)["place"], np.int64)
    training = _training(settings, len(place))
    problem = Problem(values, answers, place, settings.seed, training, settings.width, settings.folds, prior)
    return problem, classifier


def load_answers(run: Path) -> Answers:
    """The answers of a run; its tasks are the items answered."""
    codes, names = np.asarray(load_array(run / CODES)), read_json(run / NAMES)
    task, worker, label = (row.astype(np.int64) for row in codes)
    return Answers(task, worker, label, names["tasks"], names["workers"], names["labels"], names["repeated"])


def _training(settings: CrowdLearningSettings, rows: int) -> Training:
    return training_for(rows, settings.epochs, settings.learning_rate, settings.batch)


def _confusion_rows(answers: Answers, posterior: np.ndarray, confusion: np.ndarray) -> Any:
    seen = expected_counts(answers, posterior).sum(axis=2)
    for worker, truth in np.argwhere(seen > 1e-6).tolist():
        for label, name in enumerate(answers.labels):
            yield {
                "worker": answers.workers[worker],
                "truth": answers.labels[truth],
                "label": name,
                "probability": float(confusion[worker, truth, label]),
                "answers": float(seen[worker, truth]),
            }
