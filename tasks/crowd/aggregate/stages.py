"""Read answers, infer, write what was inferred."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.formats import listed
from tasks.corpus.rows import REJECTS
from tasks.crowd.aggregate.given import read_given
from tasks.crowd.aggregate.settings import AggregateSettings
from tasks.crowd.aggregate.tables import (
    LABEL_HEAD,
    LABELS,
    NUMBER_HEAD,
    NUMBER_WORKER_HEAD,
    WORKER_HEAD,
    WORKERS,
)
from tasks.crowd.answers import Answers, Numbers
from tasks.crowd.tables import CONFUSION, CONFUSION_ROWS
from tasks.crowd.truth.agreement import (
    PairsOfWorkers,
    PairsOnNumbers,
    agreement_with_others,
    golden_record,
    krippendorff_alpha,
    krippendorff_alpha_of_numbers,
    pairs_of_workers,
    pairs_on_numbers,
    spammer_score,
    upper_bound,
)
from tasks.crowd.truth.dawid_skene import confusion_of
from tasks.crowd.truth.inferred import UNKNOWN, Inferred, expected_right, golden_of, quality_of
from tasks.crowd.truth.mace import Mace
from tasks.crowd.truth.methods import METHODS
from tasks.crowd.truth.numeric import NUMBER_METHODS, golden_values
from tasks.records import BadInput
from tasks.run import terminal
from tasks.run.seeds import integer
from tasks.storage.arrays import load_array, save_array
from tasks.storage.sheets import write_csv
from tasks.storage.tables import REJECTED, read_json, write_json, write_table

Facts = dict[str, Any]

CODES, NAMES = "stages/answers.npy", "stages/names.json"
POSTERIOR = "stages/posterior.npy"
PAIRS, OTHERS = "pairs.csv", "stages/others.json"

QUICK = ("mv", "zc", "ds", "lfc", "ibcc", "cvb", "pm", "catd")
_LEAST_COMMON, _MOST_PAIRS = 5, 10_000  # of pairs of workers in the table
_LARGEST_CONFUSION = 20_000_000  # numbers


def read(run: Path, settings: AggregateSettings, source: Facts) -> Facts:
    """Answers as codes, and what is known of the truth."""
    given = read_given(settings)
    answers = given.answers
    for flag, unheard in given.unheard.items():
        terminal.current().note(f"{flag}: nobody gave {listed(unheard)}; is the spelling right?")
    save_array(run / CODES, np.stack([answers.task, answers.worker, _given(answers)]))
    names = {"tasks": list(answers.tasks), "workers": list(answers.workers), "labels": given.labels}
    write_json(run / NAMES, {**names, "golden": given.golden, "repeated": answers.repeated})
    write_table(run / REJECTS, (reject.row for reject in given.rejected), REJECTED)
    return {
        "files": [CODES, NAMES, REJECTS],
        "answers": len(answers),
        "tasks": len(answers.tasks),
        "workers": len(answers.workers),
        "labels": given.labels,
        "repeated": answers.repeated,
        "rejected": len(given.rejected),
        "golden": sum(task in given.golden for task in answers.tasks),
        "most_per_task": int(answers.per_task.max()),
        "least_per_task": int(answers.per_task.min()),
    }


def infer(run: Path, settings: AggregateSettings, data: Facts) -> Facts:
    """What is right, and how reliable workers are."""
    return _infer_numbers(run, settings) if settings.of_numbers else _infer_labels(run, settings)


def load_answers(run: Path) -> Answers:
    """The answers of a run, as labels."""
    codes, names = load_array(run / CODES), read_json(run / NAMES)
    task, worker, label = (np.asarray(row).astype(np.int64) for row in codes)
    return Answers(task, worker, label, names["tasks"], names["workers"], names["labels"], names["repeated"])


def load_numbers(run: Path) -> Numbers:
    """The answers of a run, as numbers."""
    codes, names = np.asarray(load_array(run / CODES)), read_json(run / NAMES)
    return Numbers(
        codes[0].astype(np.int64),
        codes[1].astype(np.int64),
        codes[2],
        names["tasks"],
        names["workers"],
        names["repeated"],
    )


def _given(answers: Answers | Numbers) -> np.ndarray:
    return answers.value if isinstance(answers, Numbers) else answers.label.astype(float)


@dataclass(frozen=True, slots=True)
class _Record:
    """What is known of the accuracy of workers: right answers, answers, and the bound of what it is at the most."""

    right: np.ndarray
    given: np.ndarray
    bound: np.ndarray


def _infer_labels(run: Path, settings: AggregateSettings) -> Facts:
    answers = load_answers(run)
    golden = golden_of(answers, read_json(run / NAMES)["golden"])
    found = _inferred(settings.method, settings, answers, golden)
    record = _record(answers, golden, found, settings)
    left_out = np.zeros(len(answers.workers), dtype=bool)
    if settings.least_accuracy is not None:
        left_out = record.bound < settings.least_accuracy
        if left_out.all():
            raise BadInput(f"--least-accuracy {settings.least_accuracy}: no worker is left; take a lower one")
        kept = answers.take(~left_out[answers.worker])
        found = _inferred(settings.method, settings, kept, golden)
        if guessed := int(((kept.per_task == 0) & (golden == UNKNOWN)).sum()):
            terminal.current().note(
                f"--least-accuracy {settings.least_accuracy}: {guessed} of {len(answers.tasks)} tasks have no answer of workers "
                "who are left; their labels are guesses"
            )
    best, confidence = found.best, found.confidence
    names = np.asarray(answers.labels, dtype=object)
    write_csv(run / LABELS, LABEL_HEAD, _label_rows(answers.tasks, names[best], confidence))
    write_csv(run / WORKERS, WORKER_HEAD, _worker_rows(answers, found, record, left_out))
    save_array(run / POSTERIOR, found.posterior)
    _write_pairs(run / PAIRS, answers)
    files = [LABELS, WORKERS, PAIRS, POSTERIOR]
    if len(answers.workers) * len(answers.labels) ** 2 <= _LARGEST_CONFUSION:
        write_table(run / CONFUSION, _confusion_rows(answers, found.posterior), CONFUSION_ROWS)
        files.append(CONFUSION)
    if settings.compare:
        others = {name: _inferred(name, settings, answers, golden).best.tolist() for name in QUICK}
        write_json(run / OTHERS, others)
        files.append(OTHERS)
    return {
        "files": files,
        "iterations": found.iterations,
        "alpha": _finite(krippendorff_alpha(answers)),
        "left_out": int(left_out.sum()),
        "unsure": int((confidence < 0.9).sum()),
        "shares": np.bincount(best, minlength=len(names)).tolist(),
    }


def _infer_numbers(run: Path, settings: AggregateSettings) -> Facts:
    answers = load_numbers(run)
    known = {task: float(label) for task, label in read_json(run / NAMES)["golden"].items()}
    found = NUMBER_METHODS[settings.method]().infer(answers, golden_values(answers, known))
    spread = float(np.sqrt(np.mean((answers.value - found.value[answers.task]) ** 2)))
    write_csv(
        run / LABELS,
        NUMBER_HEAD,
        (
            [task, f"{value:.10g}", f"{within(error, spread):.6f}", "" if np.isnan(error) else f"{error:.6g}"]
            for task, value, error in zip(
                answers.tasks, found.value.tolist(), found.error.tolist(), strict=True
            )
        ),
    )
    write_csv(
        run / WORKERS,
        NUMBER_WORKER_HEAD,
        (
            [worker, given, f"{error:.6g}", f"{weight:.6g}"]
            for worker, given, error, weight in zip(
                answers.workers,
                answers.per_worker.tolist(),
                found.quality.tolist(),
                found.weight.tolist(),
                strict=True,
            )
        ),
    )
    _write_pairs_on_numbers(run / PAIRS, answers)
    return {
        "files": [LABELS, WORKERS, PAIRS],
        "iterations": found.iterations,
        "alpha": _finite(krippendorff_alpha_of_numbers(answers)),
        "left_out": 0,
        "spread": spread,
    }


def within(error: float, spread: float) -> float:
    """Confidence in a number: the probability that a normal error is less than the spread of single answers; 1 of a golden one."""
    from scipy.special import erf

    if np.isnan(error) or error == 0:
        return 1.0
    return float(erf(spread / error / np.sqrt(2)))


def _inferred(method: str, settings: AggregateSettings, answers: Answers, golden: np.ndarray) -> Inferred:
    made = Mace(seed=integer(settings.seed, "mace")) if method == "mace" else METHODS[method]()
    return made.infer(answers, golden)


def _record(answers: Answers, golden: np.ndarray, found: Inferred, settings: AggregateSettings) -> _Record:
    right, given = golden_record(answers, golden)
    if not given.any():  # without golden tasks the inference itself has to say
        right, given = expected_right(answers, found.posterior), answers.per_worker
    return _Record(right, given, upper_bound(right, given, settings.confidence))


def _label_rows(tasks: Sequence[str], best: np.ndarray, confidence: np.ndarray) -> Iterator[list[Any]]:
    for task, label, sure in zip(tasks, best.tolist(), confidence.tolist(), strict=True):
        yield [task, label, f"{sure:.6f}"]


def _worker_rows(
    answers: Answers, found: Inferred, record: _Record, left_out: np.ndarray
) -> Iterator[list[Any]]:
    agreement = agreement_with_others(answers)
    # One answer to each label in advance: who has answered little is taken for nothing yet, neither spammer nor expert.
    told_apart = spammer_score(confusion_of(answers, found.posterior, count=1 / len(answers.labels)))
    spammer = 1 - np.sqrt(told_apart)  # of two labels: 1 - Youden's index
    quality = quality_of(answers, found.posterior)  # of those left out too
    for code in np.lexsort((np.arange(len(quality)), -answers.per_worker)).tolist():
        yield [
            answers.workers[code],
            int(answers.per_worker[code]),
            f"{quality[code]:.6f}",
            "" if np.isnan(agreement[code]) else f"{agreement[code]:.6f}",
            f"{spammer[code]:.6f}",
            f"{record.right[code]:.6g}",
            int(record.given[code]),
            f"{record.bound[code]:.6f}",
            int(left_out[code]),
        ]


def _write_pairs(path: Path, answers: Answers) -> None:
    pairs = pairs_of_workers(answers, _LEAST_COMMON)
    told = {"agreed": pairs.agreed.tolist(), "agreement": _shown(pairs.agreed / pairs.common, ".6f")}
    _write_in_common(path, answers, pairs, told)


def _write_pairs_on_numbers(path: Path, answers: Numbers) -> None:
    pairs = pairs_on_numbers(answers, _LEAST_COMMON)
    _write_in_common(
        path, answers, pairs, {"bias": _shown(pairs.bias, ".6g"), "apart": _shown(pairs.apart, ".6g")}
    )


def _write_in_common(
    path: Path,
    answers: Answers | Numbers,
    pairs: PairsOfWorkers | PairsOnNumbers,
    told: Mapping[str, Sequence[Any]],
) -> None:
    """Pairs of workers, those with the most tasks in common first, and columns of what is told of each."""
    workers = ([answers.workers[code] for code in codes.tolist()] for codes in (pairs.first, pairs.second))
    rows = zip(*workers, pairs.common.tolist(), *told.values(), strict=True)
    write_csv(path, ["worker", "other", "common", *told], islice(rows, _MOST_PAIRS))


def _shown(values: np.ndarray, digits: str) -> list[str]:
    return [format(value, digits) for value in values.tolist()]


def _confusion_rows(answers: Answers, posterior: np.ndarray) -> Iterator[Facts]:
    confusion = confusion_of(answers, posterior)
    labels = len(answers.labels)
    seen = np.asarray(answers.by_task.T @ posterior).reshape(-1, labels, labels).sum(axis=1)
    for worker, truth in np.argwhere(seen > 0).tolist():
        for label in range(labels):
            yield {
                "worker": answers.workers[worker],
                "truth": answers.labels[truth],
                "label": answers.labels[label],
                "probability": float(confusion[worker, truth, label]),
                "answers": float(seen[worker, truth]),
            }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
