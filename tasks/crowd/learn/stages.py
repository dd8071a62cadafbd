"""The stages up to the network: read items and answers, infer what is right, train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.classify.classifier import Classifier, embedded_classifier
from tasks.classify.inputs import WEAK
from tasks.classify.table import Labelled, read_labelled
from tasks.classify.training import Training
from tasks.corpus.rows import REJECTS
from tasks.crowd.answers import Answers, answers_of, codes_of, in_order
from tasks.crowd.learn.check import item_columns
from tasks.crowd.learn.joint import expected_counts, prior_of, shrunk
from tasks.crowd.learn.methods import METHODS, probabilities, train
from tasks.crowd.learn.network import training_for
from tasks.crowd.learn.prior import read_prior
from tasks.crowd.learn.problem import Learned, Problem
from tasks.crowd.learn.settings import CrowdLearningSettings, LearnSettings
from tasks.crowd.read import Known, Table, read_known, read_table
from tasks.crowd.tables import CONFUSION, CONFUSION_ROWS
from tasks.records import BadInput, Reject
from tasks.run import terminal
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import REJECTED, read_json, read_rows, write_json, write_table
from tasks.train.threads import one_thread

Facts = dict[str, Any]

ITEMS, VALUES = "stages/items.parquet", "stages/values.npy"
CODES, NAMES = "stages/answers.npy", "stages/names.json"
POSTERIOR, PROBABILITIES, MODEL = "stages/posterior.npy", "stages/probabilities.npy", "model"
BASELINES = ("mv", "ds-hard", "ds")

_LARGEST = 50_000_000  # numbers in all confusion matrices, of which a few copies are held

_ITEMS = pa.schema([("task", pa.string()), ("text", pa.string())])


def read(run: Path, settings: CrowdLearningSettings, source: Facts) -> Facts:
    """Items and the answers to them, as codes; what cannot be used is rejected."""
    columns = item_columns(settings)
    items = read_labelled(settings.items, columns, "--items", max_broken=settings.max_broken)
    items, twice = _once(items)
    wanted = [settings.task, settings.worker, settings.label]
    table = read_table(settings.answers, wanted, "--answers", max_broken=settings.max_broken)
    truth = Known({}, [])
    if settings.truth:
        truth = read_known(settings.truth, settings.task, "--truth", settings.max_broken)
        if truth.labels.keys().isdisjoint(items.labels):
            raise BadInput(f"--truth {settings.truth}: none of its tasks is among the items")
    answers, place, unknown = _of_items(table, items.labels, settings)
    texts: list[str] | list[None] = items.texts or [None] * len(items)
    rows = zip(items.labels, texts, strict=True)
    write_table(run / ITEMS, ({"task": task, "text": text} for task, text in rows), _ITEMS)
    save_array(run / VALUES, items.values)
    save_array(run / CODES, np.stack([answers.task, answers.worker, answers.label]))
    names = {"tasks": list(answers.tasks), "workers": list(answers.workers), "labels": list(answers.labels)}
    write_json(run / NAMES, {**names, "place": place.tolist(), "repeated": answers.repeated})
    rejected = [*items.rejected, *twice, *table.rejected, *unknown, *truth.rejected]
    write_table(run / REJECTS, (reject.row for reject in rejected), REJECTED)
    return {
        "files": [ITEMS, VALUES, CODES, NAMES, REJECTS],
        "items": len(items),
        "tasks": len(answers.tasks),
        "answers": len(answers),
        "workers": len(answers.workers),
        "labels": list(answers.labels),
        "features": list(columns.features),
        "repeated": answers.repeated,
        "rejected": len(rejected),
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


def _once(items: Labelled) -> tuple[Labelled, list[Reject]]:
    """Items whose task has not come before, and what became of the others."""
    first = np.sort(np.unique(np.array(items.labels, dtype=object), return_index=True)[1])
    repeated = np.setdiff1d(np.arange(len(items)), first).tolist()
    rejected = [
        Reject("read items", "task was there before", items.places[at], items.labels[at][:200])
        for at in repeated
    ]
    return items.take(first.tolist()), rejected


def _of_items(
    table: Table, items: list[str], settings: CrowdLearningSettings
) -> tuple[Answers, np.ndarray, list[Reject]]:
    """The answers to these items, the place of each answered one, and what became of the other answers."""
    task, worker, label = table.columns
    known = codes_of(task, items) >= 0
    if not known.any():
        raise BadInput(f"--answers {settings.answers}: none is of an item in {settings.items}; check --task")
    rejected = [
        Reject("read answers", "no such item", table.place(row), task[row][:200])
        for row in np.flatnonzero(~known).tolist()
    ]
    task, worker, label = (
        [one for one, used in zip(column, known, strict=True) if used] for column in table.columns
    )
    labels = in_order(list(dict.fromkeys(label)))
    if len(labels) < 2:
        raise BadInput(f"--answers {settings.answers}: all answers are {labels[0][:80]}; nothing to learn")
    if len(labels) > len(set(task)) / 2:
        raise BadInput(
            f"--label {settings.label}: {len(labels)} different labels of {len(set(task))} items answered; "
            "name the column of the class, or give more answers"
        )
    answers = answers_of(task, worker, label, labels)
    if (size := len(answers.workers) * len(labels) ** 2) > _LARGEST:
        raise BadInput(
            f"--answers {settings.answers}: {len(answers.workers):,} workers and {len(labels):,} labels make {size:,} numbers of "
            "confusion matrices; give fewer labels"
        )
    return answers, codes_of(answers.tasks, items), rejected


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
