"""Hugging Face data sets: saved in a folder, or streamed by name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from upath import UPath

from tasks.corpus.formats import Record, Row, records_of
from tasks.records import BadInput
from tasks.run.services import is_lost

# Of several splits, or of one.
_MARKS = (("dataset_dict.json",), ("state.json", "dataset_info.json"))


def is_saved_dataset(folder: UPath) -> bool:
    """Whether the folder was written by `Dataset.save_to_disk` (or `DatasetDict.save_to_disk`)."""
    return any(all((folder / name).exists() for name in marks) for marks in _MARKS)


def read_saved_dataset(folder: UPath, split: str) -> Iterator[Row]:
    """The records of a saved data set; memory-mapped, never read whole.

    Raises:
        BadInput: the folder is damaged or has no such split.
    """
    datasets = _quiet_datasets()
    try:
        loaded: Any = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{folder}: a saved data set that cannot be loaded: {_line(error)}") from None
    if isinstance(loaded, dict):
        if split not in loaded:
            raise BadInput(f"{folder}: no split named {split}; it has {', '.join(loaded)}; set --hf-split")
        loaded = loaded[split]
    # As Arrow, so that columns of images or sound are not decoded.
    number = 0
    for batch in loaded.with_format("arrow").iter(batch_size=256):
        for record in records_of(batch):
            number += 1
            yield number, record


def split_name(name: str) -> tuple[str, str | None]:
    """(name, config) of "NAME" or "NAME:CONFIG"."""
    base, _, config = name.partition(":")
    return base, config or None


def stream_dataset(name: str, split: str) -> Iterator[Row]:
    """The records of a data set on the hub (or in a local folder of data files), streamed.

    Raises:
        BadInput: no such data set, configuration or split, or the hub cannot be reached.
    """
    datasets = _quiet_datasets()
    base, config = split_name(name)
    try:
        stream = datasets.load_dataset(base, config, split=split, streaming=True)
        yield from enumerate(_plain(stream), start=1)
    except (OSError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        if is_lost(error):
            raise BadInput(
                f"hf:{name}: the hub cannot be asked: {_line(error)}; try again later, or give files"
            ) from None
        raise BadInput(f"hf:{name}: the split {split} cannot be read: {_line(error)}") from None


def _plain(stream: Any) -> Iterator[Record]:
    import datasets

    features = stream.features or {}
    media = [name for name, kind in features.items() if isinstance(kind, datasets.Image | datasets.Audio)]
    yield from stream.remove_columns(media) if media else stream


def _quiet_datasets() -> Any:
    """The library; what it and the hub's client have to say (each of many retries) goes to the run's log alone."""
    import datasets

    for library in ("datasets", "huggingface_hub"):
        logging.getLogger(library).handlers.clear()  # of their own, to the terminal; the root has the log's
    datasets.disable_progress_bars()
    return datasets


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
