"""The stages of `wrong_event` up to the trained model: read, warm up, train robustly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.classify.classifier import Classifier, embedded_classifier
from tasks.classify.networks import encoder_network
from tasks.classify.table import Labelled, read_labelled
from tasks.classify.training import Training
from tasks.corpus.formats import listed
from tasks.corpus.rows import REJECTS
from tasks.records import BadInput, Reject
from tasks.run import terminal
from tasks.run.seeds import integer
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import REJECTED, read_json, read_rows, write_json, write_table
from tasks.train.threads import one_thread
from tasks.wrong_event.beta_mixture import HALF, EventModel
from tasks.wrong_event.check import data_columns, read_data
from tasks.wrong_event.settings import WrongEventSettings

Facts = dict[str, Any]

ROWS, TEST, VALUES, TEST_VALUES = (
    "stages/rows.parquet",
    "stages/test.parquet",
    "stages/values.npy",
    "stages/test.npy",
)
CLASSES = "stages/classes.json"
COUNTS, BASE = "stages/counts.npy", "stages/base.safetensors"
EVENTS, CLEAN, PREDICTED, MIXTURES = (
    "stages/events.npy",
    "stages/clean.npy",
    "stages/predicted.npy",
    "stages/mixtures.json",
)
MODEL = "model"
NO_CLASS = -1  # label of a test row whose class the data do not have
_SCHEMA = pa.schema([("row", pa.int64()), ("label", pa.int32()), ("text", pa.string())])
CHECKPOINTS = "checkpoints"


def read(run: Path, settings: WrongEventSettings, source: Facts) -> Facts:
    """The rows of the data and of the test, their labels as numbers; what cannot be used is rejected."""
    columns = data_columns(settings)
    data, classes = read_data(settings, columns)
    _save(run / ROWS, run / VALUES, data, classes)
    files, rejected = [ROWS, VALUES, CLASSES, REJECTS], list(data.rejected)
    write_json(run / CLASSES, classes)
    judging = unknown = 0
    if settings.test:
        test = read_labelled(settings.test, columns, "--test", data.shapes, settings.max_broken)
        test, dropped = _unseen(test, data, settings.test)
        rejected += [*test.rejected, *dropped]
        _save(run / TEST, run / TEST_VALUES, test, classes)
        files, judging = [*files, TEST, TEST_VALUES], len(test)
        known = set(classes)
        unknown = sum(label not in known for label in test.labels)
        if unknown == judging:
            raise BadInput(
                f"--test {settings.test}: no row has a label that the data have; these have: {listed(classes)}"
            )
        if unknown:
            terminal.current().note(
                f"{unknown} of {judging} test rows have a label that the data do not have: they count as errors"
            )
    write_table(run / REJECTS, (reject.row for reject in rejected), REJECTED)
    return {
        "files": files,
        "rows": len(data),
        "test": judging,
        "unknown": unknown,
        "classes": len(classes),
        "features": list(columns.features),
        "rejected": len(rejected),
    }


def warm_up(run: Path, settings: WrongEventSettings, data: Facts) -> Facts:
    """Train plainly, count wrong events, and keep the weights of the epoch before wrong labels are learnt by heart."""
    from safetensors.torch import save_file

    from tasks.wrong_event.warm_up import warm_up as train

    labels = given_labels(run)
    model = EventModel(labels, data["classes"], settings.per_class, least=HALF)
    with _threads(settings):
        classifier, rows = make_classifier(run, settings, data)
        found = train(
            classifier.network,
            classifier.inputs(rows),
            labels,
            training_of(settings, settings.stages_epochs[0]),
            seed=integer(settings.seed, "train"),
            shares=_shares(settings, labels, data),
            judge=model if settings.by_agreement else None,
            window=settings.smoothing,
            kept=run / CHECKPOINTS / "warm-up",
            told=told("warm up, epoch"),
        )
    save_array(run / COUNTS, found.counts)
    save_file(found.base, run / BASE)
    return {
        "files": [COUNTS, BASE],
        "visits": found.visits,
        "base_epoch": found.base_epoch,
        "changes": found.changes,
        "agreement": found.agreement,
        "losses": found.losses,
    }


def train_robustly(run: Path, settings: WrongEventSettings, data: Facts, warm: Facts) -> Facts:
    """Train on as far as labels are likely right; leave the model, its predictions, and P(clean) of every row."""
    from safetensors.torch import load_file

    from tasks.wrong_event.robust import train_robustly as train

    labels = given_labels(run)
    model = EventModel(labels, data["classes"], settings.per_class, least=HALF)
    with _threads(settings):
        classifier, rows = make_classifier(run, settings, data)
        classifier.network.load_state_dict(load_file(run / BASE))
        found = train(
            classifier.network,
            classifier.inputs(rows),
            labels,
            np.asarray(load_array(run / COUNTS)),
            model,
            training_of(settings, settings.stages_epochs[1]),
            seed=integer(settings.seed, "train"),
            before=warm["visits"],
            shares=_shares(settings, labels, data),
            mixing=not settings.pretrained,
            kept=run / CHECKPOINTS / "robust",
            told=told("train, epoch"),
        )
        predicted = classifier.probabilities(rows)
    classifier.save(run / MODEL)
    save_array(run / EVENTS, found.counts)
    save_array(run / CLEAN, model.clean(found.counts))
    save_array(run / PREDICTED, predicted)
    write_json(run / MIXTURES, model.state())
    return {"files": [MODEL, EVENTS, CLEAN, PREDICTED, MIXTURES], "losses": found.losses}


def make_classifier(run: Path, settings: WrongEventSettings, data: Facts) -> tuple[Classifier, Any]:
    """The network before any training, with what its inputs mean, and the rows of the data."""
    classes = read_json(run / CLASSES)
    seed = integer(settings.seed, "network")
    texts = rows_of(run, ROWS) if settings.text else []
    if settings.pretrained:
        network, tokenizer = encoder_network(settings.encoder, len(classes), seed)
        longest = _longest(settings, network, tokenizer)
        return Classifier(network, classes, tokenizer=tokenizer, max_tokens=longest), texts
    rows: Any = texts if settings.text else np.asarray(load_array(run / VALUES))
    classifier = embedded_classifier(
        classes,
        rows,
        data["features"],
        dimensions=settings.encoder_dimensions,
        width=settings.width,
        seed=settings.seed,
        network_seed=seed,
    )
    return classifier, rows


def training_of(settings: WrongEventSettings, epochs: int) -> Training:
    rate = settings.learning_rate or (2e-5 if settings.pretrained else 1e-3)
    return Training(epochs, rate, settings.batch)


def _shares(settings: WrongEventSettings, labels: np.ndarray, data: Facts) -> Any:
    """Of the classes, which predictions are kept near; None where they are not."""
    from tasks.wrong_event.loss import class_shares

    return None if settings.published else class_shares(labels, data["classes"])


def given_labels(run: Path) -> np.ndarray:
    """Given classes of the data's rows, int64 (n,)."""
    return np.array([row["label"] for row in read_rows(run / ROWS, ["label"])], np.int64)


def rows_of(run: Path, table: str) -> list[str]:
    """Texts of a table's rows."""
    return [row["text"] for row in read_rows(run / table, ["text"])]


def _save(rows: Path, values: Path, data: Labelled, classes: list[str]) -> None:
    place = {name: number for number, name in enumerate(classes)}
    texts: list[str] | list[None] = data.texts or [None] * len(data)
    write_table(
        rows,
        (
            {"row": row, "label": place.get(label, NO_CLASS), "text": text}
            for row, label, text in zip(data.rows.tolist(), data.labels, texts, strict=True)
        ),
        _SCHEMA,
    )
    save_array(values, data.values)


def _unseen(test: Labelled, data: Labelled, name: str) -> tuple[Labelled, list[Reject]]:
    """The test rows that are not among the data, and what became of the others."""
    seen, keys = set(data.keys()), test.keys()
    stands = np.array([key in seen for key in keys])
    if stands.all():
        raise BadInput(f"--test {name}: every row stands in the data too")
    dropped = [
        Reject("read test", "stands in the data too", test.places[row])
        for row in np.flatnonzero(stands).tolist()
    ]
    return test.take(np.flatnonzero(~stands).tolist()), dropped


def _longest(settings: WrongEventSettings, network: Any, tokenizer: Any) -> int:
    from tasks.select.pretrained import position_limit

    return min(settings.encoder_max_tokens, position_limit(network, tokenizer))


def _threads(settings: WrongEventSettings) -> AbstractContextManager[None]:
    """One for the small network, whose sums then come out the same everywhere."""
    return nullcontext() if settings.pretrained else one_thread()


def told(what: str) -> Callable[[int, int], None]:
    return lambda done, of: terminal.current().progress(what, done)
